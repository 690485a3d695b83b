"""What an answer says of a topic."""

from __future__ import annotations

from types import SimpleNamespace

from confluent_kafka import KafkaError

from tfkafka.client import codes
from tfkafka.client.topics import is_deleted


def test_a_deleted_topic():
    def metadata(code):
        error = None if code is None else KafkaError(code)
        return SimpleNamespace(topics={"t": SimpleNamespace(error=error)})

    for code in codes.MISSING:
        assert is_deleted(metadata(code), "t")
    for code in (None, *codes.TRANSIENT, *codes.REFUSED):
        assert not is_deleted(metadata(code), "t")
