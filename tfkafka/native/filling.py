"""The arrays that one call of `tk_fill` fills."""

from __future__ import annotations

import ctypes
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Layout = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_]]

# As in tfkafka_native.h: TkEpoch and how many there are, TkEvent, and TkEnd.
EPOCH = np.dtype([("offset", "i8"), ("source", "i4"), ("epoch", "i4")])
EPOCHS = 256
EVENT = np.dtype([("offset", "i8"), ("source", "i4"), ("code", "i4"), ("reason", "S504")])
EVENTS = 64
DRAINED, VALUES, KEYS, HEADERS, NOTES = range(5)


class Room(NamedTuple):
    """So many bytes of values, keys and headers."""

    values: int
    keys: int
    headers: int


class Parameters(ctypes.Structure):
    """TkFill of tfkafka_native.h."""

    _fields_ = (
        ("capacity", ctypes.c_int64),
        ("values_capacity", ctypes.c_int64),
        ("keys_capacity", ctypes.c_int64),
        ("headers_capacity", ctypes.c_int64),
        ("values", ctypes.c_void_p),
        ("value_offsets", ctypes.c_void_p),
        ("value_nulls", ctypes.c_void_p),
        ("keys", ctypes.c_void_p),
        ("key_offsets", ctypes.c_void_p),
        ("key_nulls", ctypes.c_void_p),
        ("headers", ctypes.c_void_p),
        ("header_offsets", ctypes.c_void_p),
        ("sources", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("timestamps", ctypes.c_void_p),
        ("epochs", ctypes.c_void_p),
        ("events", ctypes.c_void_p),
        ("records", ctypes.c_int64),
        ("needed", ctypes.c_int64),
        ("epoch_count", ctypes.c_int32),
        ("event_count", ctypes.c_int32),
        ("end", ctypes.c_int32),
    )


class Filling:
    """One call of `tk_fill`: its arguments, and after it the records.

    Args:
        records: how many records there is room for.
        room: how many bytes there is room for.
        metadata: whether timestamps and headers are wanted.
    """

    def __init__(self, records: int, room: Room, metadata: bool):
        self._values = _Bytes(records, room.values)
        self._keys = _Bytes(records, room.keys)
        self._headers = _Bytes(records, room.headers) if metadata else None
        self._sources = np.empty(records, np.int32)
        self._offsets = np.empty(records, np.int64)
        self._timestamps = np.empty(records, np.int64) if metadata else None
        self._epochs = np.empty(EPOCHS, EPOCH)
        self._events = np.empty(EVENTS, EVENT)
        self.parameters = Parameters(
            capacity=records,
            values_capacity=room.values,
            keys_capacity=room.keys,
            headers_capacity=room.headers,
            values=_pointer(self._values.buffer),
            value_offsets=_pointer(self._values.offsets),
            value_nulls=_pointer(self._values.nulls),
            keys=_pointer(self._keys.buffer),
            key_offsets=_pointer(self._keys.offsets),
            key_nulls=_pointer(self._keys.nulls),
            headers=None if self._headers is None else _pointer(self._headers.buffer),
            header_offsets=None if self._headers is None else _pointer(self._headers.offsets),
            sources=_pointer(self._sources),
            offsets=_pointer(self._offsets),
            timestamps=None if self._timestamps is None else _pointer(self._timestamps),
            epochs=_pointer(self._epochs),
            events=_pointer(self._events),
        )

    @property
    def records(self) -> int:
        """The number of records."""
        return int(self.parameters.records)

    @property
    def end(self) -> int:
        """Why the call returned."""
        return int(self.parameters.end)

    @property
    def values(self) -> Layout:
        return self._values.layout(self.records)

    @property
    def keys(self) -> Layout:
        return self._keys.layout(self.records)

    @property
    def headers(self) -> Layout | None:
        """The headers of each record as TkFill has them."""
        return None if self._headers is None else self._headers.layout(self.records)

    @property
    def sources(self) -> NDArray[np.int32]:
        return _first(self._sources, self.records)

    @property
    def offsets(self) -> NDArray[np.int64]:
        return _first(self._offsets, self.records)

    @property
    def timestamps(self) -> NDArray[np.int64] | None:
        return None if self._timestamps is None else _first(self._timestamps, self.records)

    @property
    def epochs(self) -> list[tuple[int, int, int]]:
        """The changes of epochs: offset, index of the source, epoch."""
        changes: list[tuple[int, int, int]] = self._epochs[: self.parameters.epoch_count].tolist()
        return changes

    @property
    def events(self) -> list[tuple[int, int, int, bytes]]:
        """What came in place of records: offset, index of the source or -1, code, reason."""
        events: list[tuple[int, int, int, bytes]]
        events = self._events[: self.parameters.event_count].tolist()
        return events

    def room_for_next(self) -> Room:
        """Return what the record needs that was held back since there was no room for it."""
        needed, end = int(self.parameters.needed), self.end
        return Room(
            needed - self._values.used(self.records) if end == VALUES else 0,
            needed - self._keys.used(self.records) if end == KEYS else 0,
            needed - self._headers.used(self.records) if self._headers and end == HEADERS else 0,
        )


class _Bytes:
    """A column of byte strings that is being filled."""

    def __init__(self, records: int, size: int):
        self.buffer = np.empty(size, np.uint8)
        self.offsets = np.empty(records + 1, np.int64)
        self.nulls = np.empty(records, np.bool_)

    def used(self, records: int) -> int:
        return int(self.offsets[records])

    def layout(self, records: int) -> Layout:
        return (
            _first(self.buffer, self.used(records)),
            _first(self.offsets, records + 1),
            _first(self.nulls, records),
        )


def _first(array: NDArray[Scalar], count: int) -> NDArray[Scalar]:
    """Return the first entries, copied where a view would keep much more memory."""
    return array[:count] if 2 * count >= len(array) else array[:count].copy()


def _pointer(array: NDArray[np.generic]) -> int:
    return array.ctypes.data
