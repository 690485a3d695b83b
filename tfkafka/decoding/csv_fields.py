"""Rows of CSV one by one: their fields, and what is wrong with them.

A row is split as `tf.io.decode_csv` does it. What it accepts is accepted, except for hexadecimal
numbers and, with TensorFlow 2.21, nan with a number: nan(1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tfkafka.decoding.missing import OnMissing

_LINE_ENDS = b"\r\n"
_IS_TEXT = re.compile(rb'[",\r\n]')
# A quote or a line end.
IS_SPECIAL = re.compile(rb'["\r\n]')
# TensorFlow ignores line ends before a field, and refuses blanks before a quote.
_FIELD = re.compile(rb'[\r\n]*(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\Z)')


class Wrong(NamedTuple):
    """What is wrong with a row, and the field that is wrong."""

    kind: str
    value: bytes = b""


class Stop(NamedTuple):
    """Where a row cannot be split: the number of the field, and the row from there."""

    number: int
    rest: bytes


@dataclass(frozen=True)
class CsvColumn:
    """A column whose numbers or classes are wanted.

    Attributes:
        number: its number, counted from 0.
        title: what a reason begins with.
        dtype: the type of its numbers.
        index_of: the index of each class, by its name in UTF-8; None: it has numbers.
        on_missing: what becomes of an empty field.
    """

    number: int
    title: str
    dtype: np.dtype[Any]
    index_of: Mapping[bytes, int] | None = None
    on_missing: OnMissing = "bad"

    @property
    def may_miss(self) -> bool:
        """Whether a field may be empty."""
        return self.on_missing != "bad"

    @property
    def fill(self) -> float:
        """The number that an empty field becomes, where it may be empty."""
        return math.nan if isinstance(self.on_missing, str) else self.on_missing

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


def column_title(number: int, names: Sequence[str] | None = None) -> str:
    """Return what a reason about a column begins with; one after the last has no name."""
    if names and number < len(names):
        return f'column "{names[number]}"'
    return f"column {number} (from 0)"


def split_fields(row: bytes) -> list[bytes] | Stop:
    """Return the fields of a row without their quotes, and without line ends around the row."""
    row = row.strip(_LINE_ENDS)
    if not IS_SPECIAL.search(row):
        return row.split(b",")
    fields: list[bytes] = []
    end, is_last = 0, False
    while not is_last:
        found = _FIELD.match(row, end)
        if found is None:
            return Stop(len(fields), row[end:])
        quoted, bare, delimiter = found.groups()
        fields.append(bare if quoted is None else quoted.replace(b'""', b'"'))
        end, is_last = found.end(), not delimiter
    return fields
