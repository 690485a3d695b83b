"""A client of confluent-kafka whose first request of a kind is dropped."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient


def drop_first(monkeypatch: pytest.MonkeyPatch, name: str, carried_out: bool) -> None:
    """Let the next call of this method of AdminClient be dropped, before the broker or after."""
    request = getattr(AdminClient, name)

    def dropped(client: AdminClient, each, **options):
        monkeypatch.setattr(AdminClient, name, request)
        if carried_out:
            for answer in request(client, each, **options).values():
                answer.result(60)
        lost: Future[object] = Future()
        lost.set_exception(KafkaException(KafkaError(KafkaError._DESTROY_BROKER)))
        return {getattr(asked, "topic", asked): lost for asked in each}

    monkeypatch.setattr(AdminClient, name, dropped)
