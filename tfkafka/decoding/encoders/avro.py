"""Avro records, one a record of the topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import as_columns, named, rows
from tfkafka.chunk import Chunk, Column, TopicPartition
from tfkafka.config import Settings
from tfkafka.decoding.avro import AvroDecoder
from tfkafka.decoding.avro_chunks import AvroChunks, Writer
from tfkafka.decoding.avro_schemas import AvroSchema, schema_text, write_one
from tfkafka.decoding.avro_writers import RegistryWriters, record_of
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Fault, Spec
from tfkafka.decoding.cursors import varint
from tfkafka.decoding.encoders.base import described, refuse_no_texts, spec_of
from tfkafka.decoding.framing import framed
from tfkafka.decoding.nested_values import WrongRecord
from tfkafka.decoding.schema_registry import checked_registry, shared_registry
from tfkafka.decoding.sources import Field, checked_shape, quoted

_DTYPES: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "boolean": np.dtype(np.bool_),
    "string": np.dtype(np.str_),
}
# Their values have as many bytes in Avro as in an array.
_FIXED = ("float", "double", "boolean")


@dataclass(frozen=True)
class AvroEncoder:
    """An Avro record for each row, of one schema.

    The schema's fields are the columns: numbers, booleans, text, and arrays of them of one shape,
    also in a union with null. Columns are a dict of arrays by the fields' names; where the schema
    has one field alone, also an array, and [n, 1] for a field that is no array. What was written is
    read back in the same way: for one field as an array, and text as an array of objects.

    It needs `pip install 'tfkafka[avro]'`.

    Args:
        schema: the schema of a record, in JSON or as a dict.
        shapes: the shape of each field that is an array, by its name.
        registry: the address of a schema registry: the schema is registered there, and each value
            is in Confluent's wire format. None: a value is a record's bytes alone.
        registry_config: further settings of the registry: see `AvroDecoder`.
        subject: what the schema is registered as, by convention "TOPIC-value".

    Raises:
        ValueError: the schema is none, or has a field that no column can be.
        ConfigurationError: a package is not installed, or a setting of the registry is wrong.

    A registry that is away, or refuses the schema, is a `WriteError` within 3 s.

    Example:
        schema = {
            "type": "record",
            "name": "Prediction",
            "fields": [{"name": "probability", "type": "float"}],
        }
        encoder = tfkafka.AvroEncoder(schema)
        assert encoder.encode(np.array([0.0], np.float32)) == [bytes(4)]
    """

    schema: str | Mapping[str, Any]
    _: KW_ONLY
    shapes: Mapping[str, Sequence[int]] | None = None
    registry: str | None = None
    registry_config: Mapping[str, object] | None = field(default=None, repr=False)
    subject: str | None = None
    _specs: dict[str, ArraySpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", schema_text("AvroEncoder: schema", self.schema))
        if not self._avro.is_record or not self._avro.whole["fields"]:
            raise ValueError("AvroEncoder: schema is not that of a record with fields")
        shapes = {}
        if self.shapes is not None:
            arguments.mapping("AvroEncoder: shapes", self.shapes)
            for name, shape in self.shapes.items():
                shapes[name] = checked_shape(f"AvroEncoder: shapes[{name!r}]", shape)
        object.__setattr__(self, "shapes", shapes)
        names = [each["name"] for each in self._avro.whole["fields"]]
        for name in shapes:
            if name not in names:
                raise ValueError(f"AvroEncoder: shapes has {name!r}, which the schema does not")
        object.__setattr__(self, "_specs", self._find_specs())
        self._check_registry()

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row. Raises WriteError where the registry cannot be asked."""
        return self._encode_column(columns).entries.tolist()  # type: ignore[no-any-return]

    def _encode_column(self, columns: Arrays) -> Column:
        """Return what `encode` returns, in one buffer."""
        columns = as_columns("AvroEncoder: columns", columns)
        self.check(spec_of(columns))
        count = rows(columns)
        if not count:
            return Column.of([], 0)
        arrays = named(columns)
        if not isinstance(columns, Mapping):
            arrays = {name: arrays[""] for name in self._specs}
        arrays = {
            name: _prepared(name, arrays[name], spec).reshape(count, *spec.shape)
            for name, spec in self._specs.items()
        }
        head = b""
        if self.registry is not None:
            head = framed(self._number, b"")
        fields = self._avro.whole["fields"]
        if all(_innermost(each["type"]) in _FIXED for each in fields):
            parts = [_constant(head, count)]
            for each in fields:
                parts += _fixed(each["type"], arrays[each["name"]])
            matrix = np.concatenate(parts, axis=1)
            return Column.of_lengths(matrix.ravel(), np.full(count, matrix.shape[1], np.int64))
        names, lists = list(arrays), [array.tolist() for array in arrays.values()]
        values = [
            head + write_one(self._avro, dict(zip(names, row, strict=True)))
            for row in zip(*lists, strict=True)
        ]
        return Column.of(values, count)

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return the columns, and the values that are no such records as faults."""
        count, faults, arrays = len(values), dict[int, Fault](), dict[str, NDArray[Any]]()
        if self._decoder is not None:
            decoded = self._decoder.decode(_chunk_of(values))
            (found,) = decoded.arrays
            assert isinstance(found, Mapping)
            for name, array in found.items():
                spec = self._specs[name]
                arrays[name] = np.zeros((count, *spec.shape), spec.dtype)
                arrays[name][decoded.kept] = array
            faults = {fault.index: fault for fault in decoded.faults}
        texts = {name: spec for name, spec in self._specs.items() if _is_text(spec)}
        arrays |= {name: np.empty((count, *spec.shape), object) for name, spec in texts.items()}
        for index, value in enumerate(values if texts else ()):
            if index not in faults:
                try:
                    record = record_of(value, self._writers)
                    for name, spec in texts.items():
                        arrays[name][index] = _text(name, spec, record)
                except WrongRecord as wrong:
                    faults[index] = Fault.of(index, wrong.kind, wrong.value)
        arrays = {name: arrays[name] for name in self._specs}
        columns: Arrays = arrays if len(arrays) > 1 else next(iter(arrays.values()))
        return Decoded.of((columns,), count, faults)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where the columns are others than the schema's fields.

        A type that cannot hold all of an array's values is another, such as float for float64.
        """
        specs = spec if isinstance(spec, Mapping) else dict.fromkeys(self._specs, spec)
        is_right = specs.keys() == self._specs.keys() and (
            isinstance(spec, Mapping) or len(specs) == 1
        )
        for name, wanted in self._specs.items() if is_right else ():
            found = specs[name]
            shapes = [wanted.shape] if wanted.shape else [(), (1,)]
            is_text = found.dtype.kind in "UO"
            is_held = (
                is_text if _is_text(wanted) else np.can_cast(found.dtype, wanted.dtype, "safe")
            )
            is_right &= found.shape in shapes and is_held
        if not is_right:
            raise ValueError(
                f"{described(spec)} is not {described(self._specs)}, which AvroEncoder writes: "
                f"give columns of these names, types and shapes, or another schema"
            )

    def _check_registry(self) -> None:
        if self.registry is None:
            for name in ("registry_config", "subject"):
                if getattr(self, name) is not None:
                    raise ValueError(f"AvroEncoder: {name} is given, and registry is not")
            return
        config = checked_registry("AvroEncoder", self.registry, self.registry_config)
        object.__setattr__(self, "registry_config", config)
        if self.subject is None:
            raise ValueError(
                "AvroEncoder: subject is None, must be given with registry=: by convention it is "
                '"TOPIC-value"'
            )
        arguments.text("AvroEncoder: subject", self.subject)
        shared_registry(self.registry, config)

    @cached_property
    def _number(self) -> int:
        """The number of the schema in the registry."""
        registry = shared_registry(self.registry or "", self.registry_config or Settings())
        return registry.register(str(self.subject), str(self.schema))

    @cached_property
    def _avro(self) -> AvroSchema:
        return AvroSchema.of(str(self.schema))

    def _find_specs(self) -> dict[str, ArraySpec]:
        """The columns by their names. Raises ValueError where a field cannot be one."""
        specs, shapes = {}, self.shapes or {}
        for each in self._avro.whole["fields"]:
            name, depth = each["name"], _depth(each["type"])
            dtype = _DTYPES.get(str(_innermost(each["type"])))
            if dtype is None:
                raise ValueError(
                    f"AvroEncoder: field {quoted(name)} of the schema is neither a number, text, "
                    f"a boolean nor an array of them"
                )
            shape = tuple(shapes.get(name, ()))
            if len(shape) != depth:
                raise ValueError(
                    f"AvroEncoder: shapes[{name!r}] is {shapes.get(name)}, must be a shape of "
                    f"{depth} numbers, as the schema's field has so many axes"
                )
            specs[name] = ArraySpec(shape, dtype)
        return specs

    @cached_property
    def _decoder(self) -> AvroDecoder | None:
        """What reads all but text back: booleans as 0 and 1."""
        fields = []
        for name, spec in self._specs.items():
            if not _is_text(spec):
                dtype: Any = "int32" if spec.dtype == np.bool_ else spec.dtype.name
                fields.append(Field(name, spec.shape, dtype=dtype))
        if not fields:
            return None
        return AvroDecoder(
            fields,
            finite=False,
            features="dict",
            schema=self.schema,
            registry=self.registry,
            registry_config=self.registry_config,
        )

    @cached_property
    def _writers(self) -> Writer | RegistryWriters:
        """The schemas that text is read with."""
        if self.registry is None:
            return Writer(self._avro)
        chunks = AvroChunks((), finite=False)
        return RegistryWriters(self.registry, self.registry_config or Settings(), chunks)


