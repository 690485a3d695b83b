"""Parsing of CSV by polars, which either takes all rows or says nothing about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.csv_fields import CsvColumn
from tfkafka.decoding.frames import TYPES, Rows, Schema, read_rows
from tfkafka.decoding.halving import halve
from tfkafka.decoding.polars_threads import refuse_lost_threads

# So many rows are read one by one if any of them is odd.
_ODD = 64


@dataclass(frozen=True)
class FrameParser:
    """A `Parser` of rows.

    Args:
        count: how many columns a row has.
        wanted: the columns that are parsed, by their numbers, ascending.
    """

    count: int
    wanted: Mapping[int, CsvColumn]

    def read(
        self, rows: Column, out: Mapping[int, NDArray[Any]], finite: bool
    ) -> NDArray[np.int64]:
        """See `Parser.read`. Raises ForkError where polars' threads were lost in a fork."""
        refuse_lost_threads("CsvDecoder")
        entries = rows.entries
        spoiled: set[int] = set()

        def parse(start: int, stop: int) -> bool:
            frame = self._read_whole(entries[start:stop])
            if frame is None:
                return False
            self._fill({number: array[start:stop] for number, array in out.items()}, frame)
            if finite:
                spoiled.update(start + index for index in self._not_finite(frame))
            return True

        odd = halve(len(entries), parse, _ODD)
        return np.array(sorted(spoiled.union(odd)), np.int64)

    def read_tidy(self, texts: list[bytes], out: Mapping[int, NDArray[Any]]) -> dict[int, int]:
        """See `Parser.read_tidy`."""
        texts, wrong = list(texts), {}
        frame = read_rows(texts, self._tidy_schema)
        if frame is None:
            for place in halve(len(texts), lambda *part: self._can_read(texts[slice(*part)])):
                wrong[place] = self._first_wrong(texts[place])
                texts[place] = b",".join([b"0"] * len(self.wanted))
            frame = read_rows(texts, self._tidy_schema)
        assert frame is not None
        self._fill(out, frame)
        return wrong

    def _read_whole(self, rows: Rows) -> polars.DataFrame | None:
        frame = read_rows(rows, self._schema)
        if frame is None or any(frame[name].null_count() for name in self._required):
            return None
        return frame

    def _fill(self, out: Mapping[int, NDArray[Any]], frame: polars.DataFrame) -> None:
        for number, column in self.wanted.items():
            series = frame[str(number)]
            is_enum = isinstance(series.dtype, polars.Enum)
            out[number][:] = (series.to_physical() if is_enum else series).to_numpy()
            if series.null_count():
                out[number][series.is_null().to_numpy()] = column.fill

    def _not_finite(self, frame: polars.DataFrame) -> set[int]:
        """Return the rows with numbers that are there and are not finite."""
        found: set[int] = set()
        for number in self.wanted:
            series = frame[str(number)]
            if series.dtype.is_float() and not np.isfinite(series.to_numpy()).all():
                found.update((~series.is_finite()).arg_true().to_list())
        return found

    def _can_read(self, texts: Sequence[bytes]) -> bool:
        return read_rows(texts, self._tidy_schema) is not None

    def _first_wrong(self, text: bytes) -> int:
        """Return the place of the first field of a row that is no number."""
        types = self._tidy_schema.items()
        return next(
            place
            for place, (field, (name, dtype)) in enumerate(
                zip(text.split(b","), types, strict=True)
            )
            if field and read_rows([field], {name: dtype}) is None
        )

    @cached_property
    def _schema(self) -> Schema:
        """The schema of whole rows."""
        return {
            str(number): _type(self.wanted[number]) if number in self.wanted else polars.String
            for number in range(self.count)
        }

    @cached_property
    def _tidy_schema(self) -> Schema:
        """The schema of rows that were rewritten."""
        return {
            str(number): polars.Int64 if column.index_of is not None else _type(column)
            for number, column in self.wanted.items()
        }

    @cached_property
    def _required(self) -> list[str]:
        """The columns that may have no empty field."""
        return [str(number) for number, column in self.wanted.items() if not column.may_miss]


def _type(column: CsvColumn) -> polars.DataType | type[polars.DataType]:
    """Return the type of a column's text."""
    if column.index_of is None:
        return TYPES[column.dtype.name]
    return polars.Enum([name.decode() for name in column.index_of])
