"""Parsing of CSV by the native library, from a column's buffer into the arrays of the caller."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.csv_fields import CsvColumn
from tfkafka.decoding.native_classes import TYPES, Classes, pointers
from tfkafka.decoding.parsing_threads import in_parts


class _Wanted(ctypes.Structure):
    """TkCsvColumn."""

    _fields_ = (
        ("number", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("classes", ctypes.POINTER(Classes)),
        ("fill", ctypes.c_double),
        ("type", ctypes.c_int32),
        ("may_miss", ctypes.c_int32),
    )


class _Csv(ctypes.Structure):
    """TkCsv."""

    _fields_ = (
        ("columns", ctypes.c_int64),
        ("wanted_count", ctypes.c_int64),
        ("wanted", ctypes.POINTER(_Wanted)),
        ("finite", ctypes.c_int32),
    )
    # What its pointers are to.
    kept: object


@dataclass(frozen=True)
class NativeParser:
    """A `Parser` of rows, which makes no bytes objects of them.

    Args:
        library: the native library.
        count: how many columns a row has.
        wanted: the columns that are parsed, by their numbers, ascending.
    """

    library: ctypes.CDLL
    count: int
    wanted: Mapping[int, CsvColumn]

    def read(
        self, rows: Column, out: Mapping[int, NDArray[Any]], finite: bool
    ) -> NDArray[np.int64]:
        """See `Parser.read`."""
        return np.flatnonzero(self._marks(rows, self.count, self.wanted, out, finite))

    def read_tidy(self, texts: list[bytes], out: Mapping[int, NDArray[Any]]) -> dict[int, int]:
        """See `Parser.read_tidy`."""
        tidy = {
            number: replace(each, number=place, index_of=None)
            for place, (number, each) in enumerate(self.wanted.items())
        }
        marks = self._marks(Column.of(texts, len(texts)), len(tidy), tidy, out, False)
        return {place: int(marks[place]) - 1 for place in np.flatnonzero(marks).tolist()}

    def _marks(
        self,
        rows: Column,
        count: int,
        columns: Mapping[int, CsvColumn],
        out: Mapping[int, NDArray[Any]],
        finite: bool,
    ) -> NDArray[np.int32]:
        """Parse rows, and return the mark of each: see `tk_parse_csv`."""
        wanted = [_wanted(column, out[number]) for number, column in columns.items()]
        csv = _Csv(count, len(wanted), (_Wanted * len(wanted))(*wanted), finite)
        marks = np.empty(len(rows), np.int32)
        # A view, so that a buffer that has to be made is not kept with the chunk.
        rows = rows[:]
        text = pointers(rows)
        csv.kept = rows, out

        def parse(start: int, stop: int) -> None:
            # In another thread it may outlive this call, which Ctrl-C ends: it has the arrays.
            self.library.tk_parse_csv(ctypes.byref(csv), *text, start, stop, marks.ctypes.data)

        in_parts(len(rows), parse)
        return marks


def _wanted(column: CsvColumn, out: NDArray[Any]) -> _Wanted:
    """Return the structure of a column whose values are written to an array [n]."""
    classes = None if column.index_of is None else ctypes.pointer(Classes(column.index_of))
    return _Wanted(
        column.number,
        out.ctypes.data,
        out.strides[0],
        classes,
        column.fill if column.may_miss else 0,
        TYPES[column.dtype.name],
        column.may_miss,
    )
