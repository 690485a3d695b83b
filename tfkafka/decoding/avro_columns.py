"""Records of one Avro schema, read field by field from all of them at once.

Each step reads one field, or several of fixed widths, of all records, and moves a cursor in each.
It never reads beyond the records' buffer. A record whose cursor does not stop exactly at its end,
or in which anything else is not surely right, is odd: it is read again, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.nested_fields import NestedField

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
# No number is longer; nor is what is read at once without a look at the end of the record.
_LONGEST_NUMBER = 10
_MORE, _BITS = 0x80, np.uint64(0x7F)


@dataclass
class Cursor:
    """Where the next field of some records begins.

    Attributes:
        data: uint8, the bytes of all records, and after them as many others as the widest step has.
        at: int64 [m], where the next field begins in `data`.
        stop: int64 [m], where the record ends.
        rows: the records' numbers in the arrays: a slice, or int64 [m].
        odd: bool [n], which records of the arrays are odd: they are marked here.
    """

    data: NDArray[np.uint8]
    at: Ints
    stop: Ints
    rows: slice | Ints
    odd: Bools

    def mark(self, wrong: Bools) -> None:
        """Mark records, bool [m], as odd."""
        if wrong.any():
            self.odd[self.rows] |= wrong

    def move(self, lengths: int | Ints) -> None:
        """Go on by so many bytes; a record that has fewer is odd."""
        self.at = self.at + lengths
        self.mark(self.at > self.stop)
        np.minimum(self.at, self.stop, out=self.at)

    def peek(self, width: int) -> NDArray[np.void]:
        """Return the next bytes, [m], as values of `width` bytes."""
        shape = (len(self.data) - width + 1,)
        found: NDArray[np.void] = np.ndarray(shape, f"V{width}", self.data, strides=(1,))[self.at]
        return found

    def numbers(self) -> Ints:
        """Return the next whole numbers, [m], and go on after them."""
        byte = self.data[self.at]
        found, lengths = byte.astype(np.uint64), np.ones(len(byte), np.int64)
        goes_on = np.flatnonzero(byte >= _MORE)
        found[goes_on] &= _BITS
        for place in range(1, _LONGEST_NUMBER):
            if not goes_on.size:
                break
            # Zeros are after the last record; a number that reaches into the next one is odd.
            byte = self.data[np.minimum(self.at[goes_on] + place, len(self.data) - 1)]
            found[goes_on] |= (byte.astype(np.uint64) & _BITS) << np.uint64(7 * place)
            lengths[goes_on] += 1
            is_last = place == _LONGEST_NUMBER - 1
            too_long = byte > 1 if is_last else np.zeros(len(byte), np.bool_)
            lengths[goes_on[too_long]] = len(self.data)
            goes_on = goes_on[byte >= _MORE]
        self.move(lengths)
        half = (found >> np.uint64(1)).view(np.int64)
        return half ^ -(found & np.uint64(1)).view(np.int64)

    def some(self, chosen: Ints) -> Cursor:
        """Return a cursor of some of the records."""
        rows = chosen if isinstance(self.rows, slice) else self.rows[chosen]
        return replace(self, at=self.at[chosen], stop=self.stop[chosen], rows=rows)


@dataclass
class Sinks:
    """Where the values of fields go.

    Attributes:
        fields: the fields.
        arrays: for each an array [n, size].
        finite: whether a number must be finite.
        seen: the titles of fields that any of the records has.
    """

    fields: Sequence[NestedField]
    arrays: Sequence[NDArray[Any]]
    finite: bool
    seen: set[str] = field(default_factory=set)

    def put(
        self, cursor: Cursor, number: int, values: NDArray[Any], present: Bools | None = None
    ) -> None:
        """Put the values of a field, [m] or [m, size], into its array.

        Args:
            present: bool [m], whether a record has the field; None: all have.
        """
        into, sink = self.fields[number], self.arrays[number]
        values = values.reshape(-1, into.size)
        wrong: Bools | None = None
        with np.errstate(over="ignore", invalid="ignore"):
            if into.dtype.kind == "f" and values.dtype.kind != "f":
                # Python's floats are float64, and numbers are rounded as they are.
                values = values.astype(np.float64)
            array = values.astype(into.dtype, copy=False)
            if into.dtype.kind != "f" and values.dtype != into.dtype:
                wrong = (_beyond(values, into.dtype) | (array != values)).any(axis=1)
            elif self.finite and into.dtype.kind == "f":
                wrong = ~np.isfinite(array).all(axis=1)
            sink[cursor.rows] = array
        if wrong is not None:
            cursor.mark(wrong if present is None else wrong & present)
        if present is None or present.any():
            self.seen.add(into.title)

    def leave_out(self, cursor: Cursor, number: int) -> None:
        """Have what stands for a missing value, where records do not have a field."""
        into = self.fields[number]
        if into.fill is None:
            cursor.mark(np.ones(len(cursor.at), np.bool_))
        else:
            self.arrays[number][cursor.rows] = into.fill


def _beyond(values: NDArray[Any], dtype: np.dtype[Any]) -> Bools | np.bool_:
    """Return which floats a type of whole numbers does not hold.

    A cast to it wraps such a float, or takes the nearest number that it holds, as the machine has
    it; and the largest int64 is equal to 2^63, as a float.
    """
    if values.dtype.kind != "f":
        return np.False_
    limits = np.iinfo(dtype)
    return ~((values >= float(limits.min)) & (values < limits.max + 1.0))


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
    width: int = _LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        values: NDArray[Any] = cursor.numbers()
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
    width: int = _LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        found = cursor.numbers()
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
    width: int = _LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        lengths = cursor.numbers()
        wrong = (lengths < 0) | (lengths > cursor.stop - cursor.at)
        cursor.mark(wrong)
        lengths[wrong] = 0
        start = cursor.at
        cursor.move(lengths)
        if self.number is not None:
            data = cursor.data.data
            bounds = zip(start.tolist(), cursor.at.tolist(), strict=True)
            found = [self.index_of.get(bytes(data[begin:end]), -1) for begin, end in bounds]
            indices = np.array(found, np.int64)
            cursor.mark(indices < 0)
            sinks.put(cursor, self.number, indices)


@dataclass(frozen=True)
class Exactly:
    """A whole number that must be this one: how many items an array has."""

    count: int
    width: int = _LONGEST_NUMBER

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        cursor.mark(cursor.numbers() != self.count)


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
        return max([_LONGEST_NUMBER, *(step.width for step in self.steps)])

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        branch = cursor.numbers()
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
