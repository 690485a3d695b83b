"""Avro records of one fixed schema to arrays."""

from __future__ import annotations

import copy
import io
import json
import pickle
import sys
import tracemalloc

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decoding import avro_samples as samples
from tests.unit.decoding.avro_samples import ENUM, record, written
from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.decoding.avro import AvroDecoder
from tfkafka.decoding.base import ArraySpec, only_finite
from tfkafka.decoding.cursors import Cursor, Sinks
from tfkafka.decoding.nested_fields import NestedField
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Field, Key
from tfkafka.errors import ConfigurationError
from tfkafka.reading.manifest import describe_decoder

JET = record("Jet", [("x", "float"), ("tagged", "boolean")])
HITS = {"type": "array", "items": "double"}
SCHEMA = record(
    "Event",
    [
        ("run", "string"),
        ("met", "double"),
        ("n", ["null", "long"]),
        ("jet", ["null", JET]),
        ("kind", ENUM),
        ("hits", HITS),
        ("name", "string"),
    ],
)
ROW = {
    "run": "run 7",
    "met": 1.5,
    "n": 300,
    "jet": {"x": -2.0, "tagged": True},
    "kind": "b",
    "hits": [1.0, 2.0],
    "name": "muon",
}
FIELDS = [
    *("met", Field("n", dtype="int64"), "jet.x", "jet.tagged", Field("hits", shape=(2,))),
    Field("name", classes=["electron", "muon"]),
]
DECODE = AvroDecoder(
    FIELDS, label=Field("kind", classes=["a", "b"]), finite=True, features="dict", schema=SCHEMA
)


def right(**others) -> bytes:
    return written(SCHEMA, ROW | others)


GOOD = right()
BAD = [
    (None, "is null"),
    (b"", "ends before the schema does"),
    (GOOD[:-1], "ends before the schema does: b'"),
    (GOOD + b"\0", "goes on after the schema has ended: b'\\x00'"),
    (b"\xff" * 40, "does not fit the schema"),
    (right(met=np.nan), "field \"met\" is not finite as float32: b'NaN'"),
    (right(met=1e39), "field \"met\" is not finite as float32: b'1e+39'"),
    (right(n=None), 'field "n" is null'),
    (right(jet=None), 'field "jet.x" is missing'),
    (right(kind="c"), 'label: field "kind" is none of the classes: b\'"c"\''),
    (right(name="tau"), 'field "name" is none of the classes: b\'"tau"\''),
    (right(hits=[1.0]), 'field "hits" is not an array of shape (2,)'),
    (right(hits=[]), 'field "hits" is not an array of shape (2,)'),
]


def test_matrix_and_dict():
    values = [GOOD, right(met=-1, n=-(2**62), kind="a", jet={"x": 0.5, "tagged": False})]
    decoded = DECODE.decode(chunk(values))
    features, labels = decoded.arrays
    assert decoded.faults == () and labels.tolist() == [1, 0] and labels.dtype == np.int64
    assert features["n"].tolist() == [300, -(2**62)] and features["n"].dtype == np.int64
    assert features["hits"].tolist() == [[1, 2]] * 2 and features["jet.tagged"].tolist() == [1, 0]
    assert DECODE.element_spec[0]["hits"] == ArraySpec((2,), np.dtype(np.float32))
    matrix = AvroDecoder(FIELDS, schema=json.dumps(SCHEMA))
    assert matrix.element_spec == (ArraySpec((7,), np.dtype(np.float32)),)
    [features] = matrix.decode(chunk(values)).arrays
    assert features.tolist() == [[1.5, 300, -2, 1, 1, 2, 1], [-1, -(2.0**62), 0.5, 0, 1, 2, 1]]


