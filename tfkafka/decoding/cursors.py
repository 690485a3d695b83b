"""Records that are read field by field, from all of them at once.

A cursor never reads beyond the records' buffer. A record in which anything is not surely right is
odd: it is read again, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.nested_fields import NestedField

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
# No number is longer; nor is what is read at once without a look at the end of the record.
LONGEST_NUMBER = 10
_MORE, _BITS = 0x80, np.uint64(0x7F)


def varint(number: int) -> bytes:
    """Return a whole number from 0 on, with 7 bits in each byte."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | _MORE)
        number >>= 7
    return bytes([*found, number])


def zigzag(bits: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers whose sign is the last bit of unsigned ones, of as many bits."""
    signed = bits.dtype.str.replace("u", "i")
    found: NDArray[Any] = (bits >> 1).view(signed) ^ -(bits & 1).view(signed)
    return found


@dataclass(frozen=True)
class Bodies:
    """The records of a chunk, one after another.

    Attributes:
        data: uint8, their bytes, and zeros after them.
        start, stop: int64 [n], where the body of each begins and ends.
    """

    data: NDArray[np.uint8]
    start: Ints
    stop: Ints

    @classmethod
    def of(cls, rows: Column, head: int | Ints, padding: int) -> Bodies:
        """Return the values of a column.

        Args:
            head: how many bytes are before each body, of all or int64 [n].
            padding: how many zeros are after all of them.
        """
        first, last = rows.offsets[0], rows.offsets[-1]
        data = np.zeros(last - first + padding, np.uint8)
        data[: last - first] = rows.buffer[first:last]
        return cls(data, rows.offsets[:-1] - first + head, rows.offsets[1:] - first)

    def body(self, index: int) -> bytes:
        """Return the body of one record."""
        return self.data[self.start[index] : self.stop[index]].tobytes()


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

    def begins_with(self, data: bytes) -> Bools:
        """Return bool [m]: whether these bytes are next."""
        found: Bools = self.at < self.stop
        for place, byte in enumerate(data):
            found &= self.data[self.at + place] == byte
        return found

    def signed(self) -> Ints:
        """Return the next whole numbers, [m], in which the last bit is the sign, and go on."""
        return zigzag(self.numbers())

    def numbers(self) -> NDArray[np.uint64]:
        """Return the next whole numbers, [m], which have 7 bits in each byte, and go on."""
        byte = self.data[self.at]
        found, lengths = byte.astype(np.uint64), np.ones(len(byte), np.int64)
        goes_on = np.flatnonzero(byte >= _MORE)
        found[goes_on] &= _BITS
        for place in range(1, LONGEST_NUMBER):
            if not goes_on.size:
                break
            # Zeros are after the last record; a number that reaches into the next one is odd.
            byte = self.data[np.minimum(self.at[goes_on] + place, len(self.data) - 1)]
            found[goes_on] |= (byte.astype(np.uint64) & _BITS) << np.uint64(7 * place)
            lengths[goes_on] += 1
            is_last = place == LONGEST_NUMBER - 1
            too_long = byte > 1 if is_last else np.zeros(len(byte), np.bool_)
            lengths[goes_on[too_long]] = len(self.data)
            goes_on = goes_on[byte >= _MORE]
        self.move(lengths)
        return found

    def stretches(self, lengths: Ints) -> tuple[Ints, Ints]:
        """Return where the next bytes begin and end, each [m], and go on after them.

        Args:
            lengths: int64 [m], how many they are. Where a record has fewer, there are none.
        """
        wrong = (lengths < 0) | (lengths > self.stop - self.at)
        self.mark(wrong)
        start = self.at
        self.move(np.where(wrong, 0, lengths))
        return start, self.at

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

    def put_classes(
        self, cursor: Cursor, number: int, start: Ints, stop: Ints, index_of: Mapping[bytes, int]
    ) -> None:
        """Put the indices of the classes that texts name.

        Args:
            start, stop: int64 [m], where they begin and end.
            index_of: the index of each class, by its name in UTF-8.
        """
        data = cursor.data.data
        bounds = zip(start.tolist(), stop.tolist(), strict=True)
        found = [index_of.get(bytes(data[begin:end]), -1) for begin, end in bounds]
        indices = np.array(found, np.int64)
        cursor.mark(indices < 0)
        self.put(cursor, number, indices)

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
