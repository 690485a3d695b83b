"""The filler: makes chunks of what a Kafka client delivers."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import NoReturn, Protocol

import confluent_kafka
import numpy as np
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, Message
from numpy.typing import NDArray

from tfkafka.chunk import (
    NO_TIMESTAMP,
    Chunk,
    Column,
    Position,
    TopicPartition,
    concat,
    empty,
)
from tfkafka.client.lineage import Lineage
from tfkafka.errors import BadRecordError

# How long a chunk that is not full may wait for more records.
LINGER_S = 0.01
# Few enough messages at a time that a new one reuses memory still in the processor's cache, and
# that other threads get Python's lock now and then.
PIECE_RECORDS = 1024

# Called by `map`, which takes half the time of a loop in Python.
_ERROR, _VALUE, _KEY, _TOPIC, _PARTITION, _OFFSET, _TIMESTAMP, _HEADERS = map(
    methodcaller,
    ("error", "value", "key", "topic", "partition", "offset", "timestamp", "headers"),
)


@dataclass(frozen=True)
class Event:
    """What arrived in place of a record: a partition's end, or an error of it or of the client."""

    error: KafkaError
    source: TopicPartition | None
    offset: int | None


@dataclass(frozen=True)
class Filled:
    """The result of one call of `Filler.fill`."""

    chunk: Chunk
    events: Sequence[Event] = ()


class Filler(Protocol):
    """Takes the records that a client has received, as columns."""

    def expect(self, partitions: Iterable[TopicPartition]) -> None:
        """Note partitions that are about to be assigned."""

    def close(self) -> None:
        """Take no more records. Must come before the client is closed."""

    def fill(self, timeout_s: float, at_most: int, most_bytes: int) -> Filled:
        """Wait at most `timeout_s` for a record, then take those that follow at once.

        Args:
            timeout_s: how long to wait for the first one, seconds.
            at_most: so many records are taken at most.
            most_bytes: from about so many bytes of values on no more are taken.
        """