@pytest.mark.parametrize(("value", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_bad_record_is_found_and_the_others_are_decoded(value, reason, place):
    values = [right(n=number) for number in range(3)]
    values.insert(place, value)
    decoded = DECODE.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason.startswith(reason)
    assert len(decoded.faults[0].reason) < 200
    assert decoded.arrays[0]["n"].tolist() == [0, 1, 2] and len(decoded.arrays[1]) == 3
    assert decoded.kept.tolist() == [index for index in range(4) if index != place]


def test_all_of_a_chunk_and_none():
    for values in ([b"spam"] * 3, [None] * 3, []):
        decode = AvroDecoder([Field("hits", shape=(2,))], label="key", schema=SCHEMA)
        decoded = decode.decode(chunk(values, [b"1"] * len(values)))
        assert len(decoded.faults) == len(values)
        assert [array.shape for array in decoded.arrays] == [(0, 2), (0,)]


def test_faults_that_cancel_out():
    """What one record lacks, the next one has too much."""
    pair = record("Pair", [("a", "float"), ("b", "float")])
    rows = [np.float32([each, each + 0.5]).tobytes() for each in range(4)]
    values = [rows[0], rows[1][:4], rows[2] + bytes(4), rows[3]]
    decoded = AvroDecoder(["a", "b"], schema=pair).decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 2]
    assert decoded.arrays[0].tolist() == [[0, 0.5], [3, 3.5]]


def test_arrays_in_blocks_as_other_writers_have_them():
    schema = record("Array", [("hits", HITS)])
    numbers = np.float64([1, 2])
    one, two = (b"\x04" + numbers.tobytes(), b"\x02" + numbers[:1].tobytes())
    with_size = b"\x03\x20" + numbers.tobytes()
    values = [
        one + b"\0",
        two + b"\x02" + numbers[1:].tobytes() + b"\0",
        with_size + b"\0",
        one,
        two,
        # As long as a right one.
        b"\x06" + one[1:] + b"\0",
        one + b"\x02",
    ]
    decoded = AvroDecoder([Field("hits", shape=[2])], schema=schema).decode(chunk(values))
    assert decoded.arrays[0].tolist() == [[1, 2]] * 3
    assert [fault.index for fault in decoded.faults] == [3, 4, 5, 6]


def test_missing_values():
    values = [GOOD, right(n=None), right(jet=None), right(met=np.nan)]
    decode = AvroDecoder(["met", "n", "jet.x"], finite=True, missing="nan", schema=SCHEMA)
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [3]
    nan = np.nan
    np.testing.assert_array_equal(
        decoded.arrays[0], [[1.5, 300, -2], [1.5, nan, -2], [1.5, 300, nan]]
    )
    numbers = AvroDecoder(["n", "jet.x"], missing={"n": -1}, features="dict", schema=SCHEMA)
    decoded = numbers.decode(chunk(values[:3]))
    assert [fault.reason for fault in decoded.faults] == ['field "jet.x" is missing']
    assert decoded.arrays[0]["n"].tolist() == [300, -1]
    assert numbers.decode(chunk([right(n=None)])).absent == {'field "n"'}
    assert numbers.decode(chunk([right(n=None), GOOD])).absent == frozenset()


def test_a_union_without_such_a_branch():
    schema = record("R", [("x", ["null", "float"])])
    values = [b"\0", b"\x04" + bytes(4), b"\x02" + bytes(4), b"\x04"]
    decoded = AvroDecoder(["x"], schema=schema, missing="nan").decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 3]


@pytest.mark.parametrize(("kind", "value"), [("long", b"\xff" * 9 + b"\x7e"), ("boolean", b"\x02")])
def test_what_no_writer_writes_is_read_as_fastavro_reads_it(kind, value):
    schema = record("R", [("x", kind)])
    decode = AvroDecoder([Field("x", dtype="int64")], schema=schema, features="dict")
    found = fastavro.schemaless_reader(io.BytesIO(value), schema, None)["x"]
    assert decode.decode(chunk([value])).arrays[0]["x"].tolist() == [int(found)]


def test_numbers_are_rounded_as_pythons_floats_and_whole_ones_are_whole():
    schema = record("R", [("n", "long"), ("x", "double")])
    # float32 would round it up if it were not float64 before.
    large = 2**60 + 2**36 + 1
    values = [
        written(schema, {"n": large, "x": x}) for x in (1.0, 1.5, np.nan, 2.0**31, -(2.0**31))
    ]
    fields = [Field("x", dtype="int32"), "n"]
    decoded = AvroDecoder(fields, schema=schema, features="dict").decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 2, 3]
    assert decoded.arrays[0]["x"].tolist() == [1, -(2**31)]
    assert decoded.arrays[0]["n"].tolist() == [2.0**60] * 2


