"""The Kafka part of tensorflow-io's `tfio.IOTensor`."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.config import Limits
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings

WHAT = "a whole number or a slice of whole numbers"


class KafkaIOTensor:
    """The values of a partition as a vector of strings, read when they are used.

    Indices are offsets; a negative one counts from the end, as in a list. The end is that of the
    partition when a value is read.
    """

    def __init__(self, topic: str, partition: int, settings: config.Settings):
        self._topic = arguments.text("topic", topic)
        self._partition = arguments.partition("partition", partition)
        self._settings = settings

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
        return self._values(None, None)

    def __getitem__(self, key: int | slice) -> tf.Tensor:
        """Return one value (a scalar), or those of a slice without a step.

        Raises IndexError beyond the end.
        """
        if isinstance(key, slice):
            if key.step not in (None, 1):
                raise ValueError(f"a slice of a Kafka partition has no step, not {key.step!r}")
            return self._values(
                *(arguments.optional(_index, "key", i) for i in (key.start, key.stop))
            )
        index = _index("key", key)
        # The one after the last value has the index -1 + 1, which is not the first value.
        values = self._values(index, index + 1 if index != -1 else None)
        if not len(values):
            raise IndexError(f"index {index} is out of range")
        return values[0]

    def _values(self, start: int | None, stop: int | None) -> tf.Tensor:
        """Return the values [start, stop); None: from the first one, to the last one."""
        limits = Limits()
        (whole,) = resolve(self._settings, limits, self._topic, [self._partition]).ranges
        # As for a list: a start before the first value is the first one.
        first, end = (
            max(0, each + whole.stop) if each < 0 else each
            for each in (start or 0, whole.stop if stop is None else stop)
        )
        end = min(end, whole.stop)
        if first >= end:
            return tf.constant([], tf.string)
        ranges = resolve(
            self._settings,
            limits,
            self._topic,
            [self._partition],
            first or "earliest",
            end,
        )
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
            return KafkaIOTensor(topic, partition, reader_settings(servers, configuration))


def _index(name: str, value: object) -> int:
    return arguments.whole_number(name, value, -arguments.LARGEST, what=WHAT)
