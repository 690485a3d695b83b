"""Records as confluent-kafka delivers them, without a broker."""

from confluent_kafka import Message

from tfkafka.records import Chunk


def message(value=b"v", key=None, partition=0, offset=0, topic="t", headers=None):
    return Message(
        topic=topic, partition=partition, offset=offset, key=key, value=value, headers=headers,
        timestamp=(1, 1_700_000_000_000 + offset),
    )  # fmt: skip


def chunk(values, keys=None) -> Chunk:
    keys = [None] * len(values) if keys is None else keys
    pairs = enumerate(zip(values, keys, strict=True))
    return Chunk([message(value, key, offset=offset) for offset, (value, key) in pairs])
