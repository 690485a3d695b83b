"""How records of a writer's schema are read in whole columns, for the fields that are wanted.

Without a reader's schema, fields are those of the writer's. With one, they are the reader's, as
Avro's schema resolution has it: by name or alias, promoted, with defaults. What is not surely read
as fastavro reads it has no layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfkafka.decoding.avro_columns import (
    Choice,
    Exactly,
    Fixed,
    Nullable,
    Number,
    Place,
    Step,
    Text,
)
from tfkafka.decoding.nested_fields import NestedField, Tree, numbers_of

_WIDTHS: dict[str, np.dtype[Any]] = {
    "boolean": np.dtype(np.uint8),
    "float": np.dtype("<f4"),
    "double": np.dtype("<f8"),
}
_WHOLE = ("int", "long")
# A step with values copies so many bytes of each record, also of one that has fewer.
_WIDEST_MERGED = 2**12
_PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


class _Unsure(Exception):
    """It is not sure that the columns would be what fastavro reads."""


@dataclass(frozen=True)
class Layout:
    """How records are read.

    Attributes:
        steps: what comes one after another in a record.
        defaults: what the reader's schema has for fields that are not in the writer's, by their
            numbers.
        left_out: the numbers of fields that neither schema has for these records.
        width: how many bytes any step may read without a look at where a record ends.
    """

    steps: tuple[Step, ...]
    defaults: Mapping[int, Any]
    left_out: tuple[int, ...]

    @property
    def width(self) -> int:
        return max([1, *(step.width for step in self.steps)])


def layout_of(writer: Any, reader: Any, tree: Tree, fields: Sequence[NestedField]) -> Layout | None:
    """Return how records are read, or None where that is not sure.

    Args:
        writer, reader: `AvroSchema.whole`; the reader's may be None.
        tree: the names of the fields.
        fields: the fields.
    """
    found = _Compiler(fields)
    try:
        steps = found.record(writer, reader, tree)
    except _Unsure:
        return None
    return Layout(tuple(_merged(steps)), found.defaults, tuple(found.left_out))


@dataclass
class _Compiler:
    fields: Sequence[NestedField]
    defaults: dict[int, Any] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)

    def record(self, writer: Any, reader: Any, tree: Tree) -> list[Step]:
        """Return how a record is read."""
        if not _is(writer, "record") or not (reader is None or _same_name(writer, reader)):
            raise _Unsure
        read_as = _readers_fields(writer, reader)
        steps: list[Step] = []
        for each in writer["fields"]:
            target = read_as.get(each["name"])
            below = tree.get(each["name"] if target is None else target["name"])
            if reader is not None and target is None:
                steps += self._skipped(each["type"])
            elif below is None:
                steps += self._skipped(each["type"])
                if target is not None and not _resolves(each["type"], target["type"]):
                    raise _Unsure
            else:
                steps += self._wanted(each["type"], target and target["type"], below)
        self._complete(writer, reader, tree, read_as)
        return steps

    def _complete(self, writer: Any, reader: Any, tree: Tree, read_as: Mapping[str, Any]) -> None:
        """Note the fields that the writer does not have."""
        if reader is None:
            there = {each["name"] for each in writer["fields"]}
            for name, below in tree.items():
                if name not in there:
                    self.left_out += numbers_of(below)
            return
        there = {each["name"] for each in read_as.values()}
        for each in reader["fields"]:
            if each["name"] in there:
                continue
            if "default" not in each:
                raise _Unsure
            wanted = tree.get(each["name"])
            if isinstance(wanted, int):
                self.defaults[wanted] = each["default"]
            elif wanted is not None:
                raise _Unsure
        names = {each["name"] for each in reader["fields"]}
        for name, below in tree.items():
            if name not in names:
                self.left_out += numbers_of(below)

    def _wanted(self, writer: Any, reader: Any, below: int | Tree) -> list[Step]:
        """Return how a field is read that is wanted, or has fields that are.

        Args:
            reader: the type in the reader's schema, None: there is none.
        """
        if isinstance(writer, list):
            return [self._union(writer, reader, below)]
        reader = _branch(writer, reader)
        if not isinstance(below, int):
            return self.record(writer, reader, below)
        into = self.fields[below]
        if into.spec.shape:
            return self._array(writer, reader, below, into.spec.shape)
        if into.index_of is not None:
            return [self._class(writer, reader, below)]
        if not _promotes(writer, reader):
            raise _Unsure
        if writer in _WHOLE:
            return [Number(below, as_float=reader in ("float", "double"))]
        if isinstance(writer, str) and writer in _WIDTHS:
            dtype = _WIDTHS[writer]
            return [Fixed(dtype.itemsize, (Place(below, 0, dtype),))]
        raise _Unsure

    def _union(self, writer: list[Any], reader: Any, below: int | Tree | None) -> Nullable:
        if len(writer) != 2 or "null" not in writer:
            raise _Unsure
        null = writer.index("null")
        other = writer[1 - null]
        may_be_null = reader is None or (isinstance(reader, list) and "null" in reader)
        steps = self._skipped(other) if below is None else self._wanted(other, reader, below)
        numbers = () if below is None else tuple(numbers_of(below))
        return Nullable(null, tuple(_merged(steps)), numbers, may_be_null)

    def _class(self, writer: Any, reader: Any, number: int) -> Step:
        index_of = self.fields[number].index_of or {}
        if _is(writer, "enum"):
            if reader is not None and not (_is(reader, "enum") and _same_name(writer, reader)):
                raise _Unsure
            read_as = [_symbol(each, reader) for each in writer["symbols"]]
            indices = tuple(-1 if each is None else index_of.get(each, -1) for each in read_as)
            return Choice(len(indices), number, indices)
        if writer == "string" and reader in (None, "string"):
            return Text(number, {name.encode(): index for name, index in index_of.items()})
        raise _Unsure

    def _array(self, writer: Any, reader: Any, number: int, shape: Sequence[int]) -> list[Step]:
        if not _is(writer, "array") or not (reader is None or _is(reader, "array")):
            raise _Unsure
        items = writer["items"]
        wanted = None if reader is None else _branch(items, reader["items"])
        if len(shape) > 1 or not isinstance(items, str) or items not in _WIDTHS:
            raise _Unsure
        if not _promotes(items, wanted) or self.fields[number].index_of is not None:
            raise _Unsure
        dtype, size = _WIDTHS[items], shape[0]
        values = Fixed(dtype.itemsize * size, (Place(number, 0, dtype, size),))
        return [Exactly(size), values, Exactly(0)]

    def _skipped(self, writer: Any) -> list[Step]:
        """Return how a field is read that is not wanted."""
        if isinstance(writer, list):
            return [self._union(writer, None, None)]
        if _is(writer, "record"):
            return [step for each in writer["fields"] for step in self._skipped(each["type"])]
        if _is(writer, "fixed"):
            return [Fixed(writer["size"])]
        if _is(writer, "enum"):
            return [Choice(len(writer["symbols"]))]
        if writer in _WHOLE:
            return [Number()]
        if writer in ("string", "bytes"):
            return [Text()]
        if writer == "null":
            return []
        if isinstance(writer, str) and writer in _WIDTHS:
            return [Fixed(_WIDTHS[writer].itemsize)]
        raise _Unsure


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Return steps in which neighbours of fixed widths are one, if it is not too wide."""
    found: list[Step] = []
    for step in steps:
        before = found[-1] if found else None
        if (
            isinstance(step, Fixed)
            and isinstance(before, Fixed)
            and before.width + step.width <= _WIDEST_MERGED
        ):
            found.pop()
            step = Fixed(before.width + step.width, before.places + step.after(before.width))
        found.append(step)
    return found


