"""Chunks of Protocol Buffers' messages: most are read together, and the odd ones one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.base import ArraySpec, Fault
from tfkafka.decoding.cursors import Bodies, Cursor, Ints, Sinks, varint
from tfkafka.decoding.framing import HEAD, schema_numbers
from tfkafka.decoding.nested_fields import NestedField, Tree, tree_of
from tfkafka.decoding.nested_values import WrongRecord, values_of
from tfkafka.decoding.protobuf_layout import Layout, layout_of
from tfkafka.decoding.protobuf_messages import Unwanted, path_of, read_one, values_by_name

# How many of the bytes that are no right message indexes a reason shows.
_SHOWN = 10


@dataclass(frozen=True)
class ProtobufChunks:
    """How the values of chunks become arrays.

    Attributes:
        fields: what is read.
        finite: whether a number that is not finite makes a record bad.
        message: the class of the messages.
        is_framed: whether they are in Confluent's wire format.
    """

    fields: tuple[NestedField, ...]
    finite: bool | None
    message: Any
    is_framed: bool

    def read(
        self, rows: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        """Put the values of all records into arrays.

        Args:
            rows: the records' values.
            sinks: for each field an array [n, size], which may be of another type.

        Returns:
            The faults by their indices, and what none of the records has and a number stands for.
        """
        faults = {i: Fault.of(i, "is null") for i in np.flatnonzero(rows.nulls).tolist()}
        heads = self._heads(rows, faults) if self.is_framed else 0
        bodies = Bodies.of(rows, heads, self._layout.width)
        into = Sinks(self._flat, sinks, bool(self.finite))
        some = np.delete(np.arange(len(rows)), [*faults]) if faults else slice(None)
        odd = self._read_together(bodies.data, bodies.start[some], bodies.stop[some], some, into)
        if odd.size:
            self._read_odd(bodies, odd, into, faults)
        may_miss = {field.title for field in self.fields if field.fill is not None}
        return faults, frozenset(may_miss - into.seen)

    def _read_together(
        self, data: NDArray[np.uint8], start: Ints, stop: Ints, some: slice | Ints, into: Sinks
    ) -> Ints:
        """Put the values of records into arrays, and return which of them are odd."""
        odd = np.zeros(len(into.arrays[0]), np.bool_)
        self._layout.message.read(Cursor(data, start, stop, some, odd), into)
        return np.flatnonzero(odd)

    def _read_odd(self, bodies: Bodies, odd: Ints, into: Sinks, faults: dict[int, Fault]) -> None:
        """Do as `read` does for odd records, as protobuf reads them.

        Most become plain when it writes them again, without what is not wanted.
        """
        messages = {}
        for index in odd.tolist():
            try:
                messages[index] = read_one(bodies.body(index), self.message, self._unwanted)
            except WrongRecord as wrong:
                faults[index] = Fault.of(index, wrong.kind, wrong.value)
        written = [each.SerializePartialToString() for each in messages.values()]
        again = Bodies.of(Column.of(written, len(written)), 0, self._layout.width)
        some = np.array([*messages], np.int64)
        odd = self._read_together(again.data, again.start, again.stop, some, into)
        for index in odd.tolist():
            try:
                record = values_by_name(messages[index], self._tree, self.fields)
                found = values_of(record, self._tree, self._flat, self.finite, into.seen)
            except WrongRecord as wrong:
                faults[index] = Fault.of(index, wrong.kind, wrong.value)
                continue
            for sink, array in zip(into.arrays, found, strict=True):
                sink[index] = array

    def _heads(self, rows: Column, faults: dict[int, Fault]) -> Ints:
        """Return how many bytes are in front of each message, and note what is no such message."""
        framed, _ = schema_numbers(rows, faults)
        found = np.full(len(rows), HEAD)
        start, stop = rows.offsets[framed] + HEAD, rows.offsets[framed + 1]
        is_right = np.zeros(len(framed), np.bool_)
        for indexes in self._indexes:
            fits = np.flatnonzero(stop - start >= len(indexes))
            there = rows.buffer[start[fits, None] + np.arange(len(indexes))]
            same = fits[(there == np.frombuffer(indexes, np.uint8)).all(axis=1)]
            is_right[same] = True
            found[framed[same]] += len(indexes)
        wrong = framed[~is_right]
        for index, value in zip(wrong.tolist(), rows.take(wrong).entries, strict=True):
            faults[index] = Fault.of(index, self._is_another, value[HEAD : HEAD + _SHOWN])
        return found

    @cached_property
    def _is_another(self) -> str:
        descriptor = self.message.DESCRIPTOR
        path = path_of(descriptor)
        return f"is not {descriptor.full_name}: its message indexes are not {path}"

    @cached_property
    def _indexes(self) -> list[bytes]:
        """How it is written which message of its file this one is."""
        path = path_of(self.message.DESCRIPTOR)
        found = b"".join(varint(2 * number) for number in (len(path), *path))
        # The first one is also written in short.
        return [found, b"\0"] if path == [0] else [found]

    @cached_property
    def _flat(self) -> tuple[NestedField, ...]:
        """The fields with the shapes that their values have in a message."""
        return tuple(
            replace(each, spec=ArraySpec((each.size,), each.dtype)) if each.spec.shape else each
            for each in self.fields
        )

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.message.DESCRIPTOR, self._tree, self._flat, self.finite)

    @cached_property
    def _unwanted(self) -> Unwanted:
        return Unwanted.of(self.message.DESCRIPTOR, self._tree)

    @cached_property
    def _tree(self) -> Tree:
        return tree_of([field.path for field in self.fields])
