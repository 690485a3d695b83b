"""Avro records in Confluent's wire format to arrays, with a registry in this process."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import socket
import sys
import time
from contextlib import contextmanager

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decoding import avro_samples as samples
from tests.unit.decoding.avro_samples import ENUM, record, written
from tests.unit.decoding.registries import registry
from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.decoding import schema_registry
from tfkafka.decoding.avro import AvroDecoder
from tfkafka.decoding.schema_registry import shared_registry
from tfkafka.decoding.sources import Field
from tfkafka.errors import ConfigurationError, ReadError
from tfkafka.reading.manifest import describe_decoder

URL = "mock://tests"
FIRST = record("Event", [("x", "float"), ("kind", ENUM)])
SECOND = {
    **FIRST,
    "fields": [
        {"name": "w", "type": ["null", "double"], "default": None},
        *({"name": "y", "type": "int"}, {"name": "kind", "type": ENUM}),
    ],
}
READER = {
    **FIRST,
    "fields": [
        {"name": "y", "type": "double", "aliases": ["x"]},
        {"name": "kind", "type": ENUM},
        {"name": "w", "type": ["null", "double"], "default": None},
        {"name": "v", "type": "int", "default": 7},
    ],
}
KIND = Field("kind", classes=samples.SYMBOLS)


def register(schema, subject="subject") -> int:
    return shared_registry(URL, {}).register(subject, json.dumps(schema))


def framed(number, body=b"") -> bytes:
    return b"\0" + number.to_bytes(4, "big") + body


@pytest.fixture
def numbers():
    return register(FIRST), register(SECOND)


def rows(numbers, count=6):
    """Records of two schemas by turns."""
    first, second = numbers
    return [
        written(SECOND, {"w": 0.5 if each % 3 else None, "y": each, "kind": "b"}, second)
        if each % 2
        else written(FIRST, {"x": each, "kind": "a"}, first)
        for each in range(count)
    ]


def test_a_schema_that_changes_at_each_record(numbers):
    decode = AvroDecoder(
        ["y", "w", "v"], label=KIND, registry=URL, schema=READER, missing={"w": -1}
    )
    decoded = decode.decode(chunk(rows(numbers)))
    assert decoded.faults == ()
    assert decoded.arrays[0].tolist() == [
        [0, -1, 7],
        [1, 0.5, 7],
        [2, -1, 7],
        [3, -1, 7],
        [4, -1, 7],
        [5, 0.5, 7],
    ]
    assert decoded.arrays[1].tolist() == [0, 1] * 3


def test_without_a_readers_schema_fields_are_those_of_the_writers(numbers):
    decoded = AvroDecoder(["x"], label=KIND, registry=URL).decode(chunk(rows(numbers)))
    reason = f'field "x" is missing: schema {numbers[1]} does not have it'
    assert [(fault.index, fault.reason) for fault in decoded.faults] == [
        (index, reason) for index in (1, 3, 5)
    ]
    assert decoded.arrays[0].tolist() == [[0], [2], [4]] and decoded.arrays[1].tolist() == [0] * 3
    filled = AvroDecoder(["x"], registry=URL, missing={"x": -1}).decode(chunk(rows(numbers)))
    assert filled.arrays[0].tolist() == [[0], [-1], [2], [-1], [4], [-1]]


BAD = [
    (None, "is null"),
    (b"", "is empty"),
    (b"\0\0\0\0", "is not in Confluent's wire format: b'\\x00\\x00\\x00\\x00'"),
    (b"\1\0\0\0\1\0\0\0\0\0", "is not in Confluent's wire format: b'\\x01"),
    (b'{"x": 1}', "is not in Confluent's wire format: b'{"),
    (framed(999_999, b"spam"), "schema 999999 is unknown to the registry"),
    (framed(2**32 - 1), "schema 4294967295 is unknown to the registry"),
]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("place", [0, 2, 6])
def test_a_bad_record_is_found_and_the_others_are_decoded(numbers, value, reason, place):
    values = rows(numbers)
    values.insert(place, value)
    decode = AvroDecoder(["y"], label=KIND, registry=URL, schema=READER)
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason.startswith(reason)
    assert decoded.arrays[0][:, 0].tolist() == [*range(6)]
    alone = decode.decode(chunk([value]))
    assert len(alone.faults) == 1 and alone.arrays[0].shape == (0, 1)


def test_schemas_that_cannot_be_read_are_faults(numbers):
    recursive = register(record("L", [("x", "int"), ("next", ["null", "L"])]), "other")
    incompatible = register(record("Event", [("x", "string"), ("kind", ENUM)]), "other")
    no_record = register("float", "other")
    values = [
        framed(recursive, b"\x02\x02" * 100_000),
        written(FIRST, {"x": 1, "kind": "a"}, numbers[0]),
        framed(incompatible, b"\0\0"),
        framed(no_record, bytes(4)),
    ]
    decode = AvroDecoder(["y"], registry=URL, schema=READER)
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [0, 2, 3]
    assert decoded.faults[0].reason.startswith(f"schema {recursive} is recursive")
    assert decoded.faults[1].reason.startswith("does not fit the schema: Schema mismatch: string")
    assert decoded.arrays[0].tolist() == [[1]]
    [_, fault] = AvroDecoder(["x"], registry=URL).decode(chunk(values[2:])).faults
    assert fault.reason == "is a number, not a record"


def test_a_schema_of_another_kind_is_a_fault(monkeypatch, numbers):
    from confluent_kafka.schema_registry import Schema

    client = shared_registry(URL, {})._client
    number = client.register_schema("json", Schema('{"type": "object"}', "JSON"))
    decoded = AvroDecoder(["x"], registry=URL).decode(chunk([framed(number, b"{}")]))
    assert decoded.faults[0].reason == f"schema {number} is of the kind JSON, not AVRO"


def test_a_schema_that_refers_to_another(numbers):
    from confluent_kafka.schema_registry import Schema, SchemaReference

    client = shared_registry(URL, {})._client
    client.register_schema("point", Schema(json.dumps(record("Point", [("x", "float")])), "AVRO"))
    line = record("Line", [("a", "Point"), ("b", ["null", "Point"])])
    refers = [SchemaReference("Point", "point", 1)]
    number = client.register_schema("line", Schema(json.dumps(line), "AVRO", refers))
    values = [framed(number, np.float32([5]).tobytes() + b"\0")] * 2
    decode = AvroDecoder(["a.x", "b.x"], registry=URL, missing={"b.x": -1})
    assert decode.decode(chunk(values)).arrays[0].tolist() == [[5, -1]] * 2
    # One by one, too.
    assert len(decode.decode(chunk([values[0] + b"?"])).faults) == 1


def test_each_schema_is_asked_for_once(monkeypatch, numbers):
    decode = AvroDecoder(["y"], registry=URL, schema=READER)
    assert len(decode.decode(chunk(rows(numbers))).kept) == 6

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(schema_registry.Registry, "schema", refuse)
    assert len(decode.decode(chunk(rows(numbers))).kept) == 6


def test_garbage_is_few_requests(monkeypatch):
    """Each record has another number, which no registry knows."""
    monkeypatch.setattr(schema_registry, "_UNKNOWN_S", 3600)
    garbage = [framed(10**6 + each, b"spam") for each in range(2000)]
    known, other = (
        written(FIRST, {"x": 1, "kind": "a"}, 7),
        written(FIRST, {"x": 2, "kind": "b"}, 8),
    )
    asked = []
    with registry({7: FIRST, 8: FIRST}, asked=asked) as url:
        decode = AvroDecoder(["x"], registry=url)
        decoded = decode.decode(chunk([*garbage, known]))
        assert decoded.kept.tolist() == [2000] and len(asked) == 11
        kinds = [" ".join(fault.reason.split()[2:]) for fault in decoded.faults]
        assert kinds[:10] == ["is unknown to the registry"] * 10
        reason = "was not asked for: the registry did not know 10 others within 3600 s"
        assert set(kinds[10:]) == {reason}
        # Another decoder knows what one has found.
        another = AvroDecoder(["x"], registry=url)
        decoded = another.decode(chunk([*garbage, known, other]))
        assert decoded.kept.tolist() == [2000] and len(asked) == 11
        assert decoded.faults[-1].reason == f"schema 8 {reason}"


def test_a_schema_that_was_unknown_is_found_when_it_is_there(monkeypatch):
    value, schemas, asked = written(FIRST, {"x": 1, "kind": "a"}, 7), {}, []
    monkeypatch.setattr(schema_registry, "_UNKNOWN_S", 3600)
    with registry(schemas, asked=asked) as url:
        decode = AvroDecoder(["x"], registry=url)
        for _ in range(2):
            [fault] = decode.decode(chunk([value])).faults
            assert fault.reason == "schema 7 is unknown to the registry" and asked == [7]
        schemas[7] = FIRST
        monkeypatch.setattr(schema_registry, "_UNKNOWN_S", 0)
        assert decode.decode(chunk([value])).arrays[0].tolist() == [[1]] and asked == [7, 7]


PRIMITIVES = ["int", "long", "float", "double", "string", "bytes", "boolean"]
SIMPLE = [each for each in samples.TYPES + samples.OTHERS if not isinstance(each[0], dict | list)]
KINDS = [each for kind in SIMPLE for each in samples.nullable(*kind)]
READ_AS = [*PRIMITIVES, *(["null", each] for each in PRIMITIVES), ["null", "float", "double"]]


@given(data=st.data())
@few
def test_equal_bit_by_bit_to_fastavros_resolution(data):
    """Promotion, aliases, defaults, unions: what a reader's schema makes of a writer's."""
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    writer = record("R", [(f"f{place}", kind) for place, (kind, _) in enumerate(kinds)])
    reader_fields = []
    for place in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from([f"f{place}", f"g{place}"]))
        same = kinds[place][0] if place < len(kinds) else "float"
        kind = data.draw(st.sampled_from([same, same, *READ_AS]))
        each = {"name": name, "type": kind}
        if data.draw(st.booleans()):
            each["aliases"] = [f"f{place}"]
        if kind in ("int", "float") and data.draw(st.booleans()):
            each["default"] = 7
        reader_fields.append(each)
    reader = {**writer, "fields": reader_fields}
    wanted = reader_fields[0]["name"]
    row = st.fixed_dictionaries({f"f{i}": values for i, (_, values) in enumerate(kinds)})
    number = register(writer)
    values = [written(writer, each, number) for each in data.draw(st.lists(row, max_size=5))]
    decode = AvroDecoder([wanted], registry=URL, schema=reader, features="dict")
    decoded = decode.decode(chunk(values))
    expected, kept = [], []
    for index, value in enumerate(values):
        try:
            found = fastavro.schemaless_reader(io.BytesIO(value[5:]), writer, reader)[wanted]
        except fastavro.read.SchemaResolutionError:
            continue
        if isinstance(found, int | float):
            with np.errstate(over="ignore"):
                expected.append(np.float32(float(found)))
            kept.append(index)
    assert decoded.kept.tolist() == kept, (writer, reader, decoded.faults)
    np.testing.assert_array_equal(decoded.arrays[0][wanted], np.array(expected, np.float32))


def test_null_where_the_reader_has_no_null_and_numbers_that_are_promoted():
    writer = record("R", [("x", ["null", "float"]), ("n", "long")])
    reader = record("R", [("x", "float"), ("n", "double")])
    number = register(writer)
    values = [written(writer, {"x": x, "n": 2**53 + 1}, number) for x in (None, 0.5)]
    fields = ["x", Field("n", dtype="int64")]
    decode = AvroDecoder(fields, registry=URL, schema=reader, features="dict", missing={"x": -1})
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [0]
    assert decoded.arrays[0]["n"].tolist() == [2**53]


@contextmanager
def silent():
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_registry_that_is_away_is_an_error_soon():
    with silent() as hanging:
        for url in ("http://127.0.0.1:1", hanging):
            decode = AvroDecoder(["x"], registry=url)
            began = time.monotonic()
            with pytest.raises(ReadError, match=url) as raised:
                decode.decode(chunk([framed(1, bytes(9))]))
            # 2.8 s where the machine is quick; without deadlines of our own, more than 30.
            assert time.monotonic() - began < 15
            assert "\n" not in str(raised.value)


def test_a_decoder_can_be_sent_to_another_process_and_forked(numbers):
    decode = AvroDecoder(["y"], registry=URL, schema=READER)
    assert len(decode.decode(chunk(rows(numbers))).kept) == 6
    assert pickle.loads(pickle.dumps(decode)) == decode
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert len(pool.apply(decode.decode, [chunk(rows(numbers))]).kept) == 6


@pytest.mark.parametrize(
    ("registry", "config", "line"),
    [
        ("localhost:8081", None, "must be an address"),
        ("http://", None, "must be an address"),
        ("ftp://x", None, "must be an address"),
        ("http://me:hunter2@x", None, "basic.auth.user.info"),
        ("me:hunter2@localhost:8081", None, "basic.auth.user.info"),
        ("http://a:8081,me:hunter2@b:8081", None, "basic.auth.user.info"),
        ("http://me:hun/hunter2@x", None, "basic.auth.user.info"),
        ("http://[me:hunter2@x", None, "basic.auth.user.info"),
        (URL, {"url": "http://x"}, "give it as registry="),
        (URL, {"no.such": "hunter2"}, "registry_config cannot be used: .*no.such"),
        (URL, {"basic.auth.user.info": "hunter2"}, "basic.auth.user.info must be"),
        (URL, {"ssl.ca.location": "/no/such"}, "registry_config cannot be used"),
        (URL, {"ssl.key.location": "k"}, "ssl.certificate.location required"),
    ],
)
def test_wrong_settings_are_refused_and_not_shown(registry, config, line):
    with pytest.raises(ValueError, match=line) as raised:
        AvroDecoder(["x"], registry=registry, registry_config=config)
    assert "hunter2" not in str(raised.value)


def test_secrets_are_neither_shown_nor_described():
    config = {"basic.auth.user.info": "me:hunter2"}
    decode = AvroDecoder(["x"], registry=URL, registry_config=config)
    assert "hunter2" not in repr(decode)
    assert "hunter2" not in json.dumps(describe_decoder(decode))
    assert "registry_config" not in describe_decoder(decode)["arguments"]


def test_without_the_client_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tfkafka\[avro\]'"):
        AvroDecoder(["x"], registry="mock://another")
