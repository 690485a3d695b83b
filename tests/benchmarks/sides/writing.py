"""Writing records: each round into a topic of its own, made before the clock runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice

import numpy as np

from tests.benchmarks.meter import Sample, measured
from tests.benchmarks.worker import Round


def tfkafka(servers: str, topic: str, values: list[bytes], keys: list[bytes]) -> Round:
    """tfkafka's writing, all acknowledgements checked."""
    from tfkafka import write

    def work(name: str) -> None:
        assert write(servers, name, values, keys) == len(values)

    return _measured_into_fresh_topics(servers, f"{topic}-tfkafka", work)


def tfkafka_columns(servers: str, topic: str, features: np.ndarray) -> Round:
    """tfkafka's writing of an array, as the bytes of its rows."""
    from tfkafka import TensorEncoder, write

    encoder = TensorEncoder(features.dtype.name, features.shape[1:])

    def work(name: str) -> None:
        assert write(servers, name, features, encoder=encoder) == len(features)

    return _measured_into_fresh_topics(servers, f"{topic}-columns", work)


def kafka_python(servers: str, topic: str, values: list[bytes], keys: list[bytes]) -> Round:
    """kafka-python as in the tutorial, but that each acknowledgement is asked for."""
    from kafka import KafkaProducer

    def work(name: str) -> None:
        producer = KafkaProducer(bootstrap_servers=[servers])
        pairs = zip(values, keys, strict=True)
        futures = [producer.send(name, key=key, value=value) for value, key in pairs]
        producer.flush()
        assert all(future.succeeded() for future in futures)
        producer.close()

    return _measured_into_fresh_topics(servers, f"{topic}-kafka-python", work)


def bare_loop(servers: str, topic: str, values: list[bytes], keys: list[bytes]) -> Round:
    """confluent-kafka's produce in a loop; what is not acknowledged is counted at the end."""
    from confluent_kafka import Producer

    def work(name: str) -> None:
        producer = Producer(
            {"bootstrap.servers": servers, "linger.ms": 5, "queue.buffering.max.messages": 1000000}
        )
        for value, key in zip(values, keys, strict=True):
            producer.produce(name, value, key)
        assert producer.flush(60) == 0

    return _measured_into_fresh_topics(servers, f"{topic}-bare", work)


def fill(
    servers: str, topic: str, values: list[bytes], keys: list[bytes], records: int, partitions: int
) -> int:
    """Write so many records, the given ones over and over; returns the bytes of all.

    In several partitions they are spread evenly, whatever their keys.
    """
    from tfkafka import write

    share = records // partitions
    for partition in range(partitions):
        write(servers, topic, _first(values, share), _first(keys, share), partition=partition)
    mean = sum(map(len, values)) / len(values) + sum(map(len, keys)) / len(keys)
    return round(mean * share * partitions)


def _first(items: list[bytes], count: int) -> Iterator[bytes]:
    return islice(cycle(items), count)


def _measured_into_fresh_topics(servers: str, topic: str, work: Callable[[str], None]) -> Round:
    return into_fresh_topics(servers, topic, lambda name: measured(lambda: work(name)))


def into_fresh_topics(servers: str, topic: str, once_into: Callable[[str], Sample]) -> Round:
    """Rounds of `once_into`, which gets the name of a topic that is deleted behind it."""
    from tfkafka import Admin

    admin = Admin(servers)

    def once(number: int) -> Sample:
        name = f"{topic}-{number}"
        admin.create_topic(name)
        try:
            return once_into(name)
        finally:
            admin.delete_topic(name)

    return once
