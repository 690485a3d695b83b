"""The chunk: columns of records, which flow from Kafka to a model.

Nothing here knows a Kafka client. Columns are NumPy arrays, laid out as Apache Arrow lays them out
(https://arrow.apache.org/docs/format/Columnar.html, "Variable-size Binary Layout").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

NO_TIMESTAMP = -1
# Of a bytes object beside its content (sys.getsizeof(b"") in CPython), and of the pointer to it.
BYTES_OBJECT_SIZE = 33 + 8


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"topic {self.topic}, partition {self.partition}"


# For each partition the offset of the record that comes next.
Positions = Mapping[TopicPartition, int]


class Position(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.source}, offset {self.offset}"


@dataclass(frozen=True)
class OffsetRange:
    """The offsets [start, stop) of a partition."""

    topic: str
    partition: int
    start: int
    stop: int

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def since(self, offset: int) -> OffsetRange:
        """Return what is left of the range from `offset` on."""
        return replace(self, start=min(max(self.start, offset), self.stop))

    def __str__(self) -> str:
        return f"{self.source}, offsets {self.start}:{self.stop}"


class Column:
    """A column of byte strings, of which any may be null.

    It keeps the form in which it was made, Python's bytes or one buffer, and makes the other form
    when that is first asked for. Treat what it returns as read-only.
    """

    def __init__(
        self,
        entries: np.ndarray | None = None,
        layout: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    ):
        self._entries = entries
        self._layout = layout
        self._is_of_buffer = layout is not None

    @classmethod
    def of(cls, entries: Iterable[bytes | None], count: int) -> Column:
        """Return a column of `count` byte strings; None is null."""
        return cls(entries=np.fromiter(entries, object, count))

    @classmethod
    def of_buffer(cls, buffer: np.ndarray, offsets: np.ndarray, nulls: np.ndarray) -> Column:
        """Return a column whose entry i is `buffer[offsets[i]:offsets[i + 1]]`.

        Args:
            buffer: uint8.
            offsets: int64 [n + 1], ascending.
            nulls: bool [n]; the entry of a null is empty.
        """
        return cls(layout=(buffer, offsets, nulls))

    @property
    def entries(self) -> np.ndarray:
        """Object [n]: bytes, None where an entry is null."""
        if self._entries is None:
            self._entries = _entries(*self._layout)
        return self._entries

    @property
    def buffer(self) -> np.ndarray:
        """uint8: the bytes of all entries, one after another, at `offsets`."""
        return self._arrow[0]

    @property
    def offsets(self) -> np.ndarray:
        """int64 [n + 1]: where in `buffer` each entry begins, and where the last one ends."""
        return self._arrow[1]

    @property
    def nulls(self) -> np.ndarray:
        """bool [n]: whether an entry is null."""
        return self._arrow[2]

    @property
    def has_nulls(self) -> bool:
        """Whether any entry is null."""
        if self._layout is None:
            return None in self._entries.tolist()
        return bool(self.nulls.any())

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the column takes, in the form in which it was made."""
        if not self._is_of_buffer:
            return _content_size(self._entries.tolist()) + BYTES_OBJECT_SIZE * len(self)
        _, offsets, nulls = self._layout
        return int(offsets[-1] - offsets[0]) + offsets.nbytes + nulls.nbytes

    def __len__(self) -> int:
        return len(self._layout[2] if self._entries is None else self._entries)

    def __getitem__(self, index: slice) -> Column:
        """Return consecutive entries as a view: nothing is copied where the step is 1."""
        if self._entries is not None:
            return Column(entries=self._entries[index])
        buffer, offsets, nulls = self._layout
        start, stop, step = index.indices(len(nulls))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        stop = max(start, stop)
        return Column(layout=(buffer, offsets[start : stop + 1], nulls[start:stop]))

    def take(self, indices: np.ndarray) -> Column:
        """Return the entries at these indices, in this order."""
        return Column(entries=self.entries[indices])

    @property
    def _arrow(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._layout is None:
            self._layout = _layout(self._entries)
        return self._layout


def _content_size(entries: list[bytes | None]) -> int:
    try:
        return sum(map(len, entries))
    except TypeError:  # one is None
        return sum(map(len, filter(None, entries)))


def concat_columns(columns: Sequence[Column]) -> Column:
    """Return one column of the entries of several, one after another."""
    return Column(entries=np.concatenate([column.entries for column in columns]))


def _entries(buffer: np.ndarray, offsets: np.ndarray, nulls: np.ndarray) -> np.ndarray:
    data, bounds = buffer.data, offsets.tolist()
    cut = (
        None if null else bytes(data[start:stop])
        for start, stop, null in zip(bounds[:-1], bounds[1:], nulls.tolist(), strict=True)
    )
    return np.fromiter(cut, object, len(nulls))


def _layout(entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nulls = np.fromiter((entry is None for entry in entries), np.bool_, len(entries))
    filled = [entry or b"" for entry in entries]
    offsets = np.zeros(len(entries) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, filled), np.int64, len(filled)), out=offsets[1:])
    return np.frombuffer(b"".join(filled), np.uint8), offsets, nulls


