"""Parsing of JSON by polars, of a chunk's records as one text, where there is no native library.

polars reads floating-point numbers as float64, like Python, so that both round to the same bits.
It refuses a whole text for one wrong record, and it refuses some that are right: numbers of more
than 128 bits, 1.0 for a whole number, true beside numbers. Such records are parsed one by one.
What polars accepts and what differs from Python is found afterwards: names that occur more than
once, and numbers as the names of classes, which polars takes as text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding import json_exact
from tfkafka.decoding.halving import halve
from tfkafka.decoding.json_exact import BLANKS
from tfkafka.decoding.json_names import Names
from tfkafka.decoding.nested_fields import NestedField, Tree
from tfkafka.decoding.nested_values import WrongRecord
from tfkafka.decoding.polars_threads import refuse_lost_threads

_LINE_FEED, _OPENING, _CLOSING = b"\n{}"
# A part of so few records that polars refuses is parsed one by one: that takes no longer.
_FEW = 64
# How text begins that polars makes of numbers, arrays and objects; it makes words of the others.
_BEGIN_OTHERS, _OTHERS = tuple("-0123456789[{"), ("true", "false")

Rows = Sequence[bytes | None] | NDArray[np.object_]


@dataclass(frozen=True)
class FrameJson:
    """A `Parser` of values.

    Args:
        fields: what is read.
        tree: their names.
        finite: whether a number must be finite.
    """

    fields: Sequence[NestedField]
    tree: Tree
    finite: bool

    def read(
        self, rows: Column, sinks: Sequence[NDArray[Any]], seen: set[str]
    ) -> NDArray[np.int64]:
        """See `Parser.read`. Raises ForkError where polars was used before this fork."""
        refuse_lost_threads("JsonDecoder")
        entries = rows.entries
        suspects: list[NDArray[np.int64]] = []

        def parse(rows: Rows, start: int, stop: int) -> bool:
            part = [sink[start:stop] for sink in sinks]
            found = self._parse(rows[start:stop], part, seen)
            if found is not None:
                suspects.append(start + found)
            elif stop - start <= _FEW:
                suspects.append(np.arange(start, stop))
            return found is not None or stop - start <= _FEW

        if len(entries) and not parse(entries, 0, len(entries)):
            tidied = [row if row is None else _tidy(row) for row in entries]
            halve(len(entries), lambda start, stop: parse(tidied, start, stop))
        return np.sort(np.concatenate(suspects or [np.zeros(0, int)]))

    def _parse(
        self, rows: Rows, sinks: Sequence[NDArray[Any]], seen: set[str]
    ) -> NDArray[np.int64] | None:
        """Put the values of some records into arrays; None where polars does not take them.

        Return the indices of records that may be wrong all the same, and add the titles of fields
        that any record has to `seen`.
        """
        joined = _joined(rows)
        if joined is None:
            return None
        text, ends = joined
        try:
            frame = polars.read_ndjson(io.BytesIO(text), schema=self._schema(rows[0]))
        except polars.exceptions.PolarsError:
            return None
        if len(frame) != len(rows):
            return None
        series: list[Any] = [None] * len(self.fields)
        _collect(self.tree, frame.get_column, series)
        is_suspect, has_null = np.zeros((2, len(rows)), np.bool_)
        for field, column, sink in zip(self.fields, series, sinks, strict=True):
            for length in field.spec.shape:
                if column.null_count() or (column.list.len() != length).any():
                    return None
                column = column.explode()
            wrong, nulls = self._put(field, column, sink)
            if column.null_count() < len(column):
                seen.add(field.title)
            is_suspect |= wrong
            has_null |= nulls
        is_suspect[self._names.suspects(text, ends, has_null)] = True
        return np.flatnonzero(is_suspect)

    def _put(
        self, field: NestedField, column: polars.Series, sink: NDArray[Any]
    ) -> tuple[NDArray[np.bool_] | np.bool_, NDArray[np.bool_] | np.bool_]:
        """Put a field's values into its array; return what may be wrong, and what was null."""
        nulls: NDArray[np.bool_] | np.bool_ = np.False_
        if column.null_count():
            nulls = column.is_null().to_numpy().reshape(sink.shape)
        values, wrong = _values(field, column)
        values = values.reshape(sink.shape)
        sink[:] = values
        if nulls.any() and field.fill is not None:
            sink[nulls] = field.fill
        wrong = wrong if wrong is np.False_ else wrong.reshape(sink.shape)
        if self.finite and field.dtype.kind == "f":
            wrong = ~np.isfinite(values)
        # A missing value that becomes a number is right, whatever stands in its place.
        wrong = nulls | wrong if field.fill is None else wrong & ~nulls
        return _of_records(wrong), _of_records(nulls)

    def _schema(self, row: bytes | None) -> polars.Schema:
        """Return the types of all fields; true and false where the first record has them."""
        try:
            first = json_exact.parse(row)
        except WrongRecord:
            first = {}
        return polars.Schema(_types(self.tree, self.fields, first))

    @cached_property
    def _names(self) -> Names:
        return Names(self.tree)