class Saturating(np.ndarray):
    """Floats that are cast to int64 as on ARM: one beyond it becomes the nearest of its numbers."""

    def astype(self, dtype, **others):
        floats = np.asarray(self)
        found = np.where(floats < 2.0**63, floats, 0).astype(dtype, **others)
        return np.where(floats < 2.0**63, found, np.iinfo(dtype).max)


@pytest.mark.parametrize("kind", [np.ndarray, Saturating])
def test_a_float_beyond_int64_is_found_however_it_is_cast(kind):
    into = NestedField.of(Field("x", dtype="int64"), np.dtype(np.int64))
    values = np.array([0, -(2.0**63), 2.0**63, np.nextafter(2.0**63, 0), 0.5], np.float64)
    array, odd = np.zeros((5, 1), np.int64), np.zeros(5, np.bool_)
    nowhere = np.zeros(5, np.int64)
    cursor = Cursor(np.zeros(1, np.uint8), nowhere, nowhere, slice(None), odd)
    Sinks([into], [array], finite=False).put(cursor, 0, values.view(kind))
    assert odd.tolist() == [False, False, True, False, True]
    assert array[~odd, 0].tolist() == [0, -(2**63), 2**63 - 1024]


def test_null_in_all_records_of_a_chunk():
    schema = record("R", [("n", ["null", "int"]), ("x", ["null", "float"])])
    values = [written(schema, {"n": None, "x": None})] * 3
    decoded = AvroDecoder(["n", "x"], schema=schema, missing="nan").decode(chunk(values))
    assert np.isnan(decoded.arrays[0]).all() and decoded.arrays[0].shape == (3, 2)
    assert decoded.absent == {'field "n"', 'field "x"'}


def test_null_in_an_array_and_arrays_of_arrays():
    schema = record("A", [("x", {"type": "array", "items": {"type": "array", "items": "int"}})])
    field = Field("x", shape=[2, 2], dtype="int32")
    rows = [written(schema, {"x": each}) for each in ([[1, 2], [3, 4]], [[1, 2], [3]])]
    decoded = AvroDecoder([field], schema=schema, features="dict").decode(chunk(rows))
    assert decoded.arrays[0]["x"].tolist() == [[[1, 2], [3, 4]]] and len(decoded.faults) == 1
    schema = record("A", [("x", {"type": "array", "items": ["null", "int"]})])
    rows = [written(schema, {"x": [None, 5]})]
    decode = AvroDecoder([Field("x", shape=[2])], schema=schema, missing={"x": -1})
    assert decode.decode(chunk(rows)).arrays[0].tolist() == [[-1, 5]]


def test_logical_types_are_what_they_are_stored_as():
    date = {"type": "int", "logicalType": "date"}
    schema = record(
        "Dated", [("day", date), ("at", {"type": "long", "logicalType": "time-micros"})]
    )
    plain = record("Dated", [("day", "int"), ("at", "long")])
    rows = [written(plain, {"day": 20000, "at": 5})]
    decode = AvroDecoder(["day", "at"], schema=schema)
    assert decode.decode(chunk(rows)).arrays[0].tolist() == [[20000, 5]]


def test_only_finite_decides_what_is_left_open():
    records = chunk([right(met=np.inf)])
    assert AvroDecoder(["met"], schema=SCHEMA).decode(records).faults == ()
    assert len(only_finite(AvroDecoder(["met"], schema=SCHEMA)).decode(records).faults) == 1


def number(value, dtype):
    """What a value becomes, or None where it does not fit."""
    if value is None or isinstance(value, str | bytes | list | dict):
        return None
    if dtype == "float32":
        with np.errstate(over="ignore"):
            return np.float32(float(value))
    limits = np.iinfo(dtype)
    is_whole = not isinstance(value, float) or value.is_integer()
    return np.array(int(value), dtype) if is_whole and limits.min <= value <= limits.max else None


