"""What all native parsers have in common: the types of values, classes, and columns of bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column

# TkType of tfkafka_native.h.
TYPES = {"float32": 0, "float64": 1, "int32": 2, "int64": 3}


class Classes(ctypes.Structure):
    """TkClasses of tfkafka_native.h: names, and the index that each becomes."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("buffer", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("indices", ctypes.c_void_p),
    )

    def __init__(self, index_of: Mapping[bytes, int]):
        names = sorted(index_of, key=lambda name: (len(name), name))
        # The fields point into these.
        self._names = Column.of(names, len(names))
        self._indices = np.array([index_of[name] for name in names], np.int64)
        buffer, offsets, _ = pointers(self._names)
        super().__init__(len(names), buffer, offsets, self._indices.ctypes.data)


def find_classes(
    library: ctypes.CDLL, index_of: Mapping[bytes, int], texts: Column
) -> NDArray[np.int64]:
    """Return the indices of the classes that texts are, -1 where one is no class."""
    texts, classes, found = texts[:], Classes(index_of), np.empty(len(texts), np.int64)
    library.tk_find_classes(
        ctypes.byref(classes), *pointers(texts), 0, len(texts), found.ctypes.data
    )
    return found


def pointers(column: Column) -> tuple[int, int, int]:
    """Return the addresses of a column's buffer, offsets and nulls."""
    return column.buffer.ctypes.data, column.offsets.ctypes.data, column.nulls.ctypes.data
