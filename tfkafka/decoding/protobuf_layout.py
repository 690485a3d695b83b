"""How the messages of a type are read in whole columns, for the fields that are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkafka.decoding.cursors import LONGEST_NUMBER, varint
from tfkafka.decoding.nested_fields import NestedField, Tree, numbers_of
from tfkafka.decoding.nested_values import WrongRecord, array_of
from tfkafka.decoding.protobuf_columns import (
    MEANINGS,
    Absent,
    Choice,
    Fixed,
    Message,
    Nested,
    Number,
    Odd,
    PackedFixed,
    PackedNumbers,
    Part,
    Step,
    Text,
)
from tfkafka.decoding.protobuf_messages import is_repeated, may_be_missing, symbol

# The types of fields, by their numbers in descriptors.
_TYPES = (
    *("", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string"),
    *("group", "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"),
)
_FIXED: dict[str, np.dtype[Any]] = {
    "float": np.dtype("<f4"),
    "fixed32": np.dtype("<u4"),
    "sfixed32": np.dtype("<i4"),
    "double": np.dtype("<f8"),
    "fixed64": np.dtype("<u8"),
    "sfixed64": np.dtype("<i8"),
}
# How a field is written, which its tag says: as a number, with its length, as a group, in 4 bytes
# or in 8.
_AS_NUMBER, _WITH_LENGTH, _AS_GROUP, _AS_FIXED = 0, 2, 3, {4: 5, 8: 1}
# Each field costs a pass over all messages, also those of messages in messages that nobody wants.
_MOST_FIELDS = 500


@dataclass(frozen=True)
class Layout:
    """How messages are read.

    Attributes:
        message: the fields.
        width: how many bytes are read at most without a look at where a message ends.
    """

    message: Message
    width: int


def layout_of(
    descriptor: Any, tree: Tree, fields: Sequence[NestedField], finite: bool | None
) -> Layout:
    """Return how messages are read.

    Args:
        descriptor: that of the message.
        tree: the names of the fields.
        fields: the fields.
        finite: whether a number that is not finite makes a record bad.
    """
    compiler = _Compiler(fields, finite)
    message = compiler.message(descriptor, tree, ())
    return Layout(message, compiler.width)


@dataclass
class _Compiler:
    fields: Sequence[NestedField]
    finite: bool | None
    count: int = 0
    width: int = LONGEST_NUMBER

    def message(self, descriptor: Any, tree: Tree, around: tuple[str, ...]) -> Message:
        """Return how a message is read.

        Args:
            around: the names of the messages around it.
        """
        around, parts = (*around, descriptor.full_name), []
        for each in sorted(descriptor.fields, key=lambda each: int(each.number)):
            self.count += 1
            below = tree.get(each.name)
            if below is not None:
                step: Step | None = self._wanted(each, below, around)
            else:
                step = self._skipped(each, around)
            if step is not None:
                absent = () if below is None else tuple(self._absent(each, below))
                parts.append(Part(_tag(each), step, absent, _oneof(each)))
        return Message(parts)

    def _wanted(self, each: Any, below: int | Tree, around: tuple[str, ...]) -> Step:
        """Return how a field is read that is wanted, or has fields that are."""
        kind = _TYPES[each.type]
        if not isinstance(below, int):
            if kind == "group":
                return Odd()
            return Nested(self.message(each.message_type, below, around))
        into = self.fields[below]
        if is_repeated(each):
            return self._packed(kind, below, into.size)
        if kind == "enum":
            return self._choice(each.enum_type, below)
        if kind == "string":
            index_of = into.index_of or {}
            return Text(True, below, {name.encode(): index for name, index in index_of.items()})
        if kind in _FIXED:
            return Fixed(_FIXED[kind], below)
        return Number(MEANINGS[kind], below)

    def _packed(self, kind: str, number: int, size: int) -> Step:
        if kind in _FIXED:
            values = Fixed(_FIXED[kind], number, size)
            self.width = max(self.width, values.width)
            return PackedFixed(values)
        if kind in MEANINGS:
            return PackedNumbers(MEANINGS[kind], number, size)
        return Odd()

    def _choice(self, enum: Any, number: int) -> Step:
        index_of = self.fields[number].index_of
        values = sorted({each.number for each in enum.values})
        becomes = None
        if index_of is not None:
            names = [symbol(enum, value, index_of) for value in values]
            becomes = np.array([index_of.get(str(name), -1) for name in names], np.int64)
        return Choice(number, np.array(values, np.int32), becomes)

    def _skipped(self, each: Any, around: tuple[str, ...]) -> Step | None:
        """Return how a field is read that is not wanted; None: a message with it is odd."""
        kind = _TYPES[each.type]
        if kind == "group" or is_repeated(each) or self.count > _MOST_FIELDS:
            return None
        if kind == "message":
            if each.message_type.full_name in around:
                return None
            return Nested(self.message(each.message_type, {}, around))
        if kind in ("string", "bytes"):
            return Text(kind == "string")
        return Fixed(_FIXED[kind]) if kind in _FIXED else Number()

    def _absent(self, each: Any, below: int | Tree) -> Iterator[Absent]:
        """Yield what wanted fields are in a message that does not have one of its fields."""
        if not isinstance(below, int) or may_be_missing(each):
            for number in numbers_of(below):
                into = self.fields[number]
                fill = None if into.fill is None else np.full(into.size, into.fill, into.into)
                yield Absent(number, fill, is_missing=True)
            return
        into, default = self.fields[below], each.default_value
        if each.enum_type is not None and into.index_of is not None:
            default = symbol(each.enum_type, default, into.index_of)
        try:
            yield Absent(below, array_of(into, default, self.finite), is_missing=False)
        except WrongRecord:
            yield Absent(below, None, is_missing=False)


def _tag(field: Any) -> bytes:
    """Return what is written in front of a field."""
    kind = _TYPES[field.type]
    if kind == "group":
        how = _AS_GROUP
    elif is_repeated(field) or kind in ("string", "bytes", "message"):
        how = _WITH_LENGTH
    else:
        how = _AS_FIXED[_FIXED[kind].itemsize] if kind in _FIXED else _AS_NUMBER
    return varint(field.number << 3 | how)


def _oneof(field: Any) -> str | None:
    """Return the name of the oneof in which a field is with others, or None."""
    oneof = field.containing_oneof
    return None if oneof is None or len(oneof.fields) < 2 else str(oneof.name)