def _is_text(spec: ArraySpec) -> bool:
    return spec.dtype.kind == "U"


def _prepared(name: str, array: NDArray[Any], spec: ArraySpec) -> NDArray[Any]:
    """Return a column as it is written. Raises RowError where an entry is no text."""
    if not _is_text(spec):
        return np.ascontiguousarray(array, spec.dtype)
    refuse_no_texts(name, array)
    return array


def _text(name: str, spec: ArraySpec, record: Mapping[str, Any]) -> NDArray[Any]:
    """Return the text of a field of a record. Raises WrongRecord where it is not such text."""
    found = np.array(record.get(name), object)
    entries = found.ravel().tolist()
    if found.shape != spec.shape or not all(isinstance(each, str) for each in entries):
        what = "text" if not spec.shape else f"texts of shape {spec.shape}"
        raise WrongRecord(f"field {quoted(name)} is not {what}")
    try:
        "".join(entries).encode()
    except UnicodeEncodeError:
        raise WrongRecord(f"field {quoted(name)} is not UTF-8") from None
    return found


def _chunk_of(values: Sequence[bytes | None]) -> Chunk:
    count = len(values)
    return Chunk(
        Column.of(values, count),
        Column.of([None] * count, count),
        (TopicPartition("", 0),),
        np.zeros(count, np.int32),
        np.arange(count),
    )