def _types(tree: Tree, fields: Sequence[NestedField], record: Any) -> dict[str, Any]:
    types: dict[str, Any] = {}
    for name, below in tree.items():
        value = record.get(name) if isinstance(record, dict) else None
        if isinstance(below, int):
            types[name] = _type(fields[below], value)
        else:
            types[name] = polars.Struct(_types(below, fields, value))
    return types


def _type(field: NestedField, value: Any) -> Any:
    for _ in field.spec.shape:
        value = value[0] if isinstance(value, list) and value else None
    found: Any = polars.Int64 if field.dtype.kind == "i" else polars.Float64
    if field.index_of is not None:
        found = polars.String
    elif isinstance(value, bool):
        found = polars.Boolean
    for _ in field.spec.shape:
        found = polars.List(found)
    return found


def _collect(tree: Tree, column: Callable[[str], polars.Series], found: list[Any]) -> None:
    """Put the column of each field into `found`."""
    for name, below in tree.items():
        if isinstance(below, int):
            found[below] = column(name)
        else:
            _collect(below, column(name).struct.unnest().get_column, found)


def _values(
    field: NestedField, column: polars.Series
) -> tuple[NDArray[Any], NDArray[np.bool_] | np.bool_]:
    """Return the values of a column, and which may be wrong; anything in place of null."""
    if field.index_of is not None:
        names = column.to_list()
        indices = np.array([field.index_of.get(name, -1) for name in names], np.int64)
        doubtful = [
            index
            for name, index in field.index_of.items()
            if name.startswith(_BEGIN_OTHERS) or name in _OTHERS
        ]
        return indices.astype(field.dtype), np.isin(indices, [-1, *doubtful])
    if column.null_count():
        column = column.fill_null(False if column.dtype == polars.Boolean else 0)
    values = column.to_numpy()
    with np.errstate(over="ignore"):
        array = values.astype(field.dtype)
    return array, array != values if field.dtype.kind == "i" else np.False_


def _of_records(each: NDArray[np.bool_] | np.bool_) -> NDArray[np.bool_] | np.bool_:
    return each.any(axis=1) if each.ndim else each


def _joined(rows: Rows) -> tuple[bytes, NDArray[np.int64]] | None:
    """Return records as lines, and where the lines end; None where some are no objects on a line.

    Every line begins with an opening brace and ends with a closing one. These two next to each
    other occur in JSON only between two values: no error in one record can join it with another.
    """
    try:
        text = b"\n".join(rows)  # type: ignore[arg-type]  # None is caught
    except TypeError:
        return None
    buffer = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(buffer == _LINE_FEED)
    if len(ends) != len(rows) - 1 or not text.startswith(b"{") or not text.endswith(b"}"):
        return None
    if (buffer[ends - 1] != _CLOSING).any() or (buffer[ends + 1] != _OPENING).any():
        return None
    return text, ends


def _tidy(row: bytes) -> bytes:
    """Return a record on one line. A line feed in text stays wrong: so is a tab."""
    return row.strip(BLANKS).replace(b"\n", b"\t")
