"""Writing records to topics, with back-pressure and every acknowledgement checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from typing import Protocol, TypedDict

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka.admin import ClusterMetadata

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.background import in_background
from tfkafka._util.columns import ColumnEncoder, Columns, Frame, as_columns, encoded, parts, rows
from tfkafka.chunk import Chunk, Position
from tfkafka.client import codes, create
from tfkafka.client.cluster import Cluster
from tfkafka.client.diagnosis import Connection, NoConnection, fatal_error, with_right
from tfkafka.client.names import check_topic_name
from tfkafka.errors import TopicError, WriteError

TIMEOUT_S = 120.0
DEAD_LETTER_S = 30.0
NAMED_FAILURES = 3
POLL_EVERY = 4096
ROOM_S = 0.1
LOOK_S = 0.2
AGAIN_S = 0.05
CAUSE_S = 1.0
# The time-out of one question. Where nobody waits for its answer any more, the client tries to
# connect, and to log in, until then.
ASK_S = 10.0
# How many rows of columns are encoded at a time.
ENCODED_ROWS = 8192

# What to do with numbers.
_ADVICE = {
    "values": ": for numbers give columns and encoder=, for example encoder=JsonEncoder()",
    "keys": ": give numbers as text, for example [str(key) for key in keys]",
}

Text = bytes | str | None
_PLAIN = frozenset({bytes, str, type(None)})
Headers = list[tuple[str, Text]] | None
Record = tuple[Text, Text, Headers]
OnDelivery = Callable[[KafkaError | None, Message], None]


class _Fault(Protocol):
    """A record of a chunk that could not be decoded."""

    @property
    def index(self) -> int: ...
    @property
    def reason(self) -> str: ...


class _Refused(KafkaException):
    """A record was refused before it was sent; `number` counts from 0."""

    def __init__(self, reason: KafkaError, number: int):
        super().__init__(reason)
        self.number = number


class _Options(TypedDict, total=False):
    """More arguments of `confluent_kafka.Producer.produce`."""

    on_delivery: OnDelivery
    partition: int


class RecordWriter:
    """Puts records into a producer's queue, and waits while it is full.

    Args:
        producer: confluent-kafka's.
        timeout_s: how long the queue may be full; None: forever.
        on_delivery: called with the acknowledgements.
        check: called while the queue is full; raises what ends the waiting.
    """

    def __init__(
        self,
        producer: confluent_kafka.Producer,
        timeout_s: float | None = None,
        on_delivery: OnDelivery | None = None,
        check: Callable[[], None] = lambda: None,
    ):
        self._producer = producer
        self._timeout_s = timeout_s
        self._check = check
        self._options: _Options = {} if on_delivery is None else {"on_delivery": on_delivery}

    def put(self, topic: str, records: Iterable[Record], partition: int | None = None) -> int:
        """Put records, each (value, key, headers), into the queue, and return their number.

        Raises:
            KafkaException: a record was refused.
            WriteError: the queue stayed full.
            TypeError: a value or a key is neither text nor bytes nor None.
        """
        options: _Options = (
            self._options if partition is None else {**self._options, "partition": partition}
        )
        produce, count = self._producer.produce, 0
        for value, key, headers in records:
            try:
                if count and not count % POLL_EVERY:
                    self._producer.poll(0)
                produce(topic, value, key, headers=headers, **options)
            except BufferError:
                self._wait(topic, value, key, headers, options)
            except KafkaException as error:
                raise _Refused(error.args[0], count) from error
            except UnicodeError:
                _refuse_types(count, value, key)
                raise
            count += 1
        return count

    def _wait(
        self, topic: str, value: Text, key: Text, headers: Headers, options: _Options
    ) -> None:
        since = time.monotonic()
        while True:
            self._producer.poll(ROOM_S)
            try:
                self._producer.produce(topic, value, key, headers=headers, **options)
                return
            except BufferError:
                self._check()
                if self._timeout_s is not None and time.monotonic() - since > self._timeout_s:
                    raise WriteError(
                        f"topic {topic}: no acknowledgement for {self._timeout_s:.0f} s, and the "
                        f"queue of records to be sent is full",
                        topic=topic,
                    ) from None


class Producer:
    """A producer that checks every acknowledgement.

    Args:
        settings: the producer's settings; they take precedence over `config.WRITER_DEFAULTS`.
        timeout_s: how long acknowledgements may take.
        was_reached: see `Connection`.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        timeout_s: float = TIMEOUT_S,
        was_reached: bool = False,
    ):
        self._settings = config.WRITER_DEFAULTS | dict(settings) | config.WRITER_FIXED
        self._connection = Connection(self._settings, was_reached)
        self._producer = create.make_client(
            confluent_kafka.Producer, {**self._settings, "error_cb": self._connection.note}
        )
        self._timeout_s = timeout_s
        self._writer = RecordWriter(
            self._producer, timeout_s, self._delivered, self._connection.check
        )
        self._failed: list[tuple[Text, Text, str]] = []

    def connect(self, topic: str) -> None:
        """Raise WriteError at once where no broker answers, or the topic does not exist.

        The idempotent producer requests its id every 500 ms: an open connection saves one such
        interval.
        """
        check_topic_name(topic)
        try:
            found = self._metadata()
        except NoConnection as error:
            raise WriteError(f"topic {topic}: {error}", topic=topic) from error
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and error.args[0].fatal():
                reason = with_right(error.args[0], "WRITE", f"topic {topic}")
                raise WriteError(f"topic {topic}: {reason}", topic=topic) from error
            said = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise WriteError(
                f"topic {topic}: no answer from Kafka at {self._settings['bootstrap.servers']} for "
                f"{self._timeout_s * 1000:.0f} ms ({self._connection.reason(said)})",
                topic=topic,
            ) from error
        self._connection.answered(is_first=True)
        if topic not in found.topics:
            self._refuse_missing(topic)

    def send(self, topic: str, records: Iterable[Record], partition: int | None = None) -> int:
        """Write records, each (value, key, headers); return their number once all are acknowledged.

        Raises WriteError, with the number of records not written and the first of those refused.
        """
        self._failed.clear()
        unacknowledged = 1
        try:
            count = self._writer.put(topic, records, partition)
            unacknowledged = self._flush()
        except KafkaException as error:
            what = "not all records were acknowledged"
            if isinstance(error, _Refused):
                what = f"record {error.number} (from 0) was refused before it was sent"
            reason = with_right(self._cause(error.args[0]), "WRITE", f"topic {topic}")
            raise WriteError(f"topic {topic}: {what}: {reason}", topic=topic) from error
        except NoConnection as error:
            raise WriteError(f"topic {topic}: {error}", topic=topic) from error
        finally:
            if unacknowledged:
                # Records without acknowledgement must not delay the end of the process.
                with suppress(KafkaException):
                    self._producer.purge()
        self._check(topic, count, unacknowledged)
        return count

    def _metadata(self) -> ClusterMetadata:
        """Return the topics. Raises KafkaException, TimeoutError, or NoConnection."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            # For all topics: a request for one could create it where brokers create topics.
            answer: Future[ClusterMetadata] = in_background(
                partial(self._producer.list_topics, timeout=min(left_s, ASK_S))
            )
            try:
                return self._connection.wait(answer, left_s, self._producer.poll)
            except KafkaException as error:
                if error.args[0].code() not in codes.TRANSIENT or time.monotonic() > deadline:
                    raise
            self._producer.poll(AGAIN_S)
            self._connection.check()

    def _flush(self) -> int:
        """Wait for acknowledgements, and return how many are missing. Raises NoConnection."""
        deadline, left = time.monotonic() + self._timeout_s, len(self._producer)
        while left and (left_s := deadline - time.monotonic()) > 0:
            left = self._producer.flush(min(LOOK_S, left_s))
            if left:
                self._connection.check()
        if not left:
            self._connection.answered()
        return left

    def _cause(self, error: KafkaError) -> KafkaError:
        """Return what made the client unusable, if the error says only that it is."""
        deadline = time.monotonic() + CAUSE_S
        while error.code() == KafkaError._FATAL and time.monotonic() < deadline:
            error = fatal_error(self._producer, AGAIN_S) or error
        return error

    def _refuse_missing(self, topic: str) -> None:
        """Raise WriteError: the topic is missing, or hidden from this user."""
        cluster = Cluster(self._settings, int(self._timeout_s * 1000), WriteError)
        try:
            cluster.describe(topic)
        except TopicError as error:
            raise WriteError(str(error), topic=topic) from error
        raise WriteError(str(cluster.missing(topic)), topic=topic)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            reason = with_right(error, "WRITE", f"topic {message.topic()}")
            self._failed.append((message.key(), message.value(), reason))

    def _check(self, topic: str, count: int, unacknowledged: int) -> None:
        if self._failed:
            named = "; ".join(
                f"key {key!r}, value {_short(value)}: {reason}"
                for key, value, reason in self._failed[:NAMED_FAILURES]
            )
            raise WriteError(
                f"topic {topic}: {len(self._failed):,} of {count:,} records were not written: "
                f"{named}",
                topic=topic,
            )
        if unacknowledged:
            raise WriteError(
                f"topic {topic}: {unacknowledged:,} of {count:,} records were not acknowledged "
                f"within {self._timeout_s:.0f} s ({self._connection.reason()})",
                topic=topic,
            )


class DeadLetterWriter:
    """Writes records that cannot be decoded to a topic, each one once, with one producer.

    Args:
        settings: settings of the connection.
        topic: the topic to write to; see `dead_letters`.
    """

    def __init__(self, settings: Mapping[str, object], topic: str):
        self._settings = settings
        self._topic = topic
        self._producer: Producer | None = None
        self._done: set[Position] = set()

    def __call__(self, chunk: Chunk, faults: Sequence[_Fault]) -> None:
        """Write the records of these faults. Raises WriteError."""
        fresh = [fault for fault in faults if chunk.position(fault.index) not in self._done]
        if not fresh:
            return
        if self._producer is None:
            self._producer = Producer(self._settings, DEAD_LETTER_S, was_reached=True)
        try:
            self._producer.send(self._topic, dead_letters(chunk, fresh))
        except WriteError as error:
            # A late answer about these records must not be counted for others.
            self._producer = None
            raise WriteError(
                f"cannot write bad records, the first of them from "
                f"{chunk.position(fresh[0].index)}: {error}",
                **chunk.position(fresh[0].index)._asdict(),
            ) from error
        self._done.update(chunk.position(fault.index) for fault in fresh)


def dead_letters(chunk: Chunk, faults: Sequence[_Fault]) -> Iterator[Record]:
    """Yield the records of these faults as dead letters, with their own value, key and headers.

    The headers `tfkafka.reason`, `tfkafka.topic`, `tfkafka.partition` and `tfkafka.offset` are
    added.
    """
    _, headers = chunk.metadata
    for fault in faults:
        topic, partition, offset = chunk.position(fault.index)
        reasons = [
            ("tfkafka.reason", fault.reason),
            ("tfkafka.topic", topic),
            ("tfkafka.partition", str(partition)),
            ("tfkafka.offset", str(offset)),
        ]
        value, key = chunk.values.entries[fault.index], chunk.keys.entries[fault.index]
        yield value, key, [*headers[fault.index], *reasons]


def write(
    servers: str,
    topic: str,
    values: Iterable[Text] | Columns | Frame,
    keys: Iterable[Text] | None = None,
    *,
    encoder: ColumnEncoder | None = None,
    partition: int | None = None,
    configuration: config.Configuration = None,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Write records and return their number once the broker has acknowledged all of them.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic; it must exist, even where the broker would create it.
        values: one text or bytes for each record, None is a tombstone; or, with an encoder, columns
            with one row for each record: an array [n, ...], a dict of arrays by name, or a
            DataFrame of pandas or polars.
        keys: as many as values, texts or bytes; or None for records without keys.
        encoder: the `Encoder` that turns columns into values, for example `JsonEncoder()`.
        partition: the partition of all records; None: chosen by key, as Java clients do.
        configuration: librdkafka's settings.
        timeout_s: seconds that the acknowledgements may take once all records are in the queue.

    Raises:
        WriteError: at least one record was not acknowledged; the message has their number, and the
            first of those that were refused.
        ConfigurationError: a setting is unknown or refused.
        TypeError: a value or a key is neither text nor bytes nor None; the message has its number.
            Records before it may have been written.
        ValueError: keys and values differ in number; or the encoder cannot write the columns.

    Example:
        tfkafka.write("localhost:9092", "clicks", ["1.5,2", "0.5,3"], keys=["a", "b"])
        columns = {"x": np.array([1.5, 0.5]), "count": np.array([2, 3])}
        tfkafka.write("localhost:9092", "clicks", columns, encoder=tfkafka.JsonEncoder())
    """
    arguments.text("servers", servers)
    arguments.text("topic", topic)
    several = "a list or another iterable of texts or bytes, one for each record"
    texts, count = _values(values, encoder, several)
    arguments.optional(arguments.several, "keys", keys, several)
    partition = arguments.optional(arguments.partition, "partition", partition)
    timeout_s = arguments.seconds("timeout_s", timeout_s)
    if count is not None and isinstance(keys, Sized) and count != len(keys):
        raise ValueError(
            f"keys has {len(keys):,} entries, and values has {count:,}: give one key for each value"
        )
    pairs = zip(texts, repeat(None)) if keys is None else _pairs(texts, keys)
    settings = config.parse(configuration)
    producer = Producer(config.Settings({"bootstrap.servers": servers}) | settings, timeout_s)
    producer.connect(topic)
    return producer.send(topic, _checked(pairs), partition)