def _is(schema: Any, kind: str) -> bool:
    return isinstance(schema, dict) and schema["type"] == kind


def _same_name(writer: Any, reader: Any) -> bool:
    """Return whether the types of two schemas have one name; aliases are left to fastavro."""
    return (
        isinstance(reader, dict)
        and writer["type"] == reader["type"]
        and writer["name"].rpartition(".")[2] == reader["name"].rpartition(".")[2]
    )


def _readers_fields(writer: Any, reader: Any) -> dict[str, Any]:
    """Return the reader's field for the name of each writer's field that it reads."""
    if reader is None:
        return {}
    by_name = {each["name"]: each for each in reader["fields"]}
    by_alias = {alias: each for each in reader["fields"] for alias in each.get("aliases", ())}
    found = {}
    for each in writer["fields"]:
        target = by_name.get(each["name"], by_alias.get(each["name"]))
        if target is not None:
            found[each["name"]] = target
    if len({each["name"] for each in found.values()}) < len(found):
        raise _Unsure
    return found


def _branch(writer: Any, reader: Any) -> Any:
    """Return the type of a reader's union that a type of the writer is read as."""
    if not isinstance(reader, list):
        return reader
    # An alias may name a type as well: which of two is read is left to fastavro.
    if not any(isinstance(each, dict) and each.get("aliases") for each in reader):
        for each in reader:
            if _resolves(writer, each):
                return each
    raise _Unsure


def _promotes(writer: Any, reader: Any) -> bool:
    """Return whether a primitive type is read as another."""
    if not (isinstance(writer, str) and (reader is None or isinstance(reader, str))):
        return False
    return reader is None or writer == reader or reader in _PROMOTED.get(writer, ())


def _resolves(writer: Any, reader: Any) -> bool:
    """Return whether any value of the writer's type is surely read as the reader's."""
    if isinstance(writer, list):
        return all(_resolves(each, reader) for each in writer)
    if isinstance(reader, list):
        return any(_resolves(writer, each) for each in reader)
    if _is(writer, "enum") and _is(reader, "enum"):
        symbols = [_symbol(each, reader) for each in writer["symbols"]]
        return _same_name(writer, reader) and None not in symbols
    return bool(writer == reader) or (isinstance(reader, str) and _promotes(writer, reader))


def _symbol(symbol: str, reader: Any) -> str | None:
    """Return what a symbol of the writer's enum is read as; None: it cannot be read."""
    if reader is None or symbol in reader["symbols"]:
        return symbol
    default: str | None = reader.get("default")
    return default
