"""The Kafka part of tensorflow-io's `tfio.IOTensor`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfkafka import config
from tfkafka.client import create
from tfkafka.config import Limits
from tfkafka.reading.ranges import read, resolve
from tfkafka.tfio.offsets import bound


class KafkaIOTensor:
    """The values of a partition as a vector of strings, read when they are used.

    Indices are offsets. The end is that of the partition when a value is read.
    """

    def __init__(self, topic: str, partition: int, settings: config.Settings):
        self._topic = topic
        self._partition = partition
        self._settings = settings
        create.check(settings)

    @property
    def shape(self) -> tf.TensorShape:
        return tf.TensorShape([None])

    @property
    def dtype(self) -> tf.DType:
        return tf.string

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: shape={self.shape}, dtype={self.dtype}>"

    def to_tensor(self) -> tf.Tensor:
        """Return all values, string [n]."""
        return self._values(0, -1)

    def __getitem__(self, key: int | slice) -> tf.Tensor:
        """Return one value (a scalar), or those of a slice without a step.

        Raises IndexError beyond the end.
        """
        if isinstance(key, slice):
            if key.step not in (None, 1):
                raise ValueError(f"a slice of a Kafka partition has no step, not {key.step}")
            return self._values(key.start or 0, -1 if key.stop is None else key.stop)
        values = self._values(key, None)
        if not len(values):
            raise IndexError(f"index {key} is out of range")
        return values[0]

    def _values(self, start: int, stop: int | None) -> tf.Tensor:
        limits = Limits()
        (whole,) = resolve(self._settings, limits, self._topic, [self._partition]).ranges
        wanted = start + 1 if stop is None else stop
        end = whole.stop if wanted < 0 else min(wanted, whole.stop)
        if start >= end:
            return tf.constant([], tf.string)
        ranges = resolve(self._settings, limits, self._topic, [self._partition], bound(start), end)
        values = []
        for chunk in read(ranges, self._settings, limits):
            values += [value or b"" for value in chunk.values.entries]
        return tf.constant(values, tf.string)


class IOTensor:
    """Tensors whose values are stored elsewhere.

    Example:
        import tfkafka.tfio as tfio

        values = tfio.IOTensor.from_kafka("susy-train", servers="localhost:9092")
        print(values[0], values[10:20].shape)
    """

    @classmethod
    def from_kafka(
        cls,
        topic: str,
        partition: int = 0,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        *,
        name: str = "IOFromKafka",
    ) -> KafkaIOTensor:
        """Return the values of a partition. Raises ConfigurationError for an unknown setting."""
        with tf.name_scope(name):
            return KafkaIOTensor(topic, partition, config.consumer_settings(servers, configuration))
