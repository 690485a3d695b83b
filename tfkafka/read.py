"""Bounded reading: the records [start, stop) of partitions, as chunks.

The end is reached by position, never by counting records: compaction, aborted transactions and
transaction markers leave offsets that no record has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, TopicPartition

from tfkafka._util.interrupts import Interrupts
from tfkafka.errors import OffsetError, ReadError, TopicError
from tfkafka.intake import MISSING, Intake, Limits
from tfkafka.records import Chunk

# librdkafka's RD_KAFKA_OFFSET_TAIL_BASE: -2000 - n is n records before the end.
OFFSET_TAIL_BASE = -2000
POLL_S = 0.1
# No group is joined and nothing committed, yet librdkafka wants a name.
_SETTINGS = {"group.id": "tfkafka-reader"}
_FIXED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # An offset that is gone is an error; to go on elsewhere would skip or repeat records.
    "auto.offset.reset": "error",
}


@dataclass(frozen=True)
class Span:
    """The offsets [start, stop) of a partition."""

    topic: str
    partition: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"topic {self.topic}, partition {self.partition}, offsets {self.start}:{self.stop}"


Start = int | datetime
Answer = TypeVar("Answer")


def pin(
    settings: Mapping[str, object],
    limits: Limits,
    topic: str,
    partitions: Sequence[int],
    start: Start = 0,
    stop: int = OFFSET_END,
) -> list[Span]:
    """What `start` and `stop` mean for these partitions now, in offsets.

    The end is the one that a consumer with these settings can reach: with `isolation.level`
    read_committed (librdkafka's default) it is before the first open transaction.

    Args:
        start: an offset; 0 is the beginning, also where the first records have been deleted; -1 is
            the end, -2000 - n is n records before it, or the beginning where there are fewer; or a
            time, the first record at or after it.
        stop: the offset behind the last one; -1 is the end, -2000 - n is n records before it.

    Raises:
        TopicError: no such topic or partition.
        OffsetError: start or stop lie outside of what the partition has.
        ReadError: no broker answers within `limits.broker_timeout`, or it refuses.
    """
    intake = Intake({**_SETTINGS, **settings, **_FIXED}, limits, [topic])
    try:
        return [
            _span(intake, limits, TopicPartition(topic, partition), start, stop)
            for partition in partitions
        ]
    finally:
        intake.consumer.close()


def read(
    spans: Sequence[Span],
    settings: Mapping[str, object],
    limits: Limits,
    max_records: int | None = None,
    waits: bool = False,
) -> Iterator[Chunk]:
    """Chunks of all records in these spans of one topic; those of a partition in their order.

    While a broker is silent, an empty chunk comes now and then, so that the caller can break off.
    `waits`: records may be written only later.

    Raises:
        ReadError: no broker answers within `limits.broker_timeout`, it refuses, or the topic was
            deleted. OffsetError: records of a span have been deleted.
    """
    spans = [span for span in spans if span.start < span.stop]
    if not spans or max_records == 0:
        return
    intake = Intake({**_SETTINGS, **settings, **_FIXED}, limits, [spans[0].topic])
    try:
        intake.consumer.assign([TopicPartition(s.topic, s.partition, s.start) for s in spans])
        yield from _chunks(intake, spans, limits, max_records, waits)
    finally:
        intake.consumer.close()


def _chunks(
    intake: Intake, spans: list[Span], limits: Limits, max_records: int | None, waits: bool
) -> Iterator[Chunk]:
    left = {span.partition: span for span in spans}
    # Then all records are of one partition, and need not be looked at one by one.
    alone = len(spans) == 1
    ends: dict[int, int] = {}
    interrupts = Interrupts()
    progress = time.monotonic()
    while left:
        taken = intake.take(POLL_S, max_records)
        chunk = Chunk(taken.records)
        reached = _next_offsets(chunk, left, alone)
        if not alone or any(offset > left[p].stop for p, offset in reached.items()):
            chunk = _inside(chunk, left)
        ends_now = {partition: offset for _, partition, offset in taken.ends}
        reached |= ends_now
        ends |= ends_now
        for partition in [p for p in left if reached.get(p, -1) >= left[p].stop]:
            topic = left.pop(partition).topic
            intake.consumer.incremental_unassign([TopicPartition(topic, partition)])
        if max_records is not None:
            chunk = chunk.select(np.arange(min(len(chunk), max_records)))
            max_records -= len(chunk)
        if not len(chunk) and left:
            if not waits and (time.monotonic() - progress) * 1000 > limits.broker_timeout:
                raise _nothing_came(intake, limits, left, ends)
            interrupts.check()
        yield chunk
        if max_records == 0:
            return
        if len(chunk):
            # The caller's time is no silence of the broker.
            progress = time.monotonic()
            intake.go_on()


def _nothing_came(
    intake: Intake, limits: Limits, left: Mapping[int, Span], ends: Mapping[int, int]
) -> ReadError:
    """Why records that must come do not: the broker is away, or it has them no more."""
    what = ", ".join(map(str, left.values()))
    if not intake.is_alive() or not all(partition in ends for partition in left):
        return intake.failure(what)
    found = ", ".join(f"partition {p} ends at offset {ends[p]}" for p in left)
    return OffsetError(f"{what}: {found}, and nothing came for {limits.broker_timeout} ms")


def _next_offsets(chunk: Chunk, left: Mapping[int, Span], alone: bool) -> dict[int, int]:
    """For each partition that is still being read, the offset behind its last record."""
    if alone and len(chunk):
        return {next(iter(left)): chunk.messages[-1].offset() + 1}
    ends = {}
    for partition in left:
        offsets = chunk.offsets[chunk.partitions == partition]
        if len(offsets):
            ends[partition] = int(offsets[-1]) + 1
    return ends


def _inside(chunk: Chunk, left: Mapping[int, Span]) -> Chunk:
    """The records that lie before the stop of a span that is still being read."""
    inside = np.zeros(len(chunk), np.bool_)
    for partition, span in left.items():
        inside |= (chunk.partitions == partition) & (chunk.offsets < span.stop)
    return chunk if inside.all() else chunk.select(np.flatnonzero(inside))


def _refuse_missing(
    intake: Intake, limits: Limits, topic: str, partition: int, error: ReadError
) -> None:
    """Raise TopicError if `error` comes from a topic or partition that is not there."""
    if error.__cause__.args[0].code() not in MISSING:
        return
    found = _ask(
        limits, topic, lambda timeout: intake.consumer.list_topics(topic, timeout=timeout)
    ).topics[topic]
    if not found.partitions:
        raise TopicError(f"there is no topic {topic} on {intake.servers}: create it first")
    if partition not in found.partitions:
        raise TopicError(
            f"topic {topic} on {intake.servers} has no partition {partition}, "
            f"it has 0 to {len(found.partitions) - 1}"
        )


def _span(
    intake: Intake, limits: Limits, partition: TopicPartition, start: Start, stop: int
) -> Span:
    where = f"topic {partition.topic}, partition {partition.partition}"
    try:
        first, end = _ask(
            limits, where, lambda timeout: intake.consumer.get_watermark_offsets(partition, timeout)
        )
    except ReadError as error:
        _refuse_missing(intake, limits, partition.topic, partition.partition, error)
        raise
    if isinstance(start, datetime):
        begin = _at_time(intake, limits, partition, start, end)
    else:
        begin = _resolve(start, end)
        begin = max(first, begin) if start <= OFFSET_TAIL_BASE else begin
    begin = first if begin in (0, OFFSET_BEGINNING) else begin
    behind = _resolve(stop, end)
    if begin < first:
        raise OffsetError(
            f"{where}: offset {begin} was asked for, but all before {first} have been deleted"
        )
    if not begin <= behind <= end:
        raise OffsetError(f"{where}: offsets {begin}:{behind} are not within {first}:{end}")
    return Span(partition.topic, partition.partition, begin, behind)


def _resolve(offset: int, end: int) -> int:
    if offset == OFFSET_END:
        return end
    if offset <= OFFSET_TAIL_BASE:
        return max(0, end - (OFFSET_TAIL_BASE - offset))
    if offset < 0 and offset != OFFSET_BEGINNING:
        raise OffsetError(f"{offset} is not an offset: 0 and above, -1 for the end")
    return offset


def _at_time(
    intake: Intake, limits: Limits, partition: TopicPartition, time: datetime, end: int
) -> int:
    if time.tzinfo is None:
        raise ValueError(f"start={time} has no time zone: give a datetime with tzinfo")
    asked = TopicPartition(partition.topic, partition.partition, int(time.timestamp() * 1000))
    (found,) = _ask(
        limits,
        partition.topic,
        lambda timeout: intake.consumer.offsets_for_times([asked], timeout=timeout),
    )
    return end if found.offset < 0 else min(found.offset, end)


def _ask(limits: Limits, what: str, question: Callable[[float], Answer]) -> Answer:
    try:
        return question(limits.broker_timeout / 1000)
    except KafkaException as error:
        raise ReadError(f"{what}: {error.args[0].str()}") from error