def _values(
    values: Iterable[Text] | Columns | Frame, encoder: ColumnEncoder | None, several: str
) -> tuple[Iterable[Text], int | None]:
    """Return values, and their number where it is known.

    Columns are encoded in parts, the first of them at once: what an encoder cannot write is refused
    before anything is sent.
    """
    if encoder is None:
        is_columns = isinstance(values, Mapping) or hasattr(values, "columns")
        with_encoder = ", or columns with encoder=, for example encoder=JsonEncoder()"
        arguments.several("values", None if is_columns else values, several + with_encoder)
        return values, len(values) if isinstance(values, Sized) else None  # type: ignore[return-value]  # no columns
    what = "an encoder, for example JsonEncoder(), or None"
    # Both have a method encode, and cannot encode columns.
    is_none = isinstance(encoder, type | str)
    arguments.instance("encoder", None if is_none else encoder, ColumnEncoder, what)
    columns = as_columns("values", values)
    several_parts = (
        encoded(encoder, part, number * ENCODED_ROWS)
        for number, part in enumerate(parts(columns, ENCODED_ROWS))
    )
    first = next(several_parts, [])
    return chain(first, chain.from_iterable(several_parts)), rows(columns)


def _checked(pairs: Iterable[tuple[Text, Text]]) -> Iterator[Record]:
    """Yield records with these values and keys.

    confluent-kafka would write the memory of anything that has a buffer, for example eight bytes
    for a number of NumPy's.
    """
    for number, (value, key) in enumerate(pairs):
        if value.__class__ not in _PLAIN or key.__class__ not in _PLAIN:
            _refuse_types(number, value, key)
        yield value, key, None


def _refuse_types(number: int, value: object, key: object) -> None:
    """Raise TypeError, or ValueError, where a record's value or key cannot be written."""
    for name, entry in (("values", value), ("keys", key)):
        if isinstance(entry, str):
            arguments.encodable(f"{name}[{number}]", entry)
        elif entry is not None:
            what = "text, bytes or None" + _ADVICE[name]
            arguments.instance(f"{name}[{number}]", entry, bytes, what)


def _pairs(values: Iterable[Text], keys: Iterable[Text]) -> Iterator[tuple[Text, Text]]:
    """Yield pairs of values and keys. Raises ValueError where they differ in number."""
    try:
        yield from zip(values, keys, strict=True)
    except ValueError as error:
        if not str(error).startswith("zip()"):
            raise
        raise ValueError("keys and values differ in number: give one key for each value") from None


def _short(value: Text, length: int = 40) -> str:
    if value is None or len(value) <= length:
        return repr(value)
    return f"{value[:length]!r}... ({len(value):,} bytes)"
