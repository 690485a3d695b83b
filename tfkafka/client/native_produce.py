"""The native way into a producer's queue: columns, without an object of Python's for each record.

confluent-kafka keeps the client: it configures it, begins and commits transactions, and calls back.
"""

from __future__ import annotations

import ctypes

import confluent_kafka
from confluent_kafka import KafkaError

from tfkafka.chunk import Column
from tfkafka.client.plugin import NativeClient
from tfkafka.client.records import Records
from tfkafka.client.undelivered import Undelivered, quoted
from tfkafka.native.filling import Layout
from tfkafka.native.producing import ANY_PARTITION, Failures, Producing


class NativeProducer:
    """Puts columns into the queue of a producer, and knows which records were not written.

    Args:
        producer: confluent-kafka's, which lives as long as this.
        client: the native library's.
    """

    def __init__(self, producer: confluent_kafka.Producer, client: NativeClient):
        self._producer = producer
        self._client = client

    def produce(self, topic: str, producing: Producing) -> None:
        """Put records into the queue until all are there, or one is refused: see `Producing`."""
        # For callbacks. It also refuses a forked child, which has none of the client's threads.
        self._producer.poll(0)
        parameters = ctypes.byref(producing.parameters)
        self._client.library.tk_produce(self._client.pointer, topic.encode(), parameters)

    def undelivered(self) -> tuple[int, list[Undelivered]]:
        """Return how many records were not written since the last call, and the first of them.

        Those of Python's `produce` count too.
        """
        found = Failures()
        self._client.library.tk_take_failures(self._client.pointer, ctypes.byref(found))
        return found.count, [
            Undelivered(
                quoted(bytes(each.key), each.key_size),
                quoted(bytes(each.value), each.value_size),
                KafkaError(each.code),
            )
            for each in found.first[: found.count]
        ]


def producing_of(records: Records, partition: int | None) -> Producing:
    """Return the calls that write these records."""
    return Producing(
        _layout(records.values),
        None if records.keys is None else _layout(records.keys),
        {name: _layout(column) for name, column in records.headers.items()},
        ANY_PARTITION if partition is None else partition,
    )


def _layout(column: Column) -> Layout:
    return column.buffer, column.offsets, column.nulls
