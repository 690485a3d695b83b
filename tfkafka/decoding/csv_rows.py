"""Records of CSV as columns of numbers, and what is wrong with the others.

Whole chunks are parsed as they are. Only rows among which something is odd are split into their
fields, as `tf.io.decode_csv` does it, and rewritten without quotes, blanks and text. What it
accepts is accepted, except for hexadecimal numbers and, with TensorFlow 2.21, nan with a number:
nan(1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.decoding.base import Fault
from tfkafka.decoding.frames import TYPES, Rows, Schema, read_rows
from tfkafka.decoding.halving import halve
from tfkafka.decoding.polars_threads import refuse_lost_threads

# So many rows are read one by one if any of them is odd.
_ODD = 64
_LINE_ENDS = b"\r\n"
_IS_TEXT = re.compile(rb'[",\r\n]')
_IS_SPECIAL = re.compile(rb'["\r\n]')
# TensorFlow ignores line ends before a field, and refuses blanks before a quote.
_FIELD = re.compile(rb'[\r\n]*(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\Z)')


class Wrong(NamedTuple):
    """What is wrong with a row, and the field that is wrong."""

    kind: str
    value: bytes = b""


@dataclass(frozen=True)
class CsvColumn:
    """A column whose numbers or classes are wanted.

    Attributes:
        number: its number, counted from 0.
        title: what a reason begins with.
        dtype: the type of its numbers.
        index_of: the index of each class, by its name in UTF-8; None: it has numbers.
        may_miss: whether a field may be empty.
    """

    number: int
    title: str
    dtype: np.dtype[Any]
    index_of: Mapping[bytes, int] | None = None
    may_miss: bool = False

    @property
    def name(self) -> str:
        """Its name in a frame."""
        return str(self.number)

    @property
    def type(self) -> polars.DataType | type[polars.DataType]:
        """The type of its text."""
        if self.index_of is None:
            return TYPES[self.dtype.name]
        return polars.Enum([name.decode() for name in self.index_of])

    def tidy(self, field: bytes) -> bytes | Wrong:
        """Return the number or the index of the class in a field as plain text."""
        # In the name of a class blanks count.
        bare = field.strip() if self.index_of is None else field
        if not bare:
            return b"" if self.may_miss else Wrong(f"{self.title} is empty")
        if self.index_of is not None:
            index = self.index_of.get(field)
            if index is None:
                return Wrong(f"{self.title} is none of the classes", field)
            return b"%d" % index
        if _IS_TEXT.search(bare):
            return self.no_number(field)
        return bare

    def no_number(self, field: bytes) -> Wrong:
        """Return what is wrong with a field that is not a number of the column's type."""
        what = "a number" if self.dtype.kind == "f" else f"a whole number of {self.dtype.name}"
        return Wrong(f"{self.title} is not {what}", field)


