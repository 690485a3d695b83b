"""tensorflow-io's functions of Avro records, which are not in Confluent's wire format."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.decoding.avro_schemas import AvroSchema, read_first, schema_text, write_one
from tfkafka.decoding.nested_values import WrongRecord
from tfkafka.decoding.sources import quoted
from tfkafka.tfio.record_functions import Arrays, apply, in_order, strings

_DTYPES = {
    "boolean": tf.bool,
    "int": tf.int32,
    "long": tf.int64,
    "float": tf.float32,
    "double": tf.float64,
    "bytes": tf.string,
    "string": tf.string,
}
# What stands for null in a union, as in tensorflow-io.
_EMPTY: dict[str, Any] = {"boolean": False, "bytes": b"", "string": ""}


@dataclass(frozen=True)
class _Field:
    """A field that has no others in it.

    Attributes:
        path: the names of the records around it, and its own.
        kind: Avro's primitive type, without null.
    """

    path: tuple[str, ...]
    kind: str

    @property
    def title(self) -> str:
        return f"field {quoted('.'.join(self.path))}" if self.path else "the value"

    @property
    def dtype(self) -> tf.DType:
        return _DTYPES[self.kind]

    def column(self, count: int) -> NDArray[Any]:
        return np.empty(count, self.dtype.as_numpy_dtype)

    def of(self, record: Any) -> Any:
        """Return its value in a record, as an array can have it."""
        value = functools.reduce(lambda outer, name: outer[name], self.path, record)
        if value is None:
            value = _EMPTY.get(self.kind, 0)
        if self.kind in ("int", "long"):
            limits = np.iinfo(self.dtype.as_numpy_dtype)
            if not limits.min <= value <= limits.max:
                raise WrongRecord(f"{self.title} is {value}, which {self.kind} does not hold")
        return value.encode(errors="surrogateescape") if isinstance(value, str) else value

    def put(self, record: Any, value: Any) -> Any:
        """Put an array's value into a record, and return the record: that value, if it has none."""
        if self.kind == "string":
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise WrongRecord(f"{self.title} is not UTF-8", value) from None
        if not self.path:
            return value
        inner, (*outer, name) = record, self.path
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[name] = value
        return record


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def decode_avro(data: Any, schema: str | bytes, name: str | None = None) -> Any:
    """Decode Avro records, each without a header.

    `AvroDecoder` is much faster, and reads Confluent's wire format, arrays, enums and more.

    Args:
        data: string [...], the records. What comes after the end of a record is ignored:
            tensorflow-io's `encode_avro` wrote other bytes there.
        schema: the schema in JSON, of a record whose fields are primitive types, such types in a
            union with null, or records of them; or of a primitive type alone.
        name: the name of the TensorFlow operation.

    Returns:
        A dict from each field to a tensor of the shape of `data`: bool, int32, int64, float32,
        float64 or string; for a record another dict. null is 0, False or "". For a primitive type
        one tensor.

    Raises:
        ValueError: it is no such schema.
        tf.errors.InvalidArgumentError: a record does not fit the schema.

    Example:
        from tfkafka.tfio import kafka

        schema = '{"type": "record", "name": "R", "fields": [{"name": "x", "type": "float"}]}'
        records = kafka.encode_avro({"x": [0.5, 1.5]}, schema)
        print(kafka.decode_avro(records, schema)["x"])  # float32 [2]
    """
    avro, structure = _parsed("decode_avro: schema", schema)
    records, fields = strings("decode_avro: data", data), tf.nest.flatten(structure)

    def decode(bodies: NDArray[Any]) -> Arrays:
        rows: list[list[Any]] = []

        def decode_one(body: bytes) -> None:
            record, _ = read_first(body, avro)
            rows.append([field.of(record) for field in fields])

        in_order(bodies, decode_one)
        columns = [field.column(len(rows)) for field in fields]
        # A nan that signals is a nan.
        with np.errstate(invalid="ignore"):
            for column, values in zip(columns, zip(*rows, strict=True), strict=False):
                column[:] = values
        return [column.reshape(bodies.shape) for column in columns]

    found = apply("decode_avro", decode, [records], [field.dtype for field in fields], name)
    for each in found:
        each.set_shape(records.shape)
    return tf.nest.pack_sequence_as(structure, found)


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def encode_avro(data: Any, schema: str | bytes, name: str | None = None) -> tf.Tensor:
    """Encode tensors as Avro records, each without a header.

    `AvroEncoder` is much faster, and registers schemas.

    Args:
        data: a tensor for each field, all of one shape: a dict by the fields' names, or a list in
            the alphabetical order of the names, as tensorflow-io has it.
        schema: as for `decode_avro`.
        name: the name of the TensorFlow operation.

    Returns:
        string, of that shape: the records.

    Raises:
        ValueError: it is no such schema, or `data` has other tensors than the schema has fields.
        tf.errors.InvalidArgumentError: the shapes differ, or text is not UTF-8.

    Example:
        from tfkafka.tfio import kafka

        schema = '{"type": "record", "name": "R", "fields": [{"name": "x", "type": "float"}]}'
        for record in kafka.encode_avro({"x": [0.5, 1.5]}, schema).numpy():
            kafka.write_kafka(record, "events", "localhost:9092")
    """
    avro, structure = _parsed("encode_avro: schema", schema)
    fields: list[_Field] = tf.nest.flatten(structure)
    tensors = _tensors(data, structure, fields)

    def encode(*columns: NDArray[Any]) -> Arrays:
        shapes = {column.shape for column in columns}
        if len(shapes) > 1:
            found = " and ".join(sorted(map(str, shapes)))
            raise WrongRecord(f"data has tensors of the shapes {found}: they must have one shape")
        flat = [column.ravel().tolist() for column in columns]
        (shape,) = shapes
        records = np.empty(len(flat[0]), object)

        def encode_one(index: int) -> None:
            record: Any = {}
            for field, column in zip(fields, flat, strict=True):
                record = field.put(record, column[index])
            try:
                records[index] = write_one(avro, record)
            except ValueError as error:
                raise WrongRecord(str(error)) from None

        in_order(np.arange(len(records)).reshape(shape), encode_one)
        return [records.reshape(shape)]

    (records,) = apply("encode_avro", encode, tensors, [tf.string], name)
    records.set_shape(tensors[0].shape)
    return records


