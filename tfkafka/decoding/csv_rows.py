"""Records of CSV as columns of numbers, and what is wrong with the others.

Whole chunks are parsed as they are: by the native library, or by polars where there is none. Only
rows about which something is odd are split into their fields, and rewritten without quotes, blanks
and text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfkafka import native
from tfkafka.chunk import Column
from tfkafka.decoding.base import Fault
from tfkafka.decoding.csv_fields import (
    IS_SPECIAL,
    CsvColumn,
    Stop,
    Wrong,
    column_title,
    split_fields,
)
from tfkafka.decoding.csv_frames import FrameParser
from tfkafka.decoding.csv_native import NativeParser

# Of each wanted column, by its number: an array [n] of its type.
Out = Mapping[int, NDArray[Any]]


class Parser(Protocol):
    """What parses rows, of which it may leave some to others."""

    def read(self, rows: Column, out: Out, finite: bool) -> NDArray[np.int64]:
        """Parse rows of `count` columns, and return the indices of those that are odd, ascending.

        Args:
            rows: the rows.
            out: filled, with anything where a row is odd.
            finite: whether a row is odd where a number is not finite.
        """

    def read_tidy(self, texts: list[bytes], out: Out) -> dict[int, int]:
        """Parse rows that have the wanted columns alone, and of a class its index.

        Return the places of the rows that have a field that is no number, and for each the place
        of its first such field.
        """


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

    def read(self, rows: Column, out: Out, finite: bool | None = False) -> dict[int, Fault]:
        """Parse rows, and return the faults by their rows.

        Without the native library, raises ForkError in a child that was forked after polars had
        been used.

        Args:
            rows: the rows.
            out: filled; a row with a fault has any values.
            finite: whether a number that is not finite is a fault.
        """
        library = native.library()
        parser: Parser = (
            FrameParser(self.count, self.wanted)
            if library is None
            else NativeParser(library, self.count, self.wanted)
        )
        odd = parser.read(rows, out, bool(finite))
        return self._read_one_by_one(parser, rows, odd, out, bool(finite)) if len(odd) else {}

    def _read_one_by_one(
        self, parser: Parser, rows: Column, odd: NDArray[np.int64], out: Out, finite: bool
    ) -> dict[int, Fault]:
        """Do as `read` does for the rows that are odd."""
        # In the place of a row with a fault.
        filler = b",".join([b"0"] * len(self.wanted))
        wrong: dict[int, Wrong] = {}
        texts = []
        for place, row in enumerate(rows.take(odd).entries.tolist()):
            text = self._tidy(row)
            if isinstance(text, Wrong):
                wrong[place], text = text, filler
            texts.append(text)
        found = {number: np.empty(len(odd), each.dtype) for number, each in self.wanted.items()}
        columns = list(self.wanted.values())
        for place, number in parser.read_tidy(texts, found).items():
            wrong[place] = columns[number].no_number(texts[place].split(b",")[number])
        if finite:
            wrong = _not_finite(columns, texts, found) | wrong
        bad = list(wrong)
        for number, array in found.items():
            array[bad] = 0
            out[number][odd] = array
        indices = odd.tolist()
        return {indices[place]: Fault.of(indices[place], *each) for place, each in wrong.items()}

    def _tidy(self, row: bytes | None) -> bytes | Wrong:
        """Return the wanted fields without quotes, blanks and text, or what is wrong with a row."""
        fields = self._split(row)
        if isinstance(fields, Wrong):
            return fields
        numbers = self._tidy_numbers(fields)
        if numbers is not None:
            return numbers
        texts = []
        for column in self.wanted.values():
            text = column.tidy(fields[column.number])
            if isinstance(text, Wrong):
                return text
            texts.append(text)
        return b",".join(texts)

    def _tidy_numbers(self, fields: list[bytes]) -> bytes | None:
        """Return the wanted fields as `_tidy` does where that is quick: nothing else than numbers.

        None where a field is empty or has a comma, a quote or a line end, or is a class.
        """
        if self._has_classes:
            return None
        bare = [fields[number].strip() for number in self.wanted]
        text = b",".join(bare)
        is_quick = all(bare) and text.count(b",") == len(bare) - 1 and not IS_SPECIAL.search(text)
        return text if is_quick else None

    def _split(self, row: bytes | None) -> list[bytes] | Wrong:
        """Return the fields of a row without their quotes, or what is wrong with the row."""
        if row is None:
            return Wrong(f"{self.title}is null")
        fields = split_fields(row)
        if isinstance(fields, Stop):
            kind = f"{self._title_of(fields.number)} has a quote or a line end in the wrong place"
            return Wrong(kind, fields.rest)
        if self.count > 1 and not row.strip():
            return Wrong(f"{self.title}is empty")
        if len(fields) != self.count:
            return Wrong(f"{self.title}has {len(fields)} columns instead of {self.count}")
        return fields

    @cached_property
    def _has_classes(self) -> bool:
        return any(column.index_of is not None for column in self.wanted.values())

    def _title_of(self, number: int) -> str:
        if number in self.wanted:
            return self.wanted[number].title
        return column_title(number, self.names)


def _not_finite(
    columns: Sequence[CsvColumn], texts: Sequence[bytes], found: Out
) -> dict[int, Wrong]:
    """Return what is wrong with rows that have numbers, but not finite ones, by their places."""
    wrong: dict[int, Wrong] = {}
    for number, column in enumerate(columns):
        kind = f"{column.title} is not finite as {column.dtype.name}"
        for place in np.flatnonzero(~np.isfinite(found[column.number])).tolist():
            field = texts[place].split(b",")[number]
            # An empty one is missing.
            if field:
                wrong.setdefault(place, Wrong(kind, field))
    return wrong