@dataclass(frozen=True)
class Chunk:
    """Records of one or several partitions, each partition's in the order of its offsets.

    Attributes:
        values, keys: of the records; a null value is a tombstone.
        sources: the partitions that `source` names by index; not each of them need have a record.
        source: int32 [n].
        offsets: int64 [n].
        timestamps: int64 [n], ms since 1970 (UTC), -1 where a record has none; None where they
            were not asked for.
        headers: object [n], for each record a list of (name, bytes or None) in their order; a name
            may occur more than once. None where they were not asked for.
        generation: of the assignment under which the records were read; it grows with each
            rebalance.
    """

    values: Column
    keys: Column
    sources: tuple[TopicPartition, ...]
    source: np.ndarray
    offsets: np.ndarray
    timestamps: np.ndarray | None = None
    headers: np.ndarray | None = None
    generation: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: slice) -> Chunk:
        """Return consecutive records; nothing is copied."""
        return self._part(self.values[index], self.keys[index], index)

    def select(self, indices: np.ndarray) -> Chunk:
        """Return the records at these indices (int64) or where this mask (bool [n]) is true."""
        if indices.dtype == np.bool_:
            if indices.all():
                return self
            indices = np.flatnonzero(indices)
        return self._part(self.values.take(indices), self.keys.take(indices), indices)

    def _part(self, values: Column, keys: Column, index: slice | np.ndarray) -> Chunk:
        return Chunk(
            values,
            keys,
            self.sources,
            self.source[index],
            self.offsets[index],
            None if self.timestamps is None else self.timestamps[index],
            None if self.headers is None else self.headers[index],
            self.generation,
        )

    def without(self, lost: Iterable[TopicPartition]) -> Chunk:
        """Return the records that are of none of these partitions."""
        lost = set(lost)
        is_kept = np.array([source not in lost for source in self.sources], np.bool_)
        return self.select(is_kept[self.source]) if len(self) else self

    def of_generation(self, generation: int) -> Chunk:
        """Return the same records as of another generation."""
        return self if self.generation == generation else replace(self, generation=generation)

    @cached_property
    def partitions(self) -> np.ndarray:
        """int32 [n]: the number of each record's partition."""
        return np.array([s.partition for s in self.sources], np.int32)[self.source]

    @cached_property
    def topics(self) -> np.ndarray:
        """Object [n]: the name of each record's topic."""
        return np.array([s.topic for s in self.sources], object)[self.source]

    @cached_property
    def next_offsets(self) -> dict[TopicPartition, int]:
        """For each partition that has a record here, the offset after its last one."""
        if not len(self):
            return {}
        if len(self.sources) == 1:
            return {self.sources[0]: int(self.offsets[-1]) + 1}
        # The first occurrence from the end is the last record.
        present, from_end = np.unique(self.source[::-1], return_index=True)
        last = self.offsets[::-1][from_end] + 1
        return {self.sources[s]: o for s, o in zip(present.tolist(), last.tolist(), strict=True)}

    @cached_property
    def nbytes(self) -> int:
        """Bytes of memory that the records take."""
        arrays = [self.source, self.offsets, self.timestamps]
        headers = 0 if self.headers is None else sum(map(_headers_size, self.headers))
        return (
            self.values.nbytes
            + self.keys.nbytes
            + headers
            + sum(array.nbytes for array in arrays if array is not None)
        )

    def position(self, index: int) -> Position:
        """Return where the record at `index` is."""
        return Position(*self.sources[self.source[index]], int(self.offsets[index]))


def empty(generation: int = 0) -> Chunk:
    """Return a chunk without records."""
    none, whole = Column.of((), 0), np.zeros(0, np.int64)
    return Chunk(
        none, none, (), np.zeros(0, np.int32), whole, whole, np.zeros(0, object), generation
    )


def concat(chunks: Sequence[Chunk]) -> Chunk:
    """Return the records of several chunks, one chunk after another, as one.

    Its generation is the oldest one: ask what is still current before, not after. Timestamps and
    headers are kept where all of them have them.
    """
    chunks = [chunk for chunk in chunks if len(chunk)] or list(chunks[:1])
    if not chunks:
        return empty()
    if len(chunks) == 1:
        return chunks[0]
    sources = tuple(dict.fromkeys(source for chunk in chunks for source in chunk.sources))
    index = {source: number for number, source in enumerate(sources)}
    renumbered = [
        chunk.source
        if chunk.sources == sources[: len(chunk.sources)]
        else np.array([index[source] for source in chunk.sources], np.int32)[chunk.source]
        for chunk in chunks
    ]
    return Chunk(
        concat_columns([chunk.values for chunk in chunks]),
        concat_columns([chunk.keys for chunk in chunks]),
        sources,
        np.concatenate(renumbered),
        np.concatenate([chunk.offsets for chunk in chunks]),
        _concat_if_all([chunk.timestamps for chunk in chunks]),
        _concat_if_all([chunk.headers for chunk in chunks]),
        min(chunk.generation for chunk in chunks),
    )


def split(chunks: Sequence[Chunk], records: int) -> tuple[list[Chunk], list[Chunk]]:
    """Return the first so many records, and the others."""
    first, rest, missing = [], [], records
    for chunk in chunks:
        first += [chunk[:missing]] if missing else []
        rest += [chunk[missing:]] if len(chunk) > missing else []
        missing -= min(missing, len(chunk))
    return first, rest


def _concat_if_all(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None


def _headers_size(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(2 * BYTES_OBJECT_SIZE + len(name) + len(value or b"") for name, value in headers)
