"""A member that leaves while the group is rebalancing."""

from __future__ import annotations

import re

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient

from tests import fillers
from tfkafka.client.consumer import Consumer
from tfkafka.config import Limits
from tfkafka.testing import wait_for

DEADLINE_S = 60.0
# What librdkafka says of a heartbeat that was answered when the callback was due already.
VERBOSE = {"debug": "cgrp", "log_level": 7}
TOLD = re.compile(r"heartbeat error response .*join-state wait-unassign-call")


class Watched:
    """confluent-kafka's consumer, and whether it has begun to close."""

    def __init__(self, consumer: confluent_kafka.Consumer):
        self._consumer, self.is_closing = consumer, False

    def __getattr__(self, name: str):
        return getattr(self._consumer, name)

    def close(self) -> None:
        self.is_closing = True
        self._consumer.close()


@fillers.both
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_partitions_are_revoked_before_the_consumer_closes(
    kafka, make_topic, group, monkeypatch, capfd, static
):
    topic = make_topic(2)
    settings = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": group,
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 200,
    }
    own = {"group.instance.id": "member"} if static else {}
    member = Consumer({**settings, **own, **VERBOSE}, Limits(), [topic])
    watched = Watched(member._consumer)
    monkeypatch.setattr(member, "_consumer", watched)
    assigned, closing_when_revoked = [], []

    def on_assign(partitions) -> None:
        assigned.extend(partitions)
        member.start_at(dict.fromkeys(partitions, 0))

    def on_revoke(_partitions) -> None:
        closing_when_revoked.append(watched.is_closing)

    def is_assigned() -> bool:
        member.poll(0.1)
        return bool(assigned)

    member.subscribe(on_assign, on_revoke, on_revoke)
    wait_for(is_assigned, "an assignment", DEADLINE_S)
    other = confluent_kafka.Consumer(settings)
    other.subscribe([topic])
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    def is_rebalancing() -> bool:
        other.poll(0.1)
        found = admin.describe_consumer_groups([group])[group].result(DEADLINE_S)
        return found.state == confluent_kafka.ConsumerGroupState.PREPARING_REBALANCING

    wait_for(is_rebalancing, "the group to rebalance", DEADLINE_S)
    # librdkafka keeps it until the next poll.
    said: list[str] = []
    wait_for(
        lambda: said.append(capfd.readouterr().err) or TOLD.search("".join(said)),
        "a heartbeat that tells librdkafka",
        DEADLINE_S,
    )
    member.close()
    other.close()
    # A static member, which stays in the group, may have been assigned partitions again.
    assert closing_when_revoked[: 1 if static else None] == [False]