class PythonFiller:
    """Makes chunks of confluent-kafka's messages, and drops the messages at once.

    Args:
        consumer: confluent-kafka's.
        metadata: whether chunks have timestamps and headers.
        alone: the only partition that is read, where there is one: the partition of each record
            need not be looked up then.
        lineage: where the leaders' epochs of records are noted.
    """

    def __init__(
        self,
        consumer: confluent_kafka.Consumer,
        metadata: bool = False,
        alone: TopicPartition | None = None,
        lineage: Lineage | None = None,
    ):
        self._consumer = consumer
        self._metadata = metadata
        self._alone = alone
        self._lineage = lineage or Lineage()
        self._sources: dict[tuple[str, int], int] = {}
        self._pieces: list[Chunk] = []
        self._events: list[Event] = []

    def expect(self, partitions: Iterable[TopicPartition]) -> None:
        """Do nothing: the client delivers the records of all partitions."""

    def close(self) -> None:
        """Do nothing: this filler holds nothing of the client."""

    def fill(self, timeout_s: float, at_most: int, most_bytes: int) -> Filled:
        """See `Filler.fill`."""
        self._pieces, self._events = [], []
        first = self._consumer.poll(timeout_s)
        if first is None:
            return Filled(empty())
        self._add([first])
        if first.error() is None:
            # The others are taken to be as large: their sizes are known only once they are taken.
            fitting = most_bytes // max(1, len(first.value() or b""))
            with _collector_paused():
                self._consume(min(at_most, fitting) - 1)
        return Filled(concat(self._pieces), self._events)

    def _consume(self, missing: int) -> None:
        while (wanted := min(PIECE_RECORDS, missing)) > 0:
            messages = self._consumer.consume(wanted, LINGER_S)
            self._add(messages)
            missing -= wanted
            if len(messages) < wanted:
                return

    def _add(self, messages: list[Message]) -> None:
        if any(map(_ERROR, messages)):
            self._events += [
                Event(error, _source_of(message), message.offset())
                for message in messages
                if (error := message.error()) is not None
            ]
            messages = [message for message in messages if message.error() is None]
        if messages:
            self._pieces.append(self._columns(messages))

    def _columns(self, messages: list[Message]) -> Chunk:
        count = len(messages)
        sources, source = self._source(messages)
        return Chunk(
            Column.of(map(_VALUE, messages), count),
            Column.of(map(_KEY, messages), count),
            sources,
            source,
            self._offsets(messages),
            _timestamps(messages) if self._metadata else None,
            _headers(messages) if self._metadata else None,
        )

    def _offsets(self, messages: list[Message]) -> NDArray[np.int64]:
        first, last = _OFFSET(messages[0]), _OFFSET(messages[-1])
        if self._alone is not None and last - first == len(messages) - 1:
            return np.arange(first, last + 1, dtype=np.int64)
        return np.fromiter(map(_OFFSET, messages), np.int64, len(messages))

    def _source(
        self, messages: list[Message]
    ) -> tuple[tuple[TopicPartition, ...], NDArray[np.int32]]:
        if self._alone is not None:
            self._note_epochs(self._alone, messages[-1], messages)
            return (self._alone,), np.zeros(len(messages), np.int32)
        pairs = list(zip(map(_TOPIC, messages), map(_PARTITION, messages), strict=True))
        last = dict(zip(pairs, messages, strict=True))
        for pair in last.keys() - self._sources.keys():
            self._sources[pair] = len(self._sources)
        for pair, message in last.items():
            self._note_epochs(TopicPartition(*pair), message, messages)
        source = np.fromiter(map(self._sources.__getitem__, pairs), np.int32, len(pairs))
        return tuple(TopicPartition(*pair) for pair in self._sources), source

    def _note_epochs(
        self, source: TopicPartition, last: Message, messages: Sequence[Message]
    ) -> None:
        """Note the leaders' epochs of a partition's messages, of which `last` is the last.

        They ascend, so there is no new one unless the last message has one.
        """
        latest = self._lineage.latest(source)
        if last.leader_epoch() == latest:
            return
        for message in messages:
            epoch = message.leader_epoch()
            if epoch != latest and _source_of(message) == source:
                latest = epoch
                self._lineage.note(source, _OFFSET(message), epoch)


def _source_of(message: Message) -> TopicPartition | None:
    topic, partition = message.topic(), message.partition()
    return None if topic is None or partition is None else TopicPartition(topic, partition)


def _timestamps(messages: list[Message]) -> NDArray[np.int64]:
    return np.array(
        [
            NO_TIMESTAMP if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds
            for kind, milliseconds in map(_TIMESTAMP, messages)
        ],
        np.int64,
    )


def _headers(messages: list[Message]) -> NDArray[np.object_]:
    """Return the headers. Raises BadRecordError where the name of one is not UTF-8."""
    found: list[list[tuple[str, bytes | None]]] = []
    try:
        for headers in map(_HEADERS, messages):
            found.append(headers or [])
    except SystemError:
        # Of confluent-kafka 2.12, in place of a UnicodeDecodeError. A second call would return what
        # it has not filled.
        source = _source_of(messages[len(found)])
        if source is not None:
            refuse_header_name(source, _OFFSET(messages[len(found)]))
        raise
    return np.fromiter(found, object, len(found))


def refuse_header_name(source: TopicPartition, offset: int) -> NoReturn:
    """Raise BadRecordError for a record whose headers cannot be read."""
    where = Position(*source, offset)
    raise BadRecordError(
        f"{where}: the name of a header is not UTF-8, and Kafka's client for Python cannot read "
        f"it: read without headers, that is without metadata, dead letters and labels from headers",
        **where._asdict(),
    ) from None


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector, which would look for cycles after every 700 messages.

    Messages have none, and the search takes as long as the reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
