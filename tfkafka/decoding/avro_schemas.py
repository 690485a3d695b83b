"""Avro schemas as fastavro takes them. The only module that knows fastavro, which is optional.

fastavro ends the process with a segmentation fault where a record of a recursive type is nested
100,000 times, and never returns from an array of 2^40 items that have no bytes (seen in 1.13.1).
Both are a few bytes that anybody can write, so schemas that allow them are refused.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkafka._util import arguments
from tfkafka.decoding.base import QUOTED_LENGTH
from tfkafka.decoding.nested_values import WrongRecord
from tfkafka.decoding.sources import quoted
from tfkafka.errors import ConfigurationError

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_LEAST_BYTES = {"null": 0, "float": 4, "double": 8}
# The memory for a chunk grows by the size of a value: 16 MiB, more than most topics allow a record.
_LARGEST_FIXED = 2**24
# Each name of a type is replaced by the type, so types that name one another twice double with each
# level: a schema of 2 KB would take all memory.
_MOST_TYPES = 50_000


@dataclass(frozen=True)
class AvroSchema:
    """A schema.

    Attributes:
        parsed: as fastavro takes it.
        whole: the same with each name of a type replaced by the type, and each primitive type as
            text. A union is a list.
    """

    parsed: Any
    whole: Any

    @classmethod
    def of(cls, text: str, references: Sequence[str] = ()) -> AvroSchema:
        """Read a schema.

        Logical types are read as the types that they are stored as: a date is an int.

        Args:
            text: the schema in JSON.
            references: the schemas whose types it names, each after those that it names itself.

        Raises:
            ValueError: it is no schema, or one that cannot be read safely.
            ConfigurationError: fastavro is not installed.
        """
        parse_schema = _fastavro().parse_schema
        named: dict[str, Any] = {}
        expanded: dict[str, Any] = {}
        with _no_schema():
            plain = [_plain(json.loads(each)) for each in (*references, text)]
            every = [parse_schema(each, named) for each in plain]
            count = _count_types(every, named, {})
        if count > _MOST_TYPES:
            raise ValueError(
                f"has {count if count < 10**9 else 'billions of'} types where each name stands for "
                f"its type, which cannot be decoded: more than {_MOST_TYPES}"
            )
        with _no_schema():
            for each in plain[:-1]:
                parse_schema(each, expanded, expand=True)
            whole = _primitive(parse_schema(plain[-1], expanded, expand=True, _write_hint=False))
        _refuse_unsafe(whole)
        return cls(every[-1], whole)

    @property
    def is_record(self) -> bool:
        """Whether it is one record type."""
        return isinstance(self.whole, dict) and self.whole["type"] == "record"


def schema_text(name: str, given: object) -> str:
    """Return a schema, given as JSON or as what JSON is parsed to, in JSON.

    Args:
        name: the argument's name, for errors.
    """
    what = "an Avro schema: JSON, or the dict that it is parsed to"
    if not isinstance(given, str):
        arguments.instance(name, given, Mapping, what)
        try:
            given = json.dumps(given)
        except (TypeError, ValueError, RecursionError):
            raise ValueError(f"{name} is {arguments.shown(given)}, must be {what}") from None
    try:
        AvroSchema.of(given)
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ValueError(f"{name} is {arguments.shown(given)}: it {error}") from None
    return given


def read_one(body: bytes, writer: AvroSchema, reader: AvroSchema | None) -> Any:
    """Return one record, as Python's objects.

    Text that is not UTF-8 has escapes for what is wrong. Raises WrongRecord where it is no record
    of the writer's schema, or the reader's does not fit it.
    """
    found, rest = read_first(body, writer, reader)
    if rest:
        raise WrongRecord("goes on after the schema has ended", rest)
    return found


def read_first(
    body: bytes, writer: AvroSchema, reader: AvroSchema | None = None
) -> tuple[Any, bytes]:
    """Return the record that bytes begin with, as `read_one` does, and what comes after it."""
    file, read = io.BytesIO(body), _fastavro().schemaless_reader
    try:
        found = read(
            file,
            writer.parsed,
            None if reader is None else reader.parsed,
            handle_unicode_errors="surrogateescape",
        )
    except MemoryError:
        raise
    except EOFError:
        raise WrongRecord("ends before the schema does", body) from None
    except Exception as error:
        line = " ".join(str(error).split())[:QUOTED_LENGTH]
        raise WrongRecord(f"does not fit the schema: {line or type(error).__name__}") from None
    return found, body[file.tell() :]


def write_one(schema: AvroSchema, record: Mapping[str, Any]) -> bytes:
    """Return a record's bytes. Raises ValueError where a value does not fit the schema."""
    file, write = io.BytesIO(), _fastavro().schemaless_writer
    try:
        write(file, schema.parsed, record)
    except Exception as error:
        line = " ".join(str(error).split())[:QUOTED_LENGTH]
        raise ValueError(f"does not fit the schema: {line or type(error).__name__}") from None
    return file.getvalue()


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise ConfigurationError(
            "Avro needs fastavro, which is not installed: pip install 'tfkafka[avro]'"
        ) from error
    return fastavro