def _without_null(schema: Any) -> Any:
    """Return the other type of a union with null."""
    if isinstance(schema, list) and len(schema) == 2 and "null" in schema:
        return schema[1 - schema.index("null")]
    return schema


def _items(schema: Any) -> Any:
    """Return the type of an array's items, or None where it is no array."""
    found = _without_null(schema)
    return found["items"] if isinstance(found, dict) and found["type"] == "array" else None


def _innermost(schema: Any) -> Any:
    """Return the type of the items of arrays in arrays."""
    items = _items(schema)
    return _without_null(schema) if items is None else _innermost(items)


def _depth(schema: Any) -> int:
    """Return how many axes the array of one record has."""
    items = _items(schema)
    return 0 if items is None else 1 + _depth(items)


def _constant(data: bytes, count: int) -> NDArray[np.uint8]:
    """Return the same bytes for each row, [count, len(data)]."""
    return np.broadcast_to(np.frombuffer(data, np.uint8), (count, len(data)))


def _fixed(schema: Any, array: NDArray[Any]) -> list[NDArray[np.uint8]]:
    """Return the bytes of a field whose values have a fixed width, each [n, ...]."""
    count = len(array)
    parts = []
    if isinstance(schema, list):
        # The other one's place in the union, as Avro writes a number.
        parts.append(_constant(bytes([2 * (1 - schema.index("null"))]), count))
    items = _items(schema)
    if items is None:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        return [*parts, little.reshape(count, 1).view(np.uint8)]
    parts.append(_constant(varint(2 * array.shape[1]), count))
    for place in range(array.shape[1]):
        parts += _fixed(items, array[:, place])
    return [*parts, _constant(b"\0", count)]