@st.composite
def columns(draw, kinds):
    """Names, types and values of the fields of a record."""
    found = []
    for place in range(draw(st.integers(1, 4))):
        kind, values = draw(st.sampled_from(kinds))
        kind = copy.deepcopy(kind)
        # A type's name occurs once.
        for each in kind if isinstance(kind, list) else [kind]:
            if isinstance(each, dict) and "name" in each:
                each["name"] += str(place)
        found.append((f"f{place}", kind, values))
    return found


KINDS = [each for kind in samples.TYPES for each in samples.nullable(*kind)]
ALL_KINDS = KINDS + [each for kind in samples.OTHERS for each in samples.nullable(*kind)]


@given(data=st.data(), dtype=st.sampled_from(["float32", "int32", "int64"]))
@few
def test_equal_bit_by_bit_to_fastavro(data, dtype):
    fields = data.draw(columns(ALL_KINDS))
    wanted, _, _ = fields[data.draw(st.integers(0, len(fields) - 1))]
    schema = record("R", [(name, kind) for name, kind, _ in fields])
    row = st.fixed_dictionaries({name: values for name, _, values in fields})
    rows = data.draw(st.lists(row, max_size=8))
    values = [written(schema, each) for each in rows]
    fields = [Field(wanted, dtype=dtype)]
    decoded = AvroDecoder(fields, schema=schema, features="dict").decode(chunk(values))
    expected, kept = [], []
    for index, value in enumerate(values):
        read = fastavro.schemaless_reader(io.BytesIO(value), schema, None)[wanted]
        if (found := number(read, dtype)) is not None:
            expected.append(found)
            kept.append(index)
    assert decoded.kept.tolist() == kept, (schema, rows, decoded.faults)
    np.testing.assert_array_equal(decoded.arrays[0][wanted], np.array(expected, dtype))


@given(data=st.data())
@few
def test_whatever_is_written_is_read_as_fastavro_reads_it(data):
    """Damaged records: neither an exception nor another verdict."""
    fields = data.draw(columns(ALL_KINDS))
    schema = record("R", [(name, kind) for name, kind, _ in fields])
    row = st.fixed_dictionaries({name: values for name, _, values in fields})
    good = st.builds(lambda each: written(schema, each), row)
    damaged = st.tuples(good, st.integers(0, 30), st.binary(max_size=3)).map(
        lambda each: each[0][: each[1]] + each[2] + each[0][each[1] + len(each[2]) :]
    )
    values = data.draw(st.lists(good | damaged | st.binary(max_size=12), max_size=8))
    decoded = AvroDecoder(["f0"], schema=schema, features="dict").decode(chunk(values))
    expected, kept = [], []
    for index, value in enumerate(values):
        file = io.BytesIO(value)
        try:
            read = fastavro.schemaless_reader(
                file, schema, None, handle_unicode_errors="surrogateescape"
            )
        except Exception:
            continue
        found = number(read["f0"], "float32")
        if found is not None and file.tell() == len(value):
            expected.append(found)
            kept.append(index)
    assert decoded.kept.tolist() == kept
    np.testing.assert_array_equal(decoded.arrays[0]["f0"], np.array(expected, np.float32))


def test_most_records_are_read_together(monkeypatch):
    """Else nobody would notice that all are read one by one."""

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("tfkafka.decoding.avro_chunks.read_one", refuse)
    assert DECODE.decode(chunk([GOOD, right(n=0)] * 3)).faults == ()
    with pytest.raises(AssertionError):
        DECODE.decode(chunk([right(name="tau")]))


def fixed(size):
    return {"type": "fixed", "name": "Fixed", "size": size}