@contextlib.contextmanager
def _no_schema() -> Iterator[None]:
    """Raise ValueError in one line where something is no schema."""
    try:
        yield
    # fastavro raises KeyError, TypeError and others, too.
    except Exception as error:
        line = " ".join(str(error).split())[:QUOTED_LENGTH]
        raise ValueError(f"is no Avro schema: {type(error).__name__}: {line}") from None


def _count_types(schema: Any, named: Mapping[str, Any], counts: dict[str, int]) -> int:
    """Return how many types a schema has once each name is replaced by its type.

    Args:
        named: the types by their names.
        counts: those that have been counted; a type that is being counted has 1.
    """
    if isinstance(schema, list):
        return sum(_count_types(each, named, counts) for each in schema)
    name = schema if isinstance(schema, str) else schema.get("name")
    if name is None:
        inner = schema.get("items", schema.get("values"))
        return 1 if inner is None else 1 + _count_types(inner, named, counts)
    if name in PRIMITIVES:
        return 1
    if name not in counts:
        counts[name] = 1
        types = [field["type"] for field in named[name].get("fields", ())]
        counts[name] += sum(_count_types(each, named, counts) for each in types)
    return counts[name]


def _plain(schema: Any) -> Any:
    """Return a schema without logical types."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: each for name, each in schema.items() if name != "logicalType"}
    for name in ("type", "items", "values", "fields"):
        if name in kept:
            kept[name] = _plain(kept[name])
    return kept


def _primitive(schema: Any) -> Any:
    """Return a schema with `{"type": "int"}` as "int", and without what fastavro keeps in it."""
    if isinstance(schema, list):
        return [_primitive(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema["type"]
    if kind in PRIMITIVES:
        return kind
    found = {name: each for name, each in schema.items() if not name.startswith("__")}
    for name in ("items", "values"):
        if name in found:
            found[name] = _primitive(found[name])
    if kind in ("record", "error"):
        found["fields"] = [
            {**field, "type": _primitive(field["type"])} for field in schema["fields"]
        ]
    return found


def _refuse_unsafe(schema: Any) -> int:
    """Return how many bytes a value has at least. Raises ValueError where reading is not safe."""
    if isinstance(schema, list):
        for each in schema:
            _refuse_unsafe(each)
        return 1
    if not isinstance(schema, dict):
        if schema not in PRIMITIVES:
            raise ValueError(f"is recursive, which cannot be decoded: {schema} has itself inside")
        return _LEAST_BYTES.get(schema, 1)
    match schema["type"]:
        case "record" | "error":
            return sum(_refuse_unsafe(field["type"]) for field in schema["fields"])
        case "fixed":
            size = schema["size"]
            if type(size) is not int or not 0 <= size <= _LARGEST_FIXED:
                raise ValueError(
                    f"has a fixed of {arguments.shown(size)} bytes, which cannot be decoded: it is "
                    f"not a whole number from 0 to {_LARGEST_FIXED}"
                )
            return size
        case "enum" if not schema["symbols"]:
            raise ValueError("has an enum without symbols, which cannot be decoded")
        case "array" | "map":
            least = _refuse_unsafe(schema.get("items", schema.get("values")))
            if schema["type"] == "array" and not least:
                raise ValueError("has an array of items without bytes, which cannot be decoded")
    return 1


def check_fields(name: str, schema: AvroSchema, paths: Sequence[tuple[str, ...]]) -> None:
    """Raise ValueError where a schema surely does not have a field.

    Args:
        name: the argument's name.
        paths: the names of the records around each field, and its own.
    """
    for path in paths:
        if not _has(schema.whole, path):
            raise ValueError(f"{name} does not have the field {quoted('.'.join(path))}")


def _has(schema: Any, path: tuple[str, ...]) -> bool:
    if isinstance(schema, list):
        return any(_has(each, path) for each in schema)
    if not path:
        return True
    if not isinstance(schema, dict) or schema["type"] != "record":
        return False
    types = [each["type"] for each in schema["fields"] if each["name"] == path[0]]
    return any(_has(each, path[1:]) for each in types)
