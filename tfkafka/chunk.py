"""The chunk: columns of records on their way from Kafka to a model.

This module depends on no Kafka client. Columns are NumPy arrays in Apache Arrow's layout
(https://arrow.apache.org/docs/format/Columnar.html, "Variable-size Binary Layout").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from operator import countOf
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tfkafka import native

NO_TIMESTAMP = -1
# A bytes object without its content (sys.getsizeof(b"") in CPython), and the pointer to it.
BYTES_OBJECT_SIZE = 33 + 8

Scalar = TypeVar("Scalar", bound=np.generic)
# A column's buffer, offsets and nulls.
ArrowLayout = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"topic {self.topic}, partition {self.partition}"


# The offset of the next record of each partition.
Positions = Mapping[TopicPartition, int]


class Position(NamedTuple):
    """The position of a record."""

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
    """The offsets [start, stop) of a partition.

    Attributes:
        leader_epoch: the leader's epoch when the range was determined: no record of the range has a
            greater one. None: unknown. Ranges of the same offsets are equal without it.
    """

    topic: str
    partition: int
    start: int
    stop: int
    leader_epoch: int | None = field(default=None, compare=False, repr=False)

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def since(self, offset: int) -> OffsetRange:
        """Return the rest of the range, from `offset`."""
        return replace(self, start=min(max(self.start, offset), self.stop))

    def __str__(self) -> str:
        return f"{self.source}, offsets {self.start}:{self.stop}"


class Column:
    """A column of byte strings, any of which may be null.

    It keeps the form it was made from, bytes objects or one buffer. The other form is made when it
    is first needed. Treat the returned arrays as read-only.

    Attributes:
        is_of_buffer: whether it was made from one buffer.
    """

    def __init__(self, made_of: NDArray[np.object_] | ArrowLayout):
        self.is_of_buffer = isinstance(made_of, tuple)
        self._entries = None if isinstance(made_of, tuple) else made_of
        self._layout = made_of if isinstance(made_of, tuple) else None

    @classmethod
    def of(cls, entries: Iterable[bytes | None], count: int) -> Column:
        """Return a column of `count` byte strings; None is null."""
        return cls(np.fromiter(entries, object, count))

    @classmethod
    def of_buffer(
        cls, buffer: NDArray[np.uint8], offsets: NDArray[np.int64], nulls: NDArray[np.bool_]
    ) -> Column:
        """Return a column whose entry i is `buffer[offsets[i]:offsets[i + 1]]`.

        Args:
            buffer: uint8.
            offsets: int64 [n + 1], ascending.
            nulls: bool [n]; a null entry has no bytes in `buffer`.
        """
        return cls((buffer, offsets, nulls))

    @classmethod
    def of_lengths(
        cls, content: bytes | NDArray[np.uint8], lengths: NDArray[np.integer[Any]]
    ) -> Column:
        """Return a column of entries one after another in `content`, none of which is null.

        Args:
            content: the bytes of all entries.
            lengths: [n], of each entry.
        """
        buffer = np.frombuffer(content, np.uint8)
        return cls((buffer, _bounds(lengths), np.zeros(len(lengths), np.bool_)))

    @property
    def entries(self) -> NDArray[np.object_]:
        """Object [n]: bytes, or None where an entry is null."""
        if self._entries is None:
            self._entries = _entries(*self._arrow)
        return self._entries

    @property
    def buffer(self) -> NDArray[np.uint8]:
        """uint8: the bytes of all entries, one after another."""
        return self._arrow[0]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [n + 1]: where in `buffer` each entry begins, and where the last one ends."""
        return self._arrow[1]

    @property
    def nulls(self) -> NDArray[np.bool_]:
        """bool [n]: whether an entry is null."""
        return self._arrow[2]

    @property
    def has_nulls(self) -> bool:
        """Whether any entry is null."""
        if self._layout is None:
            return None in self.entries.tolist()
        return bool(self.nulls.any())

    def matrix(self, size: int) -> NDArray[np.uint8] | None:
        """Return uint8 [n, size]: the bytes of each entry.

        None where an entry is null, or has another size. No bytes object is made.
        """
        if self._layout is not None:
            buffer, offsets, nulls = self._layout
            if nulls.any() or (np.diff(offsets) != size).any():
                return None
            return buffer[offsets[0] : offsets[-1]].reshape(-1, size)
        entries = self.entries.tolist()
        try:
            if countOf(map(len, entries), size) < len(entries):
                return None
        except TypeError:  # one is None
            return None
        return np.frombuffer(b"".join(entries), np.uint8).reshape(-1, size)

    @property
    def nbytes(self) -> int:
        """The memory of the column, in bytes, in the form it was made from."""
        if not self.is_of_buffer:
            return _content_size(self.entries.tolist()) + BYTES_OBJECT_SIZE * len(self)
        _, offsets, nulls = self._arrow
        return int(offsets[-1] - offsets[0]) + offsets.nbytes + nulls.nbytes

    def __len__(self) -> int:
        return len(self._arrow[2] if self._entries is None else self._entries)

    def __getitem__(self, index: slice) -> Column:
        """Return a slice of the entries: a view where the step is 1."""
        if not self.is_of_buffer:
            return Column(self.entries[index])
        buffer, offsets, nulls = self._arrow
        start, stop, step = index.indices(len(nulls))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        stop = max(start, stop)
        return Column((buffer, offsets[start : stop + 1], nulls[start:stop]))

    def take(self, indices: NDArray[np.int64]) -> Column:
        """Return the entries at these indices, in the order given."""
        return take_from([self], indices)

    @property
    def _arrow(self) -> ArrowLayout:
        if self._layout is None:
            self._layout = _layout(self.entries)
        return self._layout


