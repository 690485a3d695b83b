"""Reading of planned records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkafka import config
from tfkafka.chunk import Chunk, OffsetRange, TopicPartition, concat
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import BadRecords, Counts
from tfkafka.decoding.base import Arrays, decode_checked, needs_headers, only_finite
from tfkafka.metrics.meter import Meter
from tfkafka.online.planner import TopicEnds
from tfkafka.online.stream import Stream
from tfkafka.reading.ranges import Identity, TopicRanges, read


@dataclass(frozen=True)
class MiniDataset:
    """The planned records, as `train` gets them.

    Attributes:
        plan: the offsets of all processes.
        arguments: of `train`, after the model.
        counts: the records of all processes.
    """

    plan: list[OffsetRange]
    arguments: tuple[Any, ...]
    counts: Counts

    @property
    def records(self) -> int:
        """The number of records to train on."""
        return self.counts.used


@dataclass(frozen=True)
class Part:
    """The records of this process.

    Attributes:
        records: those that could be decoded, partition by partition, each in its order.
        arrays: as the decoder made them, a row for each record.
        counts: their numbers.
    """

    records: Chunk
    arrays: tuple[Arrays, ...]
    counts: Counts


class PlanReader:
    """Reads the records of plans, always in the same order.

    Args:
        stream: the stream.
        settings: a consumer's settings.
        topic: the identity of the topic.
        ends: asks for the first offsets.
        bad_records: the policy for records that cannot be decoded.
        notify: called with a line about records that are gone.
        meter: measures reading and decoding.
    """

    def __init__(
        self,
        stream: Stream,
        settings: config.Settings,
        topic: Identity,
        ends: TopicEnds,
        bad_records: BadRecords,
        notify: Callable[[str], None],
        meter: Meter,
    ):
        self._stream, self._settings, self._topic = stream, settings, topic
        self._ends, self._notify, self._meter = ends, notify, meter
        self._limits = Limits(broker_timeout=stream.broker_timeout)
        self.decode = only_finite(stream.decode)
        self._bad_records = bad_records
        self._bad_records.total = meter.counts
        self._metadata = stream.dead_letter_topic is not None or needs_headers(self.decode)

    def read(
        self, ranges: Sequence[OffsetRange], epochs: Mapping[TopicPartition, int | None]
    ) -> Part:
        """Return the records of some ranges.

        Args:
            ranges: the offsets, at most one range of each partition.
            epochs: see `reading.ranges.read`.
        """
        left, gone = self._still_there(ranges)
        chosen = TopicRanges(self._topic, tuple(left))
        reading = read(chosen, self._settings, self._limits, metadata=self._metadata, epochs=epochs)
        with self._meter.stage("read"):
            chunk = concat(list(reading))
        chunk = chunk.select(np.argsort(chunk.partitions, kind="stable"))
        with self._meter.stage("decode"):
            decoded = decode_checked(self.decode, chunk)
        counts = self._bad_records.counts = Counts(missing=gone)
        self._bad_records.handle(chunk, decoded.faults, decoded.absent)
        return Part(decoded.records(chunk), decoded.arrays, counts)

    def _still_there(self, ranges: Sequence[OffsetRange]) -> tuple[list[OffsetRange], int]:
        """Return the ranges without records that are gone, where the stream allows that.

        Return the number of the others, too.
        """
        if self._stream.on_missing_offsets == "error":
            return list(ranges), 0
        first = self._ends.begins()
        left = [each.since(first[each.partition]) for each in ranges]
        if gone := sum(map(len, ranges)) - sum(map(len, left)):
            self._notify(
                f"topic {self._topic.topic}: {gone:,} records were deleted before they "
                f"were read; continuing at the first that is there"
            )
        return left, gone


def merged(each: Iterable[Counts]) -> Counts:
    """Return the counts of all processes together."""
    total = Counts()
    for counts in each:
        total.merge(counts)
    return total
