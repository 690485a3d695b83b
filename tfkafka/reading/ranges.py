"""Bounded reading: the offsets [start, stop) of partitions, and the records in them.

The end is found by position, never by counting records: compaction, aborted transactions and
transaction markers leave offsets without a record.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

import numpy as np

from tfkafka import config
from tfkafka._util.silence import Silence
from tfkafka.chunk import Chunk, OffsetRange, Positions, TopicPartition, empty
from tfkafka.client.cluster import Cluster, TopicDescription
from tfkafka.client.consumer import Consumer, Polled
from tfkafka.client.identity import Check, TopicGuard, topics_before_offsets
from tfkafka.client.lineage import Lineage
from tfkafka.config import Limits
from tfkafka.errors import OffsetError, ReadError
from tfkafka.reading.bounds import (
    Bounds,
    existing,
    of_each,
    offsets_of,
    refuse_wrong_bounds,
    within,
)
from tfkafka.reading.missing import missing, replaced
from tfkafka.reading.order import NOWHERE, Merge

POLL_S = 0.05
SOON_S = 0.002
CHUNKS_HELD = 4
NAMED_RANGES = 5
SMALL_CHUNK_BYTES = 1 << 20
NO_EPOCHS: Mapping[TopicPartition, int | None] = MappingProxyType({})


@dataclass(frozen=True)
class Identity:
    """A topic's identity, which is more than its name.

    Attributes:
        topic: the topic's name.
        cluster_id: the cluster's id.
        topic_id: the topic's id; a topic that is deleted and created again has a new one. None
            from a broker before Kafka 2.8.
    """

    topic: str
    cluster_id: str
    topic_id: str | None


@dataclass(frozen=True)
class TopicRanges:
    """Ranges of a topic, and which topic they are of.

    Attributes:
        identity: the topic's identity when the ranges were determined.
        ranges: the offsets of each partition.
    """

    identity: Identity
    ranges: tuple[OffsetRange, ...]

    @property
    def topic(self) -> str:
        return self.identity.topic


def identify(settings: Mapping[str, object], limits: Limits, topic: str) -> Identity:
    """Return the identity that a topic has now.

    Raises TopicError where there is no such topic, ReadError where no broker answers.
    """
    cluster = Cluster(settings, limits.broker_timeout)
    return _identity(cluster, topic, cluster.describe(topic))


def resolve(
    settings: Mapping[str, object],
    limits: Limits,
    topic: str,
    partitions: Sequence[int] | None = None,
    start: Bounds = "earliest",
    stop: Bounds = "latest",
) -> TopicRanges:
    """Return the offsets that `start` and `stop` stand for now, for each of these partitions.

    The end is the one that a consumer with these settings can reach: with `isolation.level`
    read_committed (librdkafka's default) it is before the first open transaction.

    Args:
        partitions: the numbers of the partitions; None: all.
        start: an offset; "earliest", the first offset; "latest", the current end; a time, for the
            first record at or after it; `Last`; or one of these for each partition.
        stop: the exclusive end, given in the same ways.

    Raises:
        TopicError: there is no such topic or partition.
        TypeError, ValueError: a bound is none of these.
        OffsetError: start or stop is outside the partition.
        ReadError: no broker answers within `limits.broker_timeout`, or it refuses.
    """
    refuse_wrong_bounds(start, stop)
    cluster = Cluster(settings, limits.broker_timeout)
    description = cluster.describe(topic)
    partitions = existing(cluster, topic, description.partitions, partitions)
    first = cluster.first_offsets(topic, partitions)
    found = cluster.ends(topic, partitions)
    ends = {partition: end.offset for partition, end in found.items()}
    starts, stops = (
        offsets_of(cluster, topic, of_each(name, bounds, partitions), first, ends)
        for name, bounds in (("start", start), ("stop", stop))
    )
    ranges = (
        within(TopicPartition(topic, p), starts[p], stops[p], first[p], found[p])
        for p in partitions
    )
    return TopicRanges(_identity(cluster, topic, description), tuple(ranges))


def _identity(cluster: Cluster, topic: str, description: TopicDescription) -> Identity:
    return Identity(topic, cluster.cluster_id(), description.identity)


def read(
    chosen: TopicRanges,
    settings: Mapping[str, object],
    limits: Limits,
    max_records: int | None = None,
    *,
    waits: bool = False,
    metadata: bool = False,
    reached: Positions = NOWHERE,
    epochs: Mapping[TopicPartition, int | None] = NO_EPOCHS,
) -> Generator[Chunk, None, None]:
    """Yield the records of ranges of one topic, in the order of `order.Merge`.

    While a broker is silent, an empty chunk is yielded now and then, so that the caller can stop.

    Args:
        chosen: the ranges. Records of another topic of the same name are never yielded.
        max_records: stop after this number of records; None: after all.
        waits: whether to wait for records that are not written yet.
        metadata: whether chunks have timestamps and headers.
        reached: the offset to start each partition at, in the order of the whole ranges; a
            partition that is missing is read from its start.
        epochs: the leaders' epochs of the records before the ranges, where they are known.

    Raises:
        ReadError: no broker answers within `limits.broker_timeout`, it refuses, or the topic was
            deleted.
        TopicError: the topic was deleted and created again.
        OffsetError: records of a range have been deleted, or a broker without them became the
            leader; or a broker without the records before the range, where `epochs` has theirs.
    """
    ranges = [each for each in chosen.ranges if len(each)]
    left = [each.since(reached.get(each.source, each.start)) for each in ranges]
    if not any(map(len, left)) or max_records == 0:
        return
    lineage = Lineage()
    for each, rest in zip(ranges, left, strict=True):
        if rest.start == each.start:
            lineage.begin(each.source, each.start, epochs.get(each.source))
    reading = _Reading(chosen.identity, ranges, left, settings, limits, waits, metadata, lineage)
    try:
        with topics_before_offsets(reading.guard):
            yield from _confirmed(reading, _limited(reading, max_records))
    finally:
        reading.close()


def _limited(reading: _Reading, max_records: int | None) -> Iterator[Chunk]:
    """Yield chunks until the ranges, or `max_records` records, are read."""
    wanted = math.inf if max_records is None else max_records
    while wanted and not reading.is_done():
        chunk = reading.next_chunk(max_records)
        if len(chunk) > wanted:
            chunk = chunk[: int(wanted)]
        wanted -= len(chunk)
        yield chunk


def _confirmed(reading: _Reading, chunks: Iterator[Chunk]) -> Generator[Chunk, None, None]:
    """Yield each chunk once its topic is confirmed, while the next one is fetched."""
    held: deque[tuple[Chunk, Check]] = deque()
    for chunk in chunks:
        if len(chunk):
            held.append((chunk, reading.ask()))
        elif not held:
            yield chunk
        while held and (held[0][1].done() or len(held) > CHUNKS_HELD):
            yield _take(held)
            # The caller's time does not count as silence of the broker.
            reading.go_on()
        reading.hurries = bool(held)
    if reading.is_unasked:
        held.append((empty(), reading.ask()))
    while held:
        yield _take(held)


def _take(held: deque[tuple[Chunk, Check]]) -> Chunk:
    """Return the oldest chunk, or an empty one while its check takes long; raise what it raises."""
    chunk, check = held[0]
    wait([check], POLL_S)
    if not check.done():
        return empty()
    held.popleft()
    check.result()
    return chunk


def why_empty(ranges: Sequence[OffsetRange], reached: Positions, max_records: int | None) -> str:
    """Return why these ranges have no record, for a warning; "" where none were asked for.

    Args:
        reached: as for `read`.
    """
    if max_records == 0:
        return ""
    named = "; ".join(map(str, ranges[:NAMED_RANGES])) + "; ..." * (len(ranges) > NAMED_RANGES)
    offsets = sum(map(len, ranges))
    if offsets and reached:
        return f"all records of {named} were used before"
    if offsets:
        return (
            f"{offsets:,} offsets are without a record ({named}): their records were compacted, or "
            f"belong to aborted transactions"
        )
    return f"its ranges are empty ({named}): check start and stop, or call refresh() after writing"


class _Reading:
    """Ranges that are being read, and their progress.

    Args:
        identity: which topic the ranges are of.
        ranges: the whole ranges, which decide the order.
        left: the part of each range that is still to be read.
        lineage: what is known of the records before it.

    Attributes:
        guard: asks whether the topic is the same.
        hurries: whether a chunk waits for its confirmation, so that the caller cannot wait long.
        is_unasked: whether more was read, or an end reached, since the last `ask`.
    """

    def __init__(
        self,
        identity: Identity,
        ranges: Sequence[OffsetRange],
        left: Sequence[OffsetRange],
        settings: Mapping[str, object],
        limits: Limits,
        waits: bool,
        metadata: bool,
        lineage: Lineage,
    ):
        self._lineage = lineage
        self._limits = limits
        self._topic = identity.topic
        self._cluster = Cluster(settings, limits.broker_timeout, was_reached=True)
        self.guard: TopicGuard = TopicGuard(self._cluster)
        self.guard.expect(**asdict(identity))
        self._waits = waits
        self._left = {each.source: each for each in left if len(each)}
        self._ends: dict[TopicPartition, int] = {}
        self._merge = Merge(ranges, {each.source: each.start for each in left})
        self._paused: set[TopicPartition] = set()
        self.hurries: bool = False
        self.is_unasked: bool = False
        self._consumer = Consumer(
            config.RANGES_DEFAULTS | dict(settings),
            _with_small_chunks(limits, len(ranges)),
            [identity.topic],
            metadata=metadata,
            alone=ranges[0].source if len(ranges) == 1 else None,
            was_reached=True,
            lineage=lineage,
        )
        self._consumer.assign(self._left.values())
        self._silence = Silence()

    def is_done(self) -> bool:
        return not self._left and not len(self._merge)

    def close(self) -> None:
        self.guard.close()
        self._consumer.close()

    def ask(self) -> Check:
        """Return the check that is due after records were fetched."""
        self.is_unasked = False
        return self.guard.ask([self._topic])

    def go_on(self) -> None:
        self._silence.end()
        self._consumer.go_on()

    def next_chunk(self, at_most: int | None) -> Chunk:
        """Return the next records; an empty chunk while none have arrived."""
        if self._left and not self._merge.is_ready():
            self._poll(at_most)
        return self._merge.take(self._limits.chunk_records)

    def _poll(self, at_most: int | None) -> None:
        began_s = time.monotonic()
        self._pause_those_ahead()
        self.guard.watch([self._topic])
        polled = self._consumer.poll(SOON_S if self.hurries else POLL_S, at_most)
        for source, offset in polled.missing.items():
            self._continue_at(source, offset)
        self._refuse_replaced(polled)
        reached = polled.chunk.next_offsets | polled.ends
        self.is_unasked |= bool(reached)
        self._ends |= polled.ends
        self._merge.add(_inside(polled.chunk, self._left, reached), reached)
        done = [s for s, offset in reached.items() if s in self._left and self._is_read(s, offset)]
        for source in done:
            del self._left[source]
        if done:
            self._consumer.leave_out(done)
        if len(polled.chunk):
            self._silence.end()
        elif self._left:
            self._silence.waited(time.monotonic() - began_s)
            self._refuse_silence()

    def _is_read(self, source: TopicPartition, offset: int) -> bool:
        return offset >= self._left[source].stop

    def _refuse_replaced(self, polled: Polled) -> None:
        """Raise OffsetError where a range has records that were not there when it was chosen.

        Their leader's epoch is greater: a broker became the leader that had lost the others.
        """
        for source in self._left.keys() & polled.truncated.keys():
            raise replaced(self._left[source])
        for source, offset in polled.chunk.next_offsets.items():
            left = self._left.get(source)
            if left is None or left.leader_epoch is None:
                continue
            epoch = self._lineage.before(source, min(offset, left.stop))
            if epoch is not None and epoch > left.leader_epoch:
                raise replaced(left)

    def _pause_those_ahead(self) -> None:
        """Pause partitions whose waiting records exceed their share of memory.

        A paused partition is resumed only after most of its records are taken: librdkafka throws
        away what it has fetched of a partition that is paused.
        """
        waiting = {s: each for s, each in self._merge.waiting().items() if s in self._left}
        total, bound = self._merge.nbytes, self._limits.buffer_bytes
        share = bound // len(self._left)
        if total > bound:
            paused = set(waiting)
        elif total > bound // 2:
            paused = {s for s, nbytes in waiting.items() if nbytes > share}
        else:
            paused = set()
        paused |= {s for s in self._paused & waiting.keys() if waiting[s] > share // 4}
        paused.discard(self._merge.awaited())
        if ahead := paused - self._paused:
            self._consumer.pause(ahead)
        if behind := (self._paused & waiting.keys()) - paused:
            self._consumer.resume(behind)
        self._paused = paused

    def _refuse_silence(self) -> None:
        if not self._waits and self._silence.seconds * 1000 > self._limits.broker_timeout:
            raise self._nothing_came()

    def _continue_at(self, source: TopicPartition, offset: int) -> None:
        """Fetch an offset again that a new leader did not have yet. Raises where it is gone."""
        self.guard.confirm()
        place = (source.topic, [source.partition])
        first = self._cluster.first_offsets(*place)[source.partition]
        end = self._cluster.end_offsets(*place)[source.partition]
        if not first <= offset <= end:
            raise missing(source, offset, first, end)
        self._consumer.start_again_at({source: offset})

    def _nothing_came(self) -> ReadError:
        """Return the error for missing records: the broker is away, or no longer has them."""
        what = ", ".join(map(str, self._left.values()))
        if not self._consumer.is_alive() or self._left.keys() - self._ends.keys():
            return self._consumer.failure(what)
        found = ", ".join(
            f"partition {source.partition} ends at offset {self._ends[source]}"
            for source in self._left
        )
        return OffsetError(
            f"{what}: {found}, and nothing came for {self._limits.broker_timeout} ms",
            **next(iter(self._left))._asdict(),
        )


def _with_small_chunks(limits: Limits, ranges: int) -> Limits:
    """Return limits with smaller chunks where several partitions share the buffer."""
    share = limits.buffer_bytes // (2 * ranges)
    return replace(limits, chunk_bytes=min(limits.chunk_bytes, max(SMALL_CHUNK_BYTES, share)))


def _inside(
    chunk: Chunk,
    left: Mapping[TopicPartition, OffsetRange],
    reached: Mapping[TopicPartition, int],
) -> Chunk:
    """Return the records before the stop of a range that is still being read."""
    if not len(chunk):
        return empty()
    if all(s in left and reached[s] <= left[s].stop for s in chunk.next_offsets):
        return chunk
    stops = [left[source].stop if source in left else 0 for source in chunk.sources]
    return chunk.select(chunk.offsets < np.array(stops, np.int64)[chunk.source])
