"""Which records were handed to TensorFlow, which of them are used, and what may be committed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfkafka.records import Chunk

Positions = dict[tuple[str, int], int]


@dataclass
class _Entry:
    """A chunk that was handed over: where each partition goes on behind it, and what is used."""

    first: int
    kept: Chunk
    ends: Positions
    used: np.ndarray


class Ledger:
    """The elements of one iteration, in the order in which they were handed over.

    A record that became no element (a poisoned one that was skipped) counts as used.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque()
        self._settled: Positions = {}
        self._elements = 0

    def add(self, chunk: Chunk, kept: Chunk) -> None:
        """A chunk is handed over; `kept` are those of its records that are elements."""
        if not len(chunk):
            return
        with self._lock:
            used = np.zeros(len(kept), np.bool_)
            self._entries.append(_Entry(self._elements, kept, chunk.next_offsets, used))
            self._elements += len(kept)

    def use_all(self) -> None:
        """All that was handed over is used."""
        with self._lock:
            for entry in self._entries:
                entry.used[:] = True

    def use_first(self, elements: int) -> None:
        """The first so many elements of the iteration are used."""
        with self._lock:
            for entry in self._entries:
                entry.used[: max(0, elements - entry.first)] = True

    def use(self, topics: Sequence[str], partitions: np.ndarray, offsets: np.ndarray) -> None:
        """The records at these positions are used, whatever their order."""
        topics = np.asarray(topics)
        with self._lock:
            for entry in self._entries:
                for topic, partition in entry.ends:
                    wanted = offsets[(topics == topic) & (partitions == partition)]
                    mine = _of(entry.kept, topic, partition)
                    entry.used |= mine & np.isin(entry.kept.offsets, wanted)

    def positions(self) -> Positions:
        """For each partition, the offset of its first record that is not used yet."""
        with self._lock:
            while self._entries and self._entries[0].used.all():
                self._settled |= self._entries.popleft().ends
            positions, blocked = dict(self._settled), set()
            for entry in self._entries:
                for key in entry.ends.keys() - blocked:
                    unused = _of(entry.kept, *key) & ~entry.used
                    if unused.any():
                        blocked.add(key)
                        positions[key] = int(entry.kept.offsets[unused.argmax()])
                    else:
                        positions[key] = entry.ends[key]
            return positions

    def forget(self, partitions: Sequence[tuple[str, int]]) -> None:
        """These partitions belong to another member now: nothing of them is committed here."""
        with self._lock:
            for positions in [self._settled, *(entry.ends for entry in self._entries)]:
                for key in partitions:
                    positions.pop(key, None)


def _of(chunk: Chunk, topic: str, partition: int) -> np.ndarray:
    """bool [n]: which records are of this partition."""
    same = chunk.partitions == partition
    if len(chunk) and len(set(chunk.topics)) > 1:
        same &= np.asarray(chunk.topics) == topic
    return same
