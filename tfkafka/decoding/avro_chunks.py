"""Chunks of Avro records: most are read together, schema by schema, and the odd ones one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.avro_columns import read_all
from tfkafka.decoding.avro_layout import Layout, layout_of
from tfkafka.decoding.avro_schemas import AvroSchema, read_one
from tfkafka.decoding.base import Fault
from tfkafka.decoding.cursors import Bodies, Cursor, Ints, Sinks
from tfkafka.decoding.framing import HEAD, schema_numbers
from tfkafka.decoding.nested_fields import NestedField, Tree, tree_of
from tfkafka.decoding.nested_values import WrongRecord, array_of, kind_of, values_of


@dataclass(frozen=True)
class Writer:
    """How the records of a writer's schema are read.

    Attributes:
        schema: the schema; None: no record of it can be read.
        layout: how they are read together; None: they are read one by one.
        refusal: why none of them can be read, if that is so.
    """

    schema: AvroSchema | None
    layout: Layout | None = None
    refusal: str = ""


@dataclass(frozen=True)
class AvroChunks:
    """How the values of chunks become arrays.

    Attributes:
        fields: what is read.
        finite: whether a number that is not finite makes a record bad.
        reader: the reader's schema; None: fields are those of the writer's.
    """

    fields: tuple[NestedField, ...]
    finite: bool | None
    reader: AvroSchema | None = None

    def writer(self, schema: AvroSchema, named: str) -> Writer:
        """Return how the records of a writer's schema are read.

        Args:
            named: what a reason calls the schema.
        """
        reader = None if self.reader is None else self.reader.whole
        layout = layout_of(schema.whole, reader, self._tree, self.fields)
        if layout is not None:
            for number in layout.left_out:
                if self.fields[number].fill is None:
                    title = self.fields[number].title
                    return Writer(None, refusal=f"{title} is missing: {named} does not have it")
        return Writer(schema, layout)

    def read(
        self,
        rows: Column,
        sinks: Sequence[NDArray[Any]],
        writers: Writer | Callable[[int], Writer],
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        """Put the values of all records into arrays.

        Args:
            rows: the records' values.
            sinks: for each field an array [n, size], which may be of another type.
            writers: the schema of all records, which are nothing else; or what returns the one of a
                number, for records in Confluent's wire format.

        Returns:
            The faults by their indices, and what none of the records has and a number stands for.
        """
        faults = {i: Fault.of(i, "is null") for i in np.flatnonzero(rows.nulls).tolist()}
        if isinstance(writers, Writer):
            some = np.flatnonzero(~rows.nulls) if faults else slice(None)
            groups, head = [(writers, some)], 0
        else:
            by_number = _by_schema(rows, faults)
            groups, head = [(writers(number), some) for number, some in by_number.items()], HEAD
        into = Sinks(self.fields, sinks, bool(self.finite))
        padding = max([each.layout.width for each, _ in groups if each.layout], default=0)
        bodies = Bodies.of(rows, head, padding)
        for writer, some in groups:
            if writer.schema is None:
                for index in np.arange(len(rows))[some].tolist():
                    faults[index] = Fault.of(index, writer.refusal)
                continue
            odd = np.arange(len(rows))[some]
            if writer.layout is not None and len(odd):
                odd = odd[self._read_together(writer.layout, bodies, some, into)[some]]
            for index in odd.tolist():
                self._read_alone(writer.schema, bodies, index, into, faults)
        may_miss = {field.title for field in self.fields if field.fill is not None}
        return faults, frozenset(may_miss - into.seen)

    def _read_together(
        self, layout: Layout, bodies: Bodies, some: slice | Ints, into: Sinks
    ) -> NDArray[np.bool_]:
        """Put the values of records into arrays; return bool [n], which of them are odd."""
        odd = np.zeros(len(bodies.start), np.bool_)
        cursor = Cursor(bodies.data, bodies.start[some], bodies.stop[some], some, odd)
        for number in layout.left_out:
            into.leave_out(cursor, number)
        for number, default in layout.defaults.items():
            try:
                self._put_default(number, default, cursor, into)
            except WrongRecord:
                odd[some] = True
        read_all(layout.steps, cursor, into)
        return odd

    def _put_default(self, number: int, default: Any, cursor: Cursor, into: Sinks) -> None:
        """Put what the reader's schema has for a field that the writer's does not have."""
        field = self.fields[number]
        into.arrays[number][cursor.rows] = array_of(field, default, self.finite)
        if default is not None:
            into.seen.add(field.title)

    def _read_alone(
        self,
        schema: AvroSchema,
        bodies: Bodies,
        index: int,
        into: Sinks,
        faults: dict[int, Fault],
    ) -> None:
        """Put the values of one record into arrays, or note its fault."""
        try:
            record = read_one(bodies.body(index), schema, self.reader)
            if not isinstance(record, dict):
                raise WrongRecord(f"is {kind_of(record)}, not a record")
            found = values_of(record, self._tree, self.fields, self.finite, into.seen)
        except WrongRecord as wrong:
            faults[index] = Fault.of(index, wrong.kind, wrong.value)
            return
        for sink, array in zip(into.arrays, found, strict=True):
            sink[index] = array

    @cached_property
    def _tree(self) -> Tree:
        return tree_of([field.path for field in self.fields])


def _by_schema(rows: Column, faults: dict[int, Fault]) -> Mapping[int, slice | Ints]:
    """Return the rows of each schema's number, and note those in which there is none."""
    framed, numbers = schema_numbers(rows, faults)
    different = np.unique(numbers).tolist()
    if len(different) == 1 and len(framed) == len(rows):
        return {different[0]: slice(None)}
    return {each: framed[numbers == each] for each in different}
