"""Topics with odd contents, and what a dataset gives of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tfkafka import write
from tfkafka.chunk import TopicPartition as Source
from tfkafka.exactly_once import read_predictions, wait_until_settled


def numbers(servers: str, topic: str, count: int, partition: int = 0, first: int = 0) -> None:
    """Records first, first + 1, ... as decimal text."""
    write(servers, topic, map(str, range(first, first + count)), partition=partition)


def transaction(servers: str, topic: str, values: list[str], end: str) -> Producer:
    """Write in a transaction and `end` it: "commit", "abort" or "leave open"."""
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": f"{topic}-{end}", "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    producer.flush(30)
    if end == "commit":
        producer.commit_transaction(30)
        settle(servers, topic)
    elif end == "abort":
        producer.abort_transaction(30)
        settle(servers, topic)
    return producer


def settle(servers: str, topic: str) -> None:
    """Wait until a reader finds the end of each transaction that was committed or aborted.

    A broker answers before it has marked the partitions.
    """
    wait_until_settled({"bootstrap.servers": servers}, topic)


def settled_predictions(servers: str, topic: str) -> dict[Source, tuple[np.ndarray, np.ndarray]]:
    """What `read_predictions` returns once no transaction is open."""
    settle(servers, topic)
    return read_predictions(servers, topic)


def values(dataset) -> list[bytes]:
    return [element[0] for element in dataset.as_numpy_iterator()]


def ints(dataset) -> list[int]:
    return [int(value) for value in values(dataset)]


def read_messages(
    servers: str, topic: str, partitions: Sequence[int] = (0,), isolation: str = "read_committed"
) -> list[Message]:
    """All that a consumer sees of these partitions, as confluent-kafka has it."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "judge",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, ends, deadline = [], set(), time.monotonic() + 30
    while len(ends) < len(partitions):
        assert time.monotonic() < deadline, f"{topic} did not end within 30 s"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            found.append(message)
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ends.add(message.partition())
    consumer.close()
    return found


def settled_messages(servers: str, topic: str, partitions: Sequence[int] = (0,)) -> list[Message]:
    """What `read_messages` returns once no transaction is open."""
    settle(servers, topic)
    return read_messages(servers, topic, partitions)
