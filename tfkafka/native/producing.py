"""The arrays that `tk_produce` takes records from, and what it says of those not written."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tfkafka.native.filling import Layout

Kept = TypeVar("Kept")

# As in tfkafka_native.h.
MOST_HEADERS = 8
FAILURES = 3
QUOTED = 64
# The partition that stands for one that is chosen by the key.
ANY_PARTITION = -1


class _Bytes(ctypes.Structure):
    """TkBytes of tfkafka_native.h."""

    _fields_ = (
        ("buffer", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("nulls", ctypes.c_void_p),
    )


class _Header(ctypes.Structure):
    """TkHeader."""

    _fields_ = (("name", ctypes.c_char_p), ("values", _Bytes))


class Parameters(ctypes.Structure):
    """TkProduce."""

    _fields_ = (
        ("records", ctypes.c_int64),
        ("values", _Bytes),
        ("keys", _Bytes),
        ("headers", ctypes.c_void_p),
        ("header_count", ctypes.c_int32),
        ("partition", ctypes.c_int32),
        ("taken", ctypes.c_int64),
        ("code", ctypes.c_int32),
    )


class Failure(ctypes.Structure):
    """TkFailure: a record that was not written, and what its key and value begin with."""

    _fields_ = (
        ("key_size", ctypes.c_int64),
        ("value_size", ctypes.c_int64),
        ("code", ctypes.c_int32),
        ("key", ctypes.c_uint8 * QUOTED),
        ("value", ctypes.c_uint8 * QUOTED),
    )


class Failures(ctypes.Structure):
    """TkFailures: how many records were not written, and the first of them."""

    _fields_ = (("count", ctypes.c_int64), ("first", Failure * FAILURES))


class Producing:
    """The calls of `tk_produce` for some records: their arguments, and how far they have come.

    It keeps all arrays that the arguments point to.

    Args:
        values: one for each record.
        keys: as many as values; None: all are null.
        headers: names of headers, each with as many values.
        partition: the partition of all records, or `ANY_PARTITION`.
    """

    def __init__(
        self, values: Layout, keys: Layout | None, headers: Mapping[str, Layout], partition: int
    ):
        if len(headers) > MOST_HEADERS:
            raise ValueError(f"{len(headers)} headers, must be at most {MOST_HEADERS}")
        self._kept: list[object] = []
        of_headers = [
            _Header(self._keep(name.encode()), self._bytes(each)) for name, each in headers.items()
        ]
        array = self._keep((_Header * len(headers))(*of_headers))
        self.parameters = Parameters(
            records=len(values[2]),
            values=self._bytes(values),
            keys=_Bytes() if keys is None else self._bytes(keys),
            headers=ctypes.addressof(array),
            header_count=len(headers),
            partition=partition,
        )

    @property
    def taken(self) -> int:
        """How many of the records are in the queue."""
        return int(self.parameters.taken)

    @property
    def code(self) -> int:
        """librdkafka's error: why the next record is not in the queue; 0: there is none."""
        return int(self.parameters.code)

    def _bytes(self, layout: Layout) -> _Bytes:
        buffer, offsets, nulls = layout
        return _Bytes(
            self._pointer(buffer, np.uint8),
            self._pointer(offsets, np.int64),
            self._pointer(nulls, np.bool_),
        )

    def _pointer(self, array: NDArray[np.generic], dtype: type[np.generic]) -> int:
        return self._keep(np.ascontiguousarray(array, dtype)).ctypes.data

    def _keep(self, thing: Kept) -> Kept:
        self._kept.append(thing)
        return thing