def _tensors(data: Any, structure: Any, fields: Sequence[_Field]) -> list[tf.Tensor]:
    """Return the tensor of each field, in the order of the fields."""
    if isinstance(data, Mapping):
        given = _by_name(data, structure)
    else:
        given = list(data) if isinstance(data, list | tuple) else [data]
    if len(given) != len(fields):
        raise ValueError(
            f"encode_avro: data has {len(given)} tensors, must have one for each field of schema: "
            f"{', '.join(field.title for field in fields)}"
        )
    return [_tensor(field, each) for field, each in zip(fields, given, strict=True)]


def _by_name(data: Any, structure: Any, title: str = "data") -> list[Any]:
    """Return what a dict has for each field, in their order, also in the dicts in it."""
    names = structure if isinstance(structure, dict) else {}
    if not isinstance(data, Mapping) or data.keys() != names.keys():
        shown = ", ".join(map(quoted, names))
        raise ValueError(f"encode_avro: {title} has other names than schema's fields: {shown}")
    found = []
    for name in sorted(names):
        inner = names[name]
        is_record = isinstance(inner, dict)
        found += _by_name(data[name], inner, f"data[{name!r}]") if is_record else [data[name]]
    return found


def _tensor(field: _Field, given: Any) -> tf.Tensor:
    # Python's own numbers have no type of their own.
    has_dtype = isinstance(given, tf.Tensor | tf.Variable | np.ndarray | np.generic)
    try:
        tensor = tf.convert_to_tensor(given, None if has_dtype else field.dtype)
    except (TypeError, ValueError, OverflowError):
        tensor = None
    if tensor is None or tensor.dtype != field.dtype:
        found = arguments.shown(given) if tensor is None else tensor.dtype.name
        raise TypeError(
            f"encode_avro: data has {found} for {field.title}, must be {field.dtype.name}"
        )
    return tensor


def _parsed(name: str, schema: object) -> tuple[AvroSchema, Any]:
    """Return a schema, and its fields in nested dicts; `name` is the argument's."""
    text = schema.decode(errors="replace") if isinstance(schema, bytes) else schema
    arguments.instance(name, text, str, "an Avro schema in JSON")
    return _parse(name, str(text))


# A function that is called eagerly, record by record, would parse it each time.
@functools.lru_cache(maxsize=32)
def _parse(name: str, text: str) -> tuple[AvroSchema, Any]:
    avro = AvroSchema.of(schema_text(name, text))
    structure = _structure(name, avro.whole, ())
    if not tf.nest.flatten(structure):
        raise ValueError(f"{name} is {arguments.shown(text)}, must have a field")
    return avro, structure


def _structure(name: str, schema: Any, path: tuple[str, ...]) -> Any:
    """Return the fields of a type in nested dicts, or the one field that it is."""
    if isinstance(schema, dict) and schema["type"] == "record":
        return {
            each["name"]: _structure(name, each["type"], (*path, each["name"]))
            for each in schema["fields"]
        }
    kinds = [each for each in schema if each != "null"] if isinstance(schema, list) else [schema]
    if len(kinds) == 1 and isinstance(kinds[0], str) and kinds[0] in _DTYPES:
        return _Field(path, kinds[0])
    what = "a union" if isinstance(schema, list) else kinds[0]
    what = what if isinstance(what, str) else what["type"]
    raise ValueError(
        f"{name} has {what} for {_Field(path, '').title}, which cannot be a tensor here: use "
        f"tfkafka.AvroDecoder"
    )
