"""Messages of one type, read field by field from all of them at once.

What is read is what serialisers write: each field once, in the order of the fields' numbers, with
the shortest tags. Any other message is odd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.cursors import Bools, Cursor, Ints, Sinks, zigzag
from tfkafka.decoding.wire import Spans
from tfkafka.decoding.wire import numbers as packed_numbers

# What 64 bits of a number on the wire are, by the type of the field.
Meaning = Callable[[NDArray[np.uint64]], NDArray[Any]]
MEANINGS: dict[str, Meaning] = {
    "int32": lambda bits: bits.astype(np.uint32).view(np.int32),
    "int64": lambda bits: bits.view(np.int64),
    "uint32": lambda bits: bits.astype(np.uint32),
    "uint64": lambda bits: bits,
    "sint32": lambda bits: zigzag(bits.astype(np.uint32)),
    "sint64": zigzag,
    "bool": lambda bits: bits != 0,
}
_BEYOND_ASCII = 0x80


class Step(Protocol):
    """Reads the content of one field, after its tag."""

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        """Put values into their arrays, and move the cursor."""


def _put(cursor: Cursor, sinks: Sinks, number: int, values: NDArray[Any]) -> None:
    if values.dtype == np.uint64:
        # Sinks compare whole numbers with those of signed types, which NumPy does in float64.
        signed = values.view(np.int64)
        cursor.mark((signed < 0).any(axis=tuple(range(1, signed.ndim))))
        values = signed
    sinks.put(cursor, number, values)


@dataclass(frozen=True)
class Fixed:
    """Numbers of a fixed width.

    Attributes:
        dtype: their type.
        number: the field's number; None: it is not wanted.
        size: how many there are.
    """

    dtype: np.dtype[Any]
    number: int | None = None
    size: int = 1

    @property
    def width(self) -> int:
        """How many bytes it reads without a look at where a record ends."""
        return self.dtype.itemsize * self.size

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        if self.number is not None:
            values = cursor.peek(self.width).view(self.dtype).reshape(-1, self.size)
            _put(cursor, sinks, self.number, values)
        cursor.move(self.width)


@dataclass(frozen=True)
class PackedFixed:
    """Numbers of a fixed width, with their length in front of them."""

    values: Fixed

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        cursor.mark(cursor.numbers() != self.values.width)
        self.values.read(cursor, sinks)


@dataclass(frozen=True)
class Number:
    """A whole number, or a boolean.

    Attributes:
        meaning, number: what its bits are, and the field's number; None: it is not wanted.
    """

    meaning: Meaning | None = None
    number: int | None = None

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        bits = cursor.numbers()
        if self.meaning is not None and self.number is not None:
            _put(cursor, sinks, self.number, self.meaning(bits))


@dataclass(frozen=True)
class PackedNumbers:
    """Whole numbers, with their length in front of them.

    Attributes:
        meaning: what their bits are.
        number: the field's number.
        size: how many there are.
    """

    meaning: Meaning
    number: int
    size: int

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        spans = Spans(*cursor.stretches(cursor.numbers().view(np.int64)))
        is_right, numbers = packed_numbers(cursor.data, spans, self.size)
        cursor.mark(~is_right)
        right = cursor.some(np.flatnonzero(is_right))
        _put(right, sinks, self.number, self.meaning(numbers.view(np.uint64)))


@dataclass(frozen=True)
class Choice:
    """A value of an enum.

    Attributes:
        number: the field's number.
        values: int32, the numbers of the enum, ascending.
        becomes: int64, what each of them becomes, -1 where it is none of the classes; None: itself.
    """

    number: int
    values: NDArray[np.int32]
    becomes: Ints | None

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        found: NDArray[Any] = MEANINGS["int32"](cursor.numbers())
        places = np.minimum(np.searchsorted(self.values, found), len(self.values) - 1)
        # In proto2 an unknown number is an unknown field.
        cursor.mark(self.values[places] != found)
        if self.becomes is not None:
            found = self.becomes[places]
            cursor.mark(found < 0)
        sinks.put(cursor, self.number, found)


@dataclass(frozen=True)
class Text:
    """Text or bytes.

    Attributes:
        is_text: whether it has to be UTF-8.
        number: the field's number; None: it is not wanted.
        index_of: the index of each class, by its name in UTF-8.
    """

    is_text: bool
    number: int | None = None
    index_of: Mapping[bytes, int] = field(default_factory=dict)

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        start, stop = cursor.stretches(cursor.numbers().view(np.int64))
        if self.number is not None:
            sinks.put_classes(cursor, self.number, start, stop, self.index_of)
        elif self.is_text and len(start):
            # The largest byte of each text, and of what is between it and the next one.
            largest = np.maximum.reduceat(cursor.data, np.stack([start, stop], 1).ravel())[::2]
            wrong = (largest >= _BEYOND_ASCII) & (start < stop)
            for place in np.flatnonzero(wrong).tolist():
                wrong[place] = not _is_utf8(cursor.data.data[start[place] : stop[place]])
            cursor.mark(wrong)


def _is_utf8(data: memoryview) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Odd:
    """A field that is left to protobuf."""

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        cursor.mark(np.ones(len(cursor.at), np.bool_))


@dataclass(frozen=True)
class Absent:
    """What a field is in a message that does not have it.

    Attributes:
        number: the field's number.
        value: the value, [size]; None: protobuf decides.
        is_missing: whether it has no value there, and this one stands for it.
    """

    number: int
    value: NDArray[Any] | None
    is_missing: bool

    def put(self, cursor: Cursor, sinks: Sinks) -> None:
        """Put the value into the arrays."""
        if self.value is None:
            cursor.mark(np.ones(len(cursor.at), np.bool_))
            return
        sinks.arrays[self.number][cursor.rows] = self.value
        if not self.is_missing:
            sinks.seen.add(sinks.fields[self.number].title)


@dataclass(frozen=True)
class Part:
    """A field of a message.

    Attributes:
        tag: its number and kind, as they are written in front of it.
        step: how its content is read.
        absent: what the fields that the step reads are in messages without it.
        oneof: the name of the oneof that it is in, or None.
    """

    tag: bytes
    step: Step
    absent: Sequence[Absent] = ()
    oneof: str | None = None

    def read(self, cursor: Cursor, sinks: Sinks, present: Bools) -> None:
        """Read the field of the messages that have it, bool [m]."""
        if present.all():
            cursor.move(len(self.tag))
            self.step.read(cursor, sinks)
            return
        if (chosen := np.flatnonzero(present)).size:
            having = cursor.some(chosen)
            having.move(len(self.tag))
            self.step.read(having, sinks)
            # The array is also that of the records' beginnings.
            cursor.at = cursor.at.copy()
            cursor.at[chosen] = having.at
        if self.absent:
            others = cursor.some(np.flatnonzero(~present))
            for each in self.absent:
                each.put(others, sinks)


@dataclass(frozen=True)
class Message:
    """A message.

    Attributes:
        parts: its fields, in the order of their numbers. A message with any other is odd.
    """

    parts: Sequence[Part]

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        """Put values into their arrays. A message that does not end where it should is odd."""
        taken: dict[str, Bools] = {}
        for part in self.parts:
            present = cursor.begins_with(part.tag)
            if part.oneof is not None:
                # The last one counts where there are several.
                before = taken.get(part.oneof, np.zeros_like(present))
                cursor.mark(before & present)
                taken[part.oneof] = before | present
            part.read(cursor, sinks, present)
        cursor.mark(cursor.at != cursor.stop)


@dataclass(frozen=True)
class Nested:
    """A message in another one, with its length in front of it."""

    message: Message

    def read(self, cursor: Cursor, sinks: Sinks) -> None:
        start, stop = cursor.stretches(cursor.numbers().view(np.int64))
        self.message.read(replace(cursor, at=start, stop=stop), sinks)