@dataclass(frozen=True)
class CsvRows:
    """How rows are parsed.

    Args:
        count: how many columns a row has.
        wanted: the columns that are parsed, by their numbers, ascending; the others may have any
            text.
        names: the names of all columns, if they have any.
        title: what a reason about a whole row begins with.
    """

    count: int
    wanted: Mapping[int, CsvColumn]
    names: Sequence[str] | None = None
    title: str = ""

    def read(self, rows: Rows) -> tuple[polars.DataFrame, dict[int, Fault]]:
        """Return the wanted columns, by their numbers as text, and the faults by their rows.

        Missing values are null. A row with a fault has any values.

        Raises ForkError in a child that was forked after polars had been used.
        """
        refuse_lost_threads("CsvDecoder")
        frames, indices = [], []

        def parse(start: int, stop: int) -> bool:
            frame = self._read_whole(rows[start:stop])
            if frame is not None:
                frames.append(frame)
                indices.append(np.arange(start, stop))
            return frame is not None

        odd = halve(len(rows), parse, _ODD)
        if not odd and len(frames) == 1:
            return frames[0], {}
        frame, faults = self._read_one_by_one({index: rows[index] for index in odd})
        order = np.argsort(np.concatenate([*indices, np.array(odd, np.int64)]))
        return polars.concat([*frames, frame])[order], faults

    def array(self, frame: polars.DataFrame, number: int) -> NDArray[Any]:
        """Return a wanted column, [n]; missing values are nan."""
        array: NDArray[Any] = frame[str(number)].to_numpy(writable=True)
        return array.astype(self.wanted[number].dtype, copy=False)

    def not_finite(self, frame: polars.DataFrame, rows: Rows) -> dict[int, Fault]:
        """Return the faults of the numbers that are there and are not finite."""
        faults: dict[int, Fault] = {}
        for column in self.wanted.values():
            series = frame[column.name]
            if not series.dtype.is_float() or np.isfinite(series.to_numpy()).all():
                continue
            kind = f"{column.title} is not finite as {column.dtype.name}"
            for index in (~series.is_finite()).arg_true().to_list():
                fields = self._split(rows[index])
                assert not isinstance(fields, Wrong)
                faults.setdefault(index, Fault.of(index, kind, fields[column.number].strip()))
        return faults

    @cached_property
    def _schema(self) -> Schema:
        """The schema of whole rows."""
        return {
            str(number): self.wanted[number].type if number in self.wanted else polars.String
            for number in range(self.count)
        }

    @cached_property
    def _tidy_schema(self) -> Schema:
        """The schema of rows that were rewritten."""
        return {
            column.name: polars.Int64 if column.index_of is not None else column.type
            for column in self.wanted.values()
        }

    @cached_property
    def _required(self) -> list[str]:
        """The columns that may have no empty field."""
        return [column.name for column in self.wanted.values() if not column.may_miss]

    def _read_whole(self, rows: Rows) -> polars.DataFrame | None:
        frame = read_rows(rows, self._schema)
        if frame is None or any(frame[name].null_count() for name in self._required):
            return None
        if len(self.wanted) < frame.width:
            frame = frame[list(self._tidy_schema)]
        enums = [name for name, dtype in self._schema.items() if isinstance(dtype, polars.Enum)]
        return frame.with_columns(frame[name].to_physical().cast(polars.Int64) for name in enums)

    def _read_one_by_one(
        self, rows: Mapping[int, bytes | None]
    ) -> tuple[polars.DataFrame, dict[int, Fault]]:
        """Return as `read` does; the rows have their indices."""
        faults, texts, indices = {}, [], list(rows)
        # In the place of a row with a fault.
        filler = b",".join([b"0"] * len(self.wanted))
        for index, row in rows.items():
            text = self._tidy(row)
            if isinstance(text, Wrong):
                faults[index], text = Fault.of(index, *text), filler
            texts.append(text)
        frame = read_rows(texts, self._tidy_schema)
        if frame is None:
            for bad in halve(len(texts), lambda *part: self._can_read(texts[slice(*part)])):
                index = indices[bad]
                faults[index] = Fault.of(index, *self._explain(texts[bad]))
                texts[bad] = filler
            frame = read_rows(texts, self._tidy_schema)
        assert frame is not None
        return frame, faults

    def _can_read(self, texts: Sequence[bytes]) -> bool:
        return read_rows(texts, self._tidy_schema) is not None

    def _tidy(self, row: bytes | None) -> bytes | Wrong:
        """Return the wanted fields without quotes, blanks and text, or what is wrong with a row."""
        fields = self._split(row)
        if isinstance(fields, Wrong):
            return fields
        texts = []
        for column in self.wanted.values():
            text = column.tidy(fields[column.number])
            if isinstance(text, Wrong):
                return text
            texts.append(text)
        return b",".join(texts)

    def _split(self, row: bytes | None) -> list[bytes] | Wrong:
        """Return the fields of a row without their quotes, or what is wrong with the row."""
        if row is None:
            return Wrong(f"{self.title}is null")
        fields = _fields(row.strip(_LINE_ENDS))
        if isinstance(fields, _Stop):
            kind = f"{self._title_of(fields.number)} has a quote or a line end in the wrong place"
            return Wrong(kind, fields.rest)
        if self.count > 1 and not row.strip():
            return Wrong(f"{self.title}is empty")
        if len(fields) != self.count:
            return Wrong(f"{self.title}has {len(fields)} columns instead of {self.count}")
        return fields

    def _title_of(self, number: int) -> str:
        if number in self.wanted:
            return self.wanted[number].title
        return column_title(number, self.names)

    def _explain(self, text: bytes) -> Wrong:
        """Return what is wrong with a row that was rewritten."""
        for column, field in zip(self.wanted.values(), text.split(b","), strict=True):
            if read_rows([field], {column.name: self._tidy_schema[column.name]}) is None:
                return column.no_number(field)
        return Wrong(f"{self.title}is not comma-separated numbers")


def column_title(number: int, names: Sequence[str] | None = None) -> str:
    """Return what a reason about a column begins with."""
    return f'column "{names[number]}"' if names else f"column {number} (from 0)"


class _Stop(NamedTuple):
    """Where a row cannot be split: the number of the field, and the row from there."""

    number: int
    rest: bytes


def _fields(row: bytes) -> list[bytes] | _Stop:
    """Return the fields of a row without their quotes."""
    if not _IS_SPECIAL.search(row):
        return row.split(b",")
    fields: list[bytes] = []
    end, is_last = 0, False
    while not is_last:
        found = _FIELD.match(row, end)
        if found is None:
            return _Stop(len(fields), row[end:])
        quoted, bare, delimiter = found.groups()
        fields.append(bare if quoted is None else quoted.replace(b'""', b'"'))
        end, is_last = found.end(), not delimiter
    return fields
