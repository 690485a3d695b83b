"""tensorflow-io's `tensorflow_io.kafka`: its first Kafka dataset, and functions that write."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.client.producer import Producer
from tfkafka.client.writing import write
from tfkafka.config import Limits
from tfkafka.data.chunked import ChunkedDataset, ChunkStream, shaped, source_options
from tfkafka.errors import OffsetError, WriteError
from tfkafka.reading.elements import Elements, Metadata
from tfkafka.reading.prefetch import Prepared
from tfkafka.reading.ranges import TopicRanges, read, resolve
from tfkafka.reading.settings import reader_settings
from tfkafka.tfio.avro_functions import decode_avro, encode_avro
from tfkafka.tfio.lifting import Liftable
from tfkafka.tfio.offsets import bound

__all__ = ["KafkaDataset", "KafkaOutputSequence", "decode_avro", "encode_avro", "write_kafka"]

FLUSH_S = 60.0
# Of an address that has none, as in tensorflow-io.
PORT = 9092
UNLIMITED = -1
# The stop of a range that never ends.
ENDLESS = 2**63 - 1


@dataclass(frozen=True)
class Subscription:
    """A parsed "topic:partition:offset:limit"; the record at offset `limit` is the last one."""

    topic: str
    partition: int = 0
    offset: int = 0
    limit: int = UNLIMITED

    @classmethod
    def parse(cls, name: str, text: str | bytes) -> Subscription:
        """Parse an entry of the argument `name`."""
        entry = text.decode(errors="replace") if isinstance(text, bytes) else text
        arguments.instance(name, entry, str, "text")
        topic, *numbers = entry.split(":")
        try:
            if len(numbers) > 3:
                raise ValueError
            parsed = cls(arguments.text(name, topic), *map(int, numbers))
        except ValueError:
            raise ValueError(
                f"Invalid parameters: {name} is {arguments.shown(entry)}, must be topic, "
                f"topic:partition, topic:partition:offset or topic:partition:offset:limit"
            ) from None
        arguments.partition(f"the partition in {name}", parsed.partition)
        bound(f"the offset in {name}", parsed.offset)
        return parsed


class KafkaDataset(Liftable, ChunkedDataset):
    """The records of subscriptions, one subscription after another.

    Elements are messages, scalar strings. With message_key or message_offset they are tuples that
    continue with the key, "partition:offset", or both.

    Args:
        topics: "topic:partition:offset:limit", or a list of them; all but the topic may be left
            out. limit is the offset of the last record; -1: no limit.
        servers: `HOST:PORT[,HOST:PORT]`; the default port is 9092.
        group: the `group.id` that the broker sees. No group is joined.
        eof: True: stop at the end of a partition; False: wait there forever.
        timeout: accepted for compatibility; must be positive.
        config_global: librdkafka's settings, `["name=value", ...]`.
        config_topic: the same, for topic settings.
        message_key: whether elements have the key.
        message_offset: whether elements have partition and offset.

    Raises:
        ValueError: a subscription cannot be parsed, or timeout is not positive.
        ConfigurationError: a setting is unknown or refused.

        Iteration raises `tf.errors.OpError`.

    Example:
        from tfkafka.tfio import kafka

        for message in kafka.KafkaDataset("susy-train:0:0:9", "localhost:9092", eof=True):
            print(message)
    """

    def __init__(
        self,
        topics: str | Sequence[str],
        servers: str | Sequence[str] = "localhost",
        group: str = "",
        eof: bool = False,
        timeout: int = 1000,
        config_global: config.Configuration = None,
        config_topic: config.Configuration = None,
        message_key: bool = False,
        message_offset: bool = False,
    ):
        arguments.milliseconds("timeout", timeout)
        for name, value in (
            ("eof", eof),
            ("message_key", message_key),
            ("message_offset", message_offset),
        ):
            arguments.flag(name, value)
        what = '"topic:partition:offset:limit", or a list of them'
        entries = [topics] if isinstance(topics, str | bytes) else topics
        arguments.several("topics", entries, what)
        subscriptions = [Subscription.parse("topics", entry) for entry in entries]
        if not subscriptions:
            raise ValueError(f"topics is {arguments.shown(topics)}, must be {what}")
        arguments.instance("group", group, str, "text")
        fixed = {"group.id": arguments.text("group", group)} if group else {}
        settings = reader_settings(
            _with_ports(servers),
            config.parse(config_global, "config_global")
            | config.parse(config_topic, "config_topic"),
            fixed,
        )
        self._stream = ChunkStream(
            f"topic {', '.join(subscription.topic for subscription in subscriptions)}",
            Elements(metadata=True),
            lambda: (Prepared(chunk) for chunk in _all(subscriptions, settings, eof)),
        )
        records = shaped(self._stream.dataset(), self._stream.elements, None, False)

        def chosen(
            message: tf.Tensor, key: tf.Tensor, where: Metadata
        ) -> tf.Tensor | tuple[tf.Tensor, ...]:
            place = tf.strings.join(
                [tf.strings.as_string(where.partition), tf.strings.as_string(where.offset)], ":"
            )
            extra = ((key,) if message_key else ()) + ((place,) if message_offset else ())
            return (message, *extra) if extra else message

        super().__init__(records.map(chosen).with_options(source_options()))

    @property
    def error(self) -> Exception | None:
        """The exception that ended the last iteration, or None."""
        return self._stream.error


def _all(
    subscriptions: Sequence[Subscription], settings: Mapping[str, object], eof: bool
) -> Iterator[Chunk]:
    limits = Limits()
    for subscription in subscriptions:
        chosen = _chosen(subscription, settings, limits, eof)
        yield from read(chosen, settings, limits, waits=not eof, metadata=True)


def _chosen(
    subscription: Subscription, settings: Mapping[str, object], limits: Limits, eof: bool
) -> TopicRanges:
    place = (settings, limits, subscription.topic, [subscription.partition])
    try:
        chosen = resolve(*place, bound("topics", subscription.offset))
    except OffsetError:
        # Here auto.offset.reset decides, as for any Kafka consumer.
        chosen = resolve(*place, "latest" if config.begins_at_end(settings) else "earliest")
    (found,) = chosen.ranges
    stop = found.stop if eof else ENDLESS
    if subscription.limit >= 0:
        stop = min(stop, subscription.limit + 1)
    # Records that are written only later may have another leader.
    epoch = found.leader_epoch if stop <= found.stop else None
    return replace(chosen, ranges=(replace(found, stop=stop, leader_epoch=epoch),))


class KafkaOutputSequence:
    """Writes items in the order of their indices, from 0, up to the first missing one.

    Args:
        topic: "topic" or "topic:partition"; the default partition is 0.
        servers: `HOST:PORT[,HOST:PORT]`.
        configuration: librdkafka's settings, `["name=value", ...]` or a dict.

    Example:
        from tfkafka.tfio import kafka

        sequence = kafka.KafkaOutputSequence("clicks", "localhost:9092")
        sequence.setitem(1, "second")
        sequence.setitem(0, "first")
        sequence.flush()
    """

    def __init__(
        self,
        topic: str,
        servers: str | Sequence[str] = "localhost",
        configuration: config.Configuration = None,
    ):
        self._place = Subscription.parse("topic", topic)
        self._settings = reader_settings(_with_ports(servers), configuration)
        self._waiting: dict[int, bytes] = {}
        self._written = 0

    def setitem(self, index: int, item: str | bytes | tf.Tensor) -> None:
        """Set the item at `index`; both are scalars."""
        self._waiting[arguments.whole_number("index", index)] = _bytes("item", item)

    def flush(self) -> None:
        """Write all items up to the first missing one. Raises WriteError."""
        items: list[bytes] = []
        while self._written + len(items) in self._waiting:
            items.append(self._waiting[self._written + len(items)])
        write(
            str(self._settings["bootstrap.servers"]),
            self._place.topic,
            items,
            partition=self._place.partition,
            configuration=self._settings,
        )
        for index in range(self._written, self._written + len(items)):
            del self._waiting[index]
        self._written += len(items)


def write_kafka(
    message: str | bytes | tf.Tensor,
    topic: str,
    servers: str = "localhost",
    name: str | None = None,
    configuration: config.Configuration = None,
) -> tf.Tensor:
    """Write one record and return its value, a scalar string, once it is acknowledged.

    For many records `tfkafka.write` is much faster.

    Args:
        message: the value, a scalar.
        topic: "topic" or "topic:partition"; the default partition is 0.
        servers: `HOST:PORT[,HOST:PORT]`.
        name: the name of the TensorFlow operation.
        configuration: librdkafka's settings, `["name=value", ...]` or a dict. (tensorflow-io has
            none.)

    Raises:
        WriteError, or inside a graph `tf.errors.OpError`: the record was not acknowledged.
        ConfigurationError: a setting is unknown or refused.

    Example:
        from tfkafka.tfio import kafka

        kafka.write_kafka("1.5,2", "clicks", "localhost:9092")
    """
    settings = config.parse(configuration)
    if tf.executing_eagerly():
        written = _write_one(_bytes("message", message), topic, servers, settings)
        return tf.constant(written, name=name)
    write_one = functools.partial(_write_one, settings=settings)
    return tf.numpy_function(write_one, [message, topic, servers], tf.string, name=name)


def _write_one(
    message: bytes, topic: str | bytes, servers: str | bytes, settings: config.Settings
) -> bytes:
    place = Subscription.parse("topic", topic)
    address = servers.decode() if isinstance(servers, bytes) else servers
    producer = _producer(arguments.text("servers", address), *settings.items())
    try:
        producer.send(place.topic, [[(message, None, None)]], place.partition)
    except WriteError:
        # After some errors, a missing right for example, a producer never writes again.
        _producer.cache_clear()
        raise
    return message


# Only some are kept: a function among the settings can be another one for each record.
@functools.lru_cache(maxsize=16)
def _producer(servers: str, *settings: tuple[str, object]) -> Producer:
    address = {"bootstrap.servers": ",".join(_with_ports(servers))}
    return Producer({"linger.ms": 0} | dict(settings) | address, FLUSH_S)


def _with_ports(servers: str | Sequence[str]) -> list[str]:
    entries = [each for given in arguments.texts("servers", servers) for each in given.split(",")]
    return [f"{entry}:{PORT}" if entry and ":" not in entry else entry for entry in entries]


os.register_at_fork(after_in_child=_producer.cache_clear)


def _bytes(name: str, given: str | bytes | tf.Tensor) -> bytes:
    """Return the bytes of the argument `name`."""
    value = given.numpy() if isinstance(given, tf.Tensor) else given
    arguments.instance(name, value, (str, bytes), "a scalar: text, bytes or a string tensor")
    if isinstance(value, str):
        arguments.encodable(name, value)
    return value.encode() if isinstance(value, str) else bytes(value)
