"""Random Avro schemas and records of them, written by fastavro."""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro
from hypothesis import strategies as st

SYMBOLS = ["a", "b", "c"]
ENUM = {"type": "enum", "name": "Kind", "symbols": SYMBOLS}
FLOATS = st.floats(width=32)
DOUBLES = st.floats()
INTS = st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70)
LONGS = st.integers(-(2**63), 2**63 - 1) | INTS
TEXTS = st.sampled_from(["", "a", "b", "muon" * 40, "ä"])
# A type, what its values are, and whether its values are numbers.
TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("float", FLOATS),
    ("double", DOUBLES),
    ("int", INTS),
    ("long", LONGS),
    ("boolean", st.booleans()),
]
OTHERS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", TEXTS),
    ("bytes", TEXTS.map(str.encode)),
    (ENUM, st.sampled_from(SYMBOLS)),
    ({"type": "fixed", "name": "Four", "size": 4}, st.just(b"four")),
    ("null", st.none()),
    ({"type": "array", "items": "int"}, st.lists(INTS, max_size=3)),
    ({"type": "map", "values": "float"}, st.dictionaries(st.sampled_from("xy"), FLOATS)),
    (["null", "int", "string"], st.none() | INTS | TEXTS),
]


def nullable(kind: Any, values: st.SearchStrategy[Any]) -> list[tuple[Any, Any]]:
    """The type and its values, and those of its two unions with null."""
    unions = [] if kind == "null" or isinstance(kind, list) else [["null", kind], [kind, "null"]]
    return [(kind, values), *((each, st.none() | values) for each in unions)]


def record(name: str, fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """A record's schema."""
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": each, "type": kind} for each, kind in fields],
    }


def written(schema: Any, row: Any, number: int | None = None) -> bytes:
    """A record, in Confluent's wire format where its schema has a number."""
    file = io.BytesIO(b"" if number is None else struct.pack(">bI", 0, number))
    file.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(file, schema, row)
    return file.getvalue()