def _content_size(entries: list[bytes | None]) -> int:
    try:
        return sum(map(len, entries))  # type: ignore[arg-type]  # None is caught
    except TypeError:  # one is None
        return sum(map(len, filter(None, entries)))


def concat_columns(columns: Sequence[Column]) -> Column:
    """Return one column with the entries of several, one column after another."""
    if not all(column.is_of_buffer for column in columns):
        return Column(np.concatenate([column.entries for column in columns]))
    parts = [(c.buffer[c.offsets[0] : c.offsets[-1]], np.diff(c.offsets), c.nulls) for c in columns]
    buffers, lengths, nulls = zip(*parts, strict=True)
    bounds = _bounds(np.concatenate(lengths))
    return Column((np.concatenate(buffers), bounds, np.concatenate(nulls)))


def take_from(columns: Sequence[Column], indices: NDArray[np.int64]) -> Column:
    """Return the entries of several columns at these indices, in the order given.

    The entries are numbered one column after another.
    """
    library = native.library()
    if library is None or not all(column.is_of_buffer for column in columns):
        return Column(np.concatenate([column.entries for column in columns])[indices])
    buffers = [column.buffer for column in columns]
    addresses = [b.ctypes.data + c.offsets[:-1] for b, c in zip(buffers, columns, strict=True)]
    entries = np.concatenate(addresses)[indices]
    bounds = _bounds(np.concatenate([np.diff(column.offsets) for column in columns])[indices])
    taken = np.empty(bounds[-1], np.uint8)
    pointers = [array.ctypes.data for array in (entries, bounds, taken)]
    library.tk_gather(*pointers, len(indices))
    return Column((taken, bounds, np.concatenate([column.nulls for column in columns])[indices]))


