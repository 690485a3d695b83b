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
    """A chunk that was handed over. Not the messages themselves, which take memory.

    Attributes:
        first: the number of its first element in the iteration.
        offsets: int64 [n], of its elements.
        of: bool [n] for each partition: which of them are its.
        ends: where each partition goes on behind the chunk; those of other members are not there.
        used: bool [n].
    """

    first: int
    offsets: np.ndarray
    of: dict[tuple[str, int], np.ndarray]
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
            ends = dict(chunk.next_offsets)
            of = _of_each(kept, list(ends))
            self._entries.append(_Entry(self._elements, kept.offsets, of, ends, used))
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
                    mine = entry.of[topic, partition]
                    entry.used |= mine & np.isin(entry.offsets, wanted)

    def positions(self) -> Positions:
        """For each partition, the offset of its first record that is not used yet."""
        with self._lock:
            while self._entries and self._entries[0].used.all():
                self._settled |= self._entries.popleft().ends
            positions, blocked = dict(self._settled), set()
            for entry in self._entries:
                for key in entry.ends.keys() - blocked:
                    unused = entry.of[key] & ~entry.used
                    if unused.any():
                        blocked.add(key)
                        positions[key] = int(entry.offsets[unused.argmax()])
                    else:
                        positions[key] = entry.ends[key]
            return positions

    def forget(self, partitions: Sequence[tuple[str, int]]) -> None:
        """These partitions belong to another member now: nothing of them is committed here."""
        with self._lock:
            for key in partitions:
                self._settled.pop(key, None)
                for entry in self._entries:
                    if entry.ends.pop(key, None) is not None:
                        # Or the entry would wait for them for ever.
                        entry.used |= entry.of[key]


def _of_each(chunk: Chunk, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], np.ndarray]:
    """bool [n] for each partition: which records are its."""
    if len({topic for topic, _ in keys}) == 1:
        return {key: chunk.partitions == key[1] for key in keys}
    topics = np.array(chunk.topics, dtype=object)
    return {key: (chunk.partitions == key[1]) & (topics == key[0]) for key in keys}
