"""Records of one Avro schema, read field by field from all of them at once.

Each step reads one field, or several of fixed widths, of all records, and moves a cursor in each.
A record whose cursor does not stop exactly at its end is odd, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.cursors import LONGEST_NUMBER, Bools, Cursor, Sinks


class Step(Protocol):
    """Reads what comes next in each record."""

    @property
    def width(self) -> int:
        """How many bytes it may read without a look at where a record ends."""

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        """Put values into their arrays, and move the cursor."""


@dataclass(frozen=True)
class Place:
    """A value within bytes of a fixed width.

    Attributes:
        number: the field's number.
        offset: where it begins.
        dtype: its type there; of uint8, it is a boolean.
        size: the number of values.
    """

    number: int
    offset: int
    dtype: np.dtype[Any]
    size: int = 1


@dataclass(frozen=True)
class Fixed:
    """Fields of fixed widths.

    Attributes:
        width: the number of bytes.
        places: the fields that are wanted.
    """

    width: int
    places: tuple[Place, ...] = ()

    def read(self, cursor: Cursor, sinks: Sinks, present: Bools | None = None) -> None:
        if self.places:
            # One copy, in which all values of a field have the same distance from one another.
            found = cursor.peek(self.width).view(np.uint8).reshape(-1, self.width)
            for place in self.places:
                stop = place.offset + place.dtype.itemsize * place.size
                values = np.ascontiguousarray(found[:, place.offset : stop]).view(place.dtype)
                if place.dtype == np.uint8:
                    wrong = (values > 1).any(axis=1)
                    cursor.mark(wrong if present is None else wrong & present)
                sinks.put(cursor, place.number, values, present)
        cursor.move(self.width if present is None else self.width * present)

    def after(self, width: int) -> tuple[Place, ...]:
        """Return the places where `width` bytes are before these."""
        return tuple(replace(place, offset=place.offset + width) for place in self.places)


@dataclass(frozen=True)
class Number:
    """A whole number.

    Attributes:
        number: the field's number; None: it is not wanted.
        as_float: whether the reader's schema makes a float of it.
    """

    number: int | None = None
    as_float: bool = False
    width: int = LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        values: NDArray[Any] = cursor.signed()
        if self.number is not None:
            sinks.put(cursor, self.number, values.astype(np.float64) if self.as_float else values)


@dataclass(frozen=True)
class Choice:
    """A symbol of an enum.

    Attributes:
        count: the number of symbols.
        number: the field's number; None: it is not wanted.
        indices: the index of the class that each symbol is, -1 where it is none.
    """

    count: int
    number: int | None = None
    indices: tuple[int, ...] = ()
    width: int = LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        found = cursor.signed()
        wrong = (found < 0) | (found >= self.count)
        if self.number is not None:
            indices = np.array(self.indices)[np.where(wrong, 0, found)]
            wrong |= indices < 0
            sinks.put(cursor, self.number, indices)
        cursor.mark(wrong)


@dataclass(frozen=True)
class Text:
    """Text or bytes.

    Attributes:
        number: the field's number; None: it is not wanted.
        index_of: the index of each class, by its name in UTF-8.
    """

    number: int | None = None
    index_of: Mapping[bytes, int] = field(default_factory=dict)
    width: int = LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        start, stop = cursor.stretches(cursor.signed())
        if self.number is not None:
            sinks.put_classes(cursor, self.number, start, stop, self.index_of)


@dataclass(frozen=True)
class Exactly:
    """A whole number that must be this one: how many items an array has."""

    count: int
    width: int = LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        cursor.mark(cursor.signed() != self.count)


@dataclass(frozen=True)
class Nullable:
    """A union of null and another type.

    Attributes:
        null: which of the two null is, 0 or 1.
        steps: how the other one is read.
        numbers: the fields that are read by them.
        may_be_null: whether the reader's schema allows null.
    """

    null: int
    steps: tuple[Step, ...]
    numbers: tuple[int, ...]
    may_be_null: bool

    @property
    def width(self) -> int:
        return max([LONGEST_NUMBER, *(step.width for step in self.steps)])

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        branch = cursor.signed()
        cursor.mark((branch < 0) | (branch > 1))
        is_null = branch == self.null
        if not is_null.any():
            for step in self.steps:
                step.read(cursor, sinks)
            return
        if len(self.steps) == 1 and isinstance(self.steps[0], Fixed):
            self.steps[0].read(cursor, sinks, ~is_null)
        elif (present := np.flatnonzero(~is_null)).size:
            others = cursor.some(present)
            for step in self.steps:
                step.read(others, sinks)
            cursor.at[present] = others.at
        nulls = cursor.some(np.flatnonzero(is_null))
        if not self.may_be_null:
            nulls.mark(np.ones(len(nulls.at), np.bool_))
        for number in self.numbers:
            sinks.leave_out(nulls, number)


def read_all(steps: Sequence[Step], cursor: Cursor, sinks: Sinks) -> None:
    """Read records. Those that are not surely right are marked as odd."""
    for step in steps:
        step.read(cursor, sinks)
    cursor.mark(cursor.at != cursor.stop)
