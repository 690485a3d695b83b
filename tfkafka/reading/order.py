"""The order of the records of several partitions: a function of their ranges alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Chunk, OffsetRange, Positions, TopicPartition, empty, select_from

NOWHERE: Positions = MappingProxyType({})
# The name of `Merge`'s order in a manifest.
ORDER = "partitions interleaved in proportion to the lengths of their ranges"


class Merge:
    """Interleaves partitions in proportion to their lengths, whenever their records arrive.

    A record at offset o of the range [start, stop) has the place (o - start + 1/2) / (stop - start)
    between 0 and 1. Records come in the order of their places; equal places, in the order of the
    ranges. So the order is the same in each epoch and process. Offsets without a record do not
    change the order of the others.

    Args:
        ranges: the ranges; none may be empty.
        reached: the next offset of each partition; one that is missing begins at its start.
    """

    def __init__(self, ranges: Sequence[OffsetRange], reached: Positions = NOWHERE):
        self._queues = [_Queue(each) for each in ranges]
        self._number = {each.source: number for number, each in enumerate(ranges)}
        self._is_sorted = len(ranges) == 1
        self._ready: list[Chunk] = []
        for source, offset in reached.items():
            self._queues[self._number[source]].reach(offset)

    def __len__(self) -> int:
        """Return the number of records that wait."""
        return sum(map(len, self._ready)) + sum(map(len, self._queues))

    @property
    def nbytes(self) -> int:
        """The memory of the records that wait, in bytes."""
        return sum(queue.nbytes for queue in self._queues) + sum(c.nbytes for c in self._ready)

    def add(self, chunk: Chunk, reached: Mapping[TopicPartition, int]) -> None:
        """Add records that arrived.

        Args:
            chunk: the records.
            reached: the next offset of each partition that was read: all records before it have
                been added.
        """
        if self._is_sorted:
            self._ready += [chunk] if len(chunk) else []
            return
        for number, source in enumerate(chunk.sources):
            mine = np.flatnonzero(chunk.source == number)
            if len(mine):
                self._queues[self._number[source]].add(_part(chunk, mine))
        for source, offset in reached.items():
            self._queues[self._number[source]].reach(offset)

    def is_ready(self) -> bool:
        """Return whether `take` has records to return before more are added."""
        return bool(self._ready)

    def waiting(self) -> dict[TopicPartition, int]:
        """Return for each partition the memory, in bytes, of its records not in order yet."""
        return {queue.source: queue.nbytes for queue in self._queues}

    def awaited(self) -> TopicPartition:
        """Return the partition whose next record must come before any more can be taken."""
        return self._queues[self._blocking()].source

    def take(self, at_most: int) -> Chunk:
        """Return the next records whose order is certain, at most `at_most`."""
        if not self._ready:
            self._merge()
        if not self._ready:
            return empty()
        if len(self._ready[0]) <= at_most:
            return self._ready.pop(0)
        taken, self._ready[0] = self._ready[0][:at_most], self._ready[0][at_most:]
        return taken

    def _blocking(self) -> int:
        return min(range(len(self._queues)), key=lambda number: self._queues[number].frontier)

    def _merge(self) -> None:
        blocking = self._blocking()
        limit = self._queues[blocking].frontier
        taken = [
            queue.take_before(limit, or_at=number < blocking)
            for number, queue in enumerate(self._queues)
        ]
        chunks = [chunk for queue in taken for chunk, _ in queue]
        if chunks:
            places = np.concatenate([place for queue in taken for _, place in queue])
            self._ready = [select_from(chunks, np.argsort(places, kind="stable"))]


class _Queue:
    """The waiting records of one range, with their places."""

    def __init__(self, each: OffsetRange):
        self.source = each.source
        self._start, self._stop = each.start, each.stop
        self._waiting: list[tuple[Chunk, NDArray[np.float64]]] = []
        self.frontier = self._place(each.start)

    def __len__(self) -> int:
        return sum(len(chunk) for chunk, _ in self._waiting)

    @property
    def nbytes(self) -> int:
        return sum(chunk.nbytes for chunk, _ in self._waiting)

    def add(self, chunk: Chunk) -> None:
        self._waiting.append((chunk, self._place(chunk.offsets)))

    def reach(self, offset: int) -> None:
        """Note that all records before `offset` were added."""
        self.frontier = self._place(offset)

    def take_before(self, limit: float, or_at: bool) -> list[tuple[Chunk, NDArray[np.float64]]]:
        """Take the records whose places are before `limit`, or at it where `or_at`."""
        taken = []
        while self._waiting:
            chunk, places = self._waiting[0]
            count = int(np.searchsorted(places, limit, "right" if or_at else "left"))
            if count < len(chunk):
                if count:
                    taken.append((chunk[:count], places[:count]))
                    self._waiting[0] = chunk[count:], places[count:]
                break
            taken.append(self._waiting.pop(0))
        return taken

    @overload
    def _place(self, offset: int) -> float: ...
    @overload
    def _place(self, offset: NDArray[np.int64]) -> NDArray[np.float64]: ...
    def _place(self, offset: int | NDArray[np.int64]) -> float | NDArray[np.float64]:
        return (offset - self._start + 0.5) / (self._stop - self._start)


def _part(chunk: Chunk, mine: NDArray[np.int64]) -> Chunk:
    """Return the records of one partition, whose indices are `mine`, ascending.

    They are copied unless they are most of the chunk and come together, as brokers send them: a
    few records must not keep the memory of all others.
    """
    start, stop = int(mine[0]), int(mine[-1]) + 1
    is_together = stop - start == len(mine)
    return chunk[start:stop] if is_together and 2 * len(mine) > len(chunk) else chunk.select(mine)
