"""Topics with odd contents, and what a dataset gives of them."""

from __future__ import annotations

from confluent_kafka import Producer

from tfkafka import write


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
    elif end == "abort":
        producer.abort_transaction(30)
    return producer


def values(dataset) -> list[bytes]:
    return [element[0] for element in dataset.as_numpy_iterator()]


def ints(dataset) -> list[int]:
    return [int(value) for value in values(dataset)]