def test_short_records_of_a_wide_schema_take_little_memory():
    """The bytes of a field that is not wanted are not copied with those of its neighbours."""
    schema = record("R", [("wide", fixed(2**16)), ("x", "float"), ("y", "float")])
    decode = AvroDecoder(["x", "y"], schema=schema)
    good = written(schema, {"wide": bytes(2**16), "x": 1.5, "y": 2.5})
    tracemalloc.start()
    try:
        decoded = decode.decode(chunk([b"\0", good] + [b"\0"] * 1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoded.arrays[0].tolist() == [[1.5, 2.5]] and decoded.kept.tolist() == [1]
    assert peak < 2**24


def doubling(levels: int):
    """A record whose types name one another twice, level by level."""
    types = [record("T0", [("x", "int")])]
    types += [record(f"T{n}", [("a", f"T{n - 1}"), ("b", f"T{n - 1}")]) for n in range(1, levels)]
    return record("L", [(f"f{n}", each) for n, each in enumerate(types)])


ERROR = record("Failure", [("n", {"type": "null"})]) | {"type": "error"}
UNSAFE = [
    (doubling(15), "has 98287 types where each name stands for its type, .*: more than 50000"),
    (doubling(100), "has billions of types"),
    (record("L", [("x", "int"), ("next", ["null", "L"])]), "is recursive"),
    (record("L", [("x", {"type": "array", "items": "null"})]), "items without bytes"),
    (
        record("L", [("x", {"type": "array", "items": record("Nothing", [])})]),
        "items without bytes",
    ),
    (record("L", [("x", {"type": "array", "items": ERROR})]), "items without bytes"),
    (
        record("L", [("x", "int"), ("y", ENUM | {"symbols": []})]),
        "an enum without symbols",
    ),
    *(
        (
            record("L", [("x", "int"), ("y", ["null", fixed(size)])]),
            "a fixed of .* from 0 to 16777216",
        )
        for size in (-1, 2**24 + 1, 2**45, 2**70, 1.5, True, "4", None)
    ),
]


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        *UNSAFE,
        ("{", "is no Avro schema: JSONDecodeError"),
        ("[" * 100_000, "is no Avro schema: RecursionError"),
        ({}, "is no Avro schema: KeyError"),
        ({"type": "spam"}, "is no Avro schema: UnknownType"),
        ("int", "is no Avro schema"),
        ('"int"', 'does not have the field "x"'),
        (record("R", [("y", "int")]), 'does not have the field "x"'),
    ],
)
def test_wrong_schemas_are_refused(schema, line):
    with pytest.raises(ValueError, match=line) as raised:
        AvroDecoder(["x"], schema=schema)
    assert "\n" not in str(raised.value) and "schema" in str(raised.value)


def test_many_types_that_are_named_once_or_twice():
    wide = record("Wide", [(f"f{n}", ["null", "double"]) for n in range(5_000)])
    for schema in (wide, doubling(10)):
        name = schema["fields"][-1]["name"]
        assert AvroDecoder([name + (".a" * 9 + ".x") * (schema is not wide)], schema=schema)


def test_a_nan_that_signals(recwarn):
    values = {"type": "map", "values": "float"}
    schema = record("R", [("x", "double"), ("others", values)])
    decode = AvroDecoder(["x"], schema=schema)
    decoded = decode.decode(chunk([(0x7FF0000000000001).to_bytes(8, "little") + b"\0"]))
    assert np.isnan(decoded.arrays[0]).all() and not recwarn.list


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "schema is None, and registry is too"),
        ({"schema": SCHEMA, "registry_config": {}}, "registry_config is given"),
        ({"schema": SCHEMA, "fields": ["a..b"]}, "a name between dots is empty"),
        ({"schema": SCHEMA, "fields": ["jet", "jet.x"]}, "given as a value"),
        ({"schema": SCHEMA, "fields": ["met", "met"]}, "given twice"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises(ValueError, match=line):
        AvroDecoder(**{"fields": ["met"]} | arguments)


def test_it_describes_itself():
    decode = AvroDecoder(["met", Field("n", dtype="int64")], Key(), schema=SCHEMA)
    assert decode.plan() == DecoderPlan(
        "avro",
        (
            FieldPlan("value", "met", "float32", (), "met"),
            FieldPlan("value", "n", "int64", (), "n"),
        ),
        "matrix",
        FieldPlan("key", None, "float32"),
    )
    described = describe_decoder(decode)
    assert json.loads(described["arguments"]["schema"]) == SCHEMA
    assert pickle.loads(pickle.dumps(decode)) == decode


def test_without_fastavro_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tfkafka\[avro\]'"):
        AvroDecoder(["met"], schema=SCHEMA)