def _bounds(lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return where entries of these lengths begin, and where the last one ends."""
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def _entries(
    buffer: NDArray[np.uint8], offsets: NDArray[np.int64], nulls: NDArray[np.bool_]
) -> NDArray[np.object_]:
    content = buffer[offsets[0] : offsets[-1]].tobytes()
    bounds = (offsets - offsets[0]).tolist()
    cut = [content[start:stop] for start, stop in pairwise(bounds)]
    entries = np.fromiter(cut, object, len(cut))
    entries[nulls] = None
    return entries


def _layout(entries: NDArray[np.object_]) -> ArrowLayout:
    nulls, filled = np.zeros(len(entries), np.bool_), entries.tolist()
    if None in filled:
        nulls = np.array([entry is None for entry in filled])
        filled = [entry or b"" for entry in filled]
    offsets = _bounds(np.fromiter(map(len, filled), np.int64, len(filled)))
    return np.frombuffer(b"".join(filled), np.uint8), offsets, nulls


@dataclass(frozen=True)
class Chunk:
    """Records of one or several partitions, each partition's in the order of its offsets.

    Attributes:
        values, keys: the records' values and keys; a null value is a tombstone.
        sources: the partitions that `source` refers to by index; some may have no record here.
        source: int32 [n], each record's index in `sources`.
        offsets: int64 [n], each record's offset.
        timestamps: int64 [n], ms since 1970 (UTC), -1 where a record has none; None where they
            were not requested.
        headers: object [n], for each record a list of (name, bytes or None) in their order; a name
            may occur more than once. None where they were not requested.
        generation: the generation of the assignment under which the records were read; it grows
            with each rebalance.
    """

    values: Column
    keys: Column
    sources: tuple[TopicPartition, ...]
    source: NDArray[np.int32]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64] | None = None
    headers: NDArray[np.object_] | None = None
    generation: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: slice) -> Chunk:
        """Return consecutive records; nothing is copied."""
        return self._part(self.values[index], self.keys[index], index)

    def select(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Chunk:
        """Return the records at the indices `chosen` (int64), or where it (bool [n]) is true."""
        if chosen.dtype != np.bool_:
            indices = np.asarray(chosen, np.int64)
        elif chosen.all():
            return self
        else:
            indices = np.flatnonzero(chosen)
        return self._part(self.values.take(indices), self.keys.take(indices), indices)

    def _part(self, values: Column, keys: Column, index: slice | NDArray[np.int64]) -> Chunk:
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
        """Return the records of all other partitions than these."""
        lost = set(lost)
        is_kept = np.array([source not in lost for source in self.sources], np.bool_)
        return self.select(is_kept[self.source]) if len(self) else self

    def of_generation(self, generation: int) -> Chunk:
        """Return the same records under another generation."""
        return self if self.generation == generation else replace(self, generation=generation)

    @cached_property
    def partitions(self) -> NDArray[np.int32]:
        """int32 [n]: the number of each record's partition."""
        return np.array([s.partition for s in self.sources], np.int32)[self.source]

    @cached_property
    def topics(self) -> NDArray[np.object_]:
        """Object [n]: the name of each record's topic."""
        return np.array([s.topic for s in self.sources], object)[self.source]

    @property
    def metadata(self) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """The timestamps and headers. Raises ValueError where they were not requested."""
        if self.timestamps is None or self.headers is None:
            raise ValueError("the chunk was read without timestamps and headers")
        return self.timestamps, self.headers

    @cached_property
    def next_offsets(self) -> dict[TopicPartition, int]:
        """The offset after the last record, for each partition that has a record here."""
        if not len(self):
            return {}
        if len(self.sources) == 1:
            return {self.sources[0]: int(self.offsets[-1]) + 1}
        last = np.full(len(self.sources), -1)
        # Of several records of a partition the last one stays.
        last[self.source] = self.offsets
        present = zip(self.sources, last.tolist(), strict=True)
        return {source: offset + 1 for source, offset in present if offset >= 0}

    @cached_property
    def nbytes(self) -> int:
        """The memory of the records, in bytes."""
        arrays: list[NDArray[np.generic] | None] = [self.source, self.offsets, self.timestamps]
        headers = 0 if self.headers is None else sum(map(_headers_size, self.headers))
        return (
            self.values.nbytes
            + self.keys.nbytes
            + headers
            + sum(array.nbytes for array in arrays if array is not None)
        )

    def position(self, index: int) -> Position:
        """Return the position of the record at `index`."""
        topic, partition = self.sources[int(self.source[index])]
        return Position(topic, partition, int(self.offsets[index]))


def empty(generation: int = 0) -> Chunk:
    """Return a chunk without records."""
    none, whole = Column.of((), 0), np.zeros(0, np.int64)
    return Chunk(
        none, none, (), np.zeros(0, np.int32), whole, whole, np.zeros(0, object), generation
    )


def concat(chunks: Sequence[Chunk]) -> Chunk:
    """Return one chunk with the records of several, one chunk after another.

    It has the lowest of their generations: select the records that are still current before, not
    after. Timestamps and headers are kept where all the chunks have them.
    """
    chunks = _filled(chunks)
    return chunks[0] if len(chunks) == 1 else _joined(chunks, concat_columns, slice(None))


def select_from(chunks: Sequence[Chunk], chosen: NDArray[np.int64]) -> Chunk:
    """Return records of several chunks, numbered one chunk after another, in the order given.

    As `concat(chunks).select(chosen)`, but bytes are copied once.
    """
    chunks = _filled(chunks)
    return _joined(chunks, partial(take_from, indices=chosen), chosen)


def _filled(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Return the chunks that have records, or else one that has none."""
    return [chunk for chunk in chunks if len(chunk)] or [*chunks[:1], empty()][:1]


def _joined(
    chunks: Sequence[Chunk],
    columns: Callable[[Sequence[Column]], Column],
    chosen: slice | NDArray[np.int64],
) -> Chunk:
    """Return the chosen records of several chunks, whose values and keys `columns` chooses."""
    sources = tuple(dict.fromkeys(source for chunk in chunks for source in chunk.sources))
    index = {source: number for number, source in enumerate(sources)}
    renumbered = [
        chunk.source
        if chunk.sources == sources[: len(chunk.sources)]
        else np.array([index[source] for source in chunk.sources], np.int32)[chunk.source]
        for chunk in chunks
    ]
    return Chunk(
        columns([chunk.values for chunk in chunks]),
        columns([chunk.keys for chunk in chunks]),
        sources,
        np.concatenate(renumbered)[chosen],
        np.concatenate([chunk.offsets for chunk in chunks])[chosen],
        _chosen_if_all([chunk.timestamps for chunk in chunks], chosen),
        _chosen_if_all([chunk.headers for chunk in chunks], chosen),
        min(chunk.generation for chunk in chunks),
    )


def split(chunks: Sequence[Chunk], records: int) -> tuple[list[Chunk], list[Chunk]]:
    """Return the first `records` records, and the others."""
    first, rest, missing = [], [], records
    for chunk in chunks:
        first += [chunk[:missing]] if missing else []
        rest += [chunk[missing:]] if len(chunk) > missing else []
        missing -= min(missing, len(chunk))
    return first, rest


def _chosen_if_all(
    arrays: Sequence[NDArray[Scalar] | None], chosen: slice | NDArray[np.int64]
) -> NDArray[Scalar] | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there)[chosen] if len(there) == len(arrays) else None


def _headers_size(headers: Sequence[tuple[str, bytes | None]]) -> int:
    return sum(2 * BYTES_OBJECT_SIZE + len(name) + len(value or b"") for name, value in headers)
