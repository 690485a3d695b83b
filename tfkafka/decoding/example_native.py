"""Finding of features by the native library."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.native_classes import Classes
from tfkafka.decoding.parsing_threads import in_parts
from tfkafka.decoding.wire import Bytes, Spans


def map_values(
    library: ctypes.CDLL, buffer: Bytes, entries: Spans, names: Sequence[bytes]
) -> tuple[Mapping[bytes, Spans], NDArray[np.bool_]]:
    """Do as `wire.map_values` does; messages may differ in any keys that are not looked for."""
    count = len(entries.start)
    index_of = {name: index for index, name in enumerate(dict.fromkeys(names))}
    classes = Classes(index_of)
    starts, stops = np.empty((2, len(index_of), count), np.int64)
    is_plain = np.empty(count, np.bool_)

    def find(first: int, last: int) -> None:
        # In another thread it may outlive this call, which Ctrl-C ends: it has the arrays.
        given = [array.ctypes.data for array in (buffer, entries.start, entries.stop)]
        out = [array.ctypes.data for array in (starts, stops, is_plain)]
        library.tk_find_values(ctypes.byref(classes), *given, first, last, count, *out)

    in_parts(count, find)
    found = {name: Spans(starts[index], stops[index]) for name, index in index_of.items()}
    return found, is_plain
