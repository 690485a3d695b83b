"""The Kafka part of tensorflow-io's `tfio.IODataset`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.data.chunked import ChunkedDataset, ChunkStream, shaped
from tfkafka.data.datasets import KafkaDataset
from tfkafka.reading.elements import Elements
from tfkafka.reading.prefetch import Prepared
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings
from tfkafka.tfio.lifting import Liftable
from tfkafka.tfio.offsets import bound


class Record(NamedTuple):
    """A record as an element of tensorflow-io's datasets: two strings, "" in place of null."""

    message: tf.Tensor
    key: tf.Tensor


class KafkaIODataset(Liftable, KafkaDataset):
    """`KafkaDataset` whose elements have `.message` and `.key`."""

    def _shaped(self, whole: bool) -> tf.data.Dataset[Any]:
        return super()._shaped(whole).map(Record)


class KafkaStreamIODataset(Liftable, ChunkedDataset):
    """The records from an offset to the end of the partition when iteration begins."""

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int | datetime,
        servers: str | Sequence[str] | None,
        configuration: config.Configuration,
    ):
        arguments.text("topic", topic)
        number = arguments.partition("partition", partition)
        begin = bound("offset", offset)
        settings, limits = reader_settings(servers, configuration), config.Limits()

        def chunks() -> Generator[Prepared, None, None]:
            ranges = resolve(settings, limits, topic, [number], begin)
            return (Prepared(chunk) for chunk in read(ranges, settings, limits))

        self._stream = ChunkStream(f"topic {topic}", Elements(), chunks)
        super().__init__(
            shaped(self._stream.dataset(), self._stream.elements, None, False).map(Record)
        )

    @property
    def error(self) -> Exception | None:
        """The exception that ended the last iteration, or None."""
        return self._stream.error


class StreamIODataset:
    """Datasets that end at the end that a partition has when their iteration begins.

    Example:
        import tfkafka.tfio as tfio

        dataset = tfio.StreamIODataset.from_kafka("susy-train", servers="localhost:9092")
        print(sum(1 for record in dataset), "records until now")
    """

    @classmethod
    def from_kafka(
        cls,
        topic: str,
        partition: int = 0,
        offset: int | datetime = 0,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        *,
        name: str = "IOFromKafka",
    ) -> KafkaStreamIODataset:
        """Return the records of a partition from `offset`; elements have `.message` and `.key`."""
        with tf.name_scope(name):
            return KafkaStreamIODataset(topic, partition, offset, servers, configuration)


class IODataset:
    """Datasets that are bounded and repeatable.

    Example:
        import tfkafka.tfio as tfio

        dataset = tfio.IODataset.from_kafka("susy-train", partition=0, servers="localhost:9092")
        for record in dataset.take(1):
            print(record.message, record.key)
    """

    @classmethod
    def stream(cls) -> type[StreamIODataset]:
        """Return the class that creates datasets whose end is not pinned."""
        return StreamIODataset

    @classmethod
    def from_kafka(
        cls,
        topic: str,
        partition: int = 0,
        start: int | datetime = 0,
        stop: int | datetime = -1,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        *,
        offset: int | datetime | None = None,
        name: str = "IOFromKafka",
    ) -> KafkaIODataset:
        """Return the records [start, stop) of a partition; elements have `.message` and `.key`.

        Args:
            topic: the name of the topic.
            partition: the number of the partition.
            start: the first offset; 0: the first record; -1: the end; -2000 - n: n before the end.
            stop: the exclusive end, given in the same way.
            servers: None: as in configuration, or else localhost:9092.
            configuration: librdkafka's settings, `["name=value", ...]`.
            offset: takes precedence over `start` where given. (tensorflow-io ignores it.)
            name: the TensorFlow name scope.

        Raises: see `KafkaDataset`.
        """
        arguments.partition("partition", partition)
        begin = bound("start", start) if offset is None else bound("offset", offset)
        with tf.name_scope(name):
            return KafkaIODataset(
                topic,
                partition,
                start=begin,
                stop=bound("stop", stop),
                servers=servers,
                configuration=configuration,
            )
