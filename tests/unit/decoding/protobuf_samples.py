"""Generated messages without protoc: their descriptors are made here."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from hypothesis import strategies as st

_numbers = itertools.count()
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70)
INT64 = st.integers(-(2**63), 2**63 - 1) | INT32
UINT32 = st.integers(0, 2**32 - 1) | st.integers(0, 300)
UINT64 = st.integers(0, 2**64 - 1) | UINT32
# What the values of a type are.
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(width=32),
    "double": st.floats(),
    **{name: INT32 for name in ("int32", "sint32", "sfixed32")},
    **{name: INT64 for name in ("int64", "sint64", "sfixed64")},
    **{name: UINT32 for name in ("uint32", "fixed32")},
    **{name: UINT64 for name in ("uint64", "fixed64")},
    "bool": st.booleans(),
    "string": st.sampled_from(["", "a", "b", "muon" * 40, "ä"]),
    "bytes": st.sampled_from([b"", b"a", b"\xff" * 20]),
    "Kind": st.sampled_from([0, 1, 5]),
}
NUMBERS = [name for name in TYPES if name not in ("string", "bytes", "Kind")]


def field(name: str, number: int, kind: str, **others: Any) -> FieldDescriptorProto:
    """A field of a type: a number's, or the name of a message or of an enum."""
    label = "LABEL_REPEATED" if others.pop("repeated", False) else "LABEL_OPTIONAL"
    found = FieldDescriptorProto(name=name, number=number, label=label, **others)
    if kind in TYPES and kind != "Kind":
        found.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    else:
        found.type_name = kind
    return found


def message(name: str, *fields: FieldDescriptorProto, **others: Any) -> DescriptorProto:
    """A message; each of its fields with `proto3_optional` gets the oneof that it needs."""
    found = DescriptorProto(name=name, field=fields, **others)
    for each in found.field:
        if each.proto3_optional:
            each.oneof_index = len(found.oneof_decl)
            found.oneof_decl.add(name=f"_{each.name}")
    return found


def enum(name: str, **numbers: int) -> EnumDescriptorProto:
    """An enum."""
    found = EnumDescriptorProto(name=name)
    for each, number in numbers.items():
        found.value.add(name=each, number=number)
    return found


def classes(
    *messages: DescriptorProto,
    syntax: str = "proto3",
    enums: Sequence[EnumDescriptorProto] = (),
) -> list[Any]:
    """The classes of the messages of one file, which has an enum `Kind`, too."""
    place = next(_numbers)
    file = FileDescriptorProto(
        name=f"f{place}.proto", package=f"p{place}", syntax=syntax, message_type=messages
    )
    file.enum_type.extend([enum("Kind", a=0, b=1, c=5), *enums])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p{place}.{each.name}"))
        for each in messages
    ]


def framed(indexes: Sequence[int], body: bytes) -> bytes:
    """A message in Confluent's wire format; `indexes` are one byte each."""
    return b"\0\0\0\0\7" + bytes(indexes) + body


EVENT = message(
    "Event",
    field("run", 1, "string"),
    field("met", 2, "double"),
    field("n", 3, "int64", proto3_optional=True),
    field("jet", 4, "Jet"),
    field("kind", 5, "Kind"),
    field("hits", 6, "double", repeated=True),
    field("name", 17, "string"),
    field("counts", 18, "sint32", repeated=True),
)
JET = message("Jet", field("x", 1, "float"), field("tagged", 2, "bool"))


def provide_event_pb2() -> None:
    """Have the module that protoc generates of the event.proto of docs/decoders.md."""
    jet = message("Jet", field("x", 1, "float"), field("tagged", 2, "bool"))
    event = message(
        "Event",
        field("met", 1, "float"),
        field("mass", 2, "double", proto3_optional=True),
        field("hits", 3, "float", repeated=True),
        field("jet", 4, "Jet"),
        field("process", 5, "Process"),
    )
    made = classes(jet, event, enums=[enum("Process", BACKGROUND=0, SIGNAL=1)])
    sys.modules["event_pb2"] = SimpleNamespace(Jet=made[0], Event=made[1])
