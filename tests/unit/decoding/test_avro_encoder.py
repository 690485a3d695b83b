"""Columns as Avro records, there and back."""

from __future__ import annotations

import io
import json
import pickle

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.unit.decoding.avro_samples import record, written
from tests.unit.decoding.registries import registry
from tests.unit.properties import few
from tfkafka import ArraySpec, AvroEncoder, Encoder
from tfkafka.decoding.schema_registry import shared_registry
from tfkafka.errors import WriteError

URL = "mock://encoder"
TYPES = {"float": "float32", "double": "float64", "int": "int32", "long": "int64", "boolean": "?"}
ARRAY = {"type": "array", "items": "float"}
SCHEMA = record("Prediction", [("probability", "float"), ("all", ARRAY), ("n", ["null", "long"])])
ROWS = {
    "probability": np.float32([0.25, 0.75]),
    "all": np.float32([[1, 2, 3], [4, 5, 6]]),
    "n": np.int64([7, -8]),
}
ENCODER = AvroEncoder(SCHEMA, shapes={"all": [3]})


@given(data=st.data())
@few
def test_there_and_back_and_as_fastavro_reads_it(data):
    schema_fields, shapes, columns = [], {}, {}
    count = data.draw(st.integers(1, 4))
    for place in range(data.draw(st.integers(2, 3))):
        name, kind = f"f{place}", data.draw(st.sampled_from([*TYPES]))
        shape = data.draw(st.lists(st.integers(1, 70), max_size=2))
        finite = {} if TYPES[kind][0] in "i?" else {"allow_nan": False}
        columns[name] = data.draw(arrays(TYPES[kind], (count, *shape), elements=finite))
        for _ in shape:
            kind = {"type": "array", "items": kind}
        union = data.draw(st.sampled_from([kind, ["null", kind], [kind, "null"]]))
        schema_fields.append((name, union))
        if shape:
            shapes[name] = shape
    schema = record("R", schema_fields)
    encoder = AvroEncoder(schema, shapes=shapes)
    values = encoder.encode(columns)
    for index, value in enumerate(values):
        file = io.BytesIO(value)
        read = fastavro.schemaless_reader(file, schema, None)
        assert read == {name: array[index].tolist() for name, array in columns.items()}
        assert file.tell() == len(value)
    decoded = encoder.decode(values)
    assert decoded.faults == ()
    for name, array in columns.items():
        np.testing.assert_array_equal(decoded.arrays[0][name], array)
        assert decoded.arrays[0][name].dtype == array.dtype


def test_one_field_is_an_array():
    encoder = AvroEncoder(record("P", [("p", "float")]))
    array = np.float32([0.5, np.nan])
    for given_array in (array, array[:, None], {"p": array}):
        values = encoder.encode(given_array)
        np.testing.assert_array_equal(encoder.decode(values).arrays[0], array)
    assert encoder.encode(array[:0]) == []


PAIR = {"type": "array", "items": "string"}
TEXTS = record("T", [("kind", ["null", "string"]), ("n", "int"), ("pair", PAIR)])
COLUMNS = {
    "kind": np.array(["muon", ""]),
    "n": np.int32([1, 2]),
    "pair": np.array([["a", "ä\0"], ["b", "c" * 200]], object),
}


@pytest.mark.parametrize("more", [{}, {"registry": URL, "subject": "texts-value"}])
def test_text_there_and_back_and_as_fastavro_reads_it(more):
    encoder = AvroEncoder(TEXTS, shapes={"pair": [2]}, **more)
    values = encoder.encode(COLUMNS)
    for index, value in enumerate(values):
        body = io.BytesIO(value[5 if more else 0 :])
        read = fastavro.schemaless_reader(body, TEXTS, None)
        assert read == {name: array[index].tolist() for name, array in COLUMNS.items()}
    decoded = encoder.decode([values[0], None, b"", values[1] + b"x", values[1]])
    assert decoded.kept.tolist() == [0, 4]
    for name, array in COLUMNS.items():
        assert decoded.arrays[0][name].tolist() == array.tolist()
    assert [fault.index for fault in decoded.faults] == [1, 2, 3]


@pytest.mark.parametrize("more", [{}, {"registry": URL, "subject": "text-value"}])
def test_text_alone(more):
    encoder = AvroEncoder(record("T", [("text", "string")]), **more)
    values = encoder.encode(np.array(["a", "b"]))
    assert encoder.decode(values).arrays[0].tolist() == ["a", "b"]
    head = values[0][:-2]
    wrong = [None, b"", b"\0\0\0\0", head + b"\2", head + b"\2\xff", b"\1" + values[0][1:]]
    decoded = encoder.decode([*wrong, *values])
    assert decoded.kept.tolist() == [6, 7]
    reasons = {fault.index: fault.kind for fault in decoded.faults}
    assert reasons[0] == "is null" and reasons[4] == 'field "text" is not UTF-8'
    if more:
        assert reasons[1] == "is empty" and reasons[2] == "is not in Confluent's wire format"
        unknown = encoder.decode([b"\0\0\1\0\0\2a"])
        assert "schema 65536 is unknown" in unknown.faults[0].reason


def test_what_is_no_text_is_refused_by_number():
    encoder = AvroEncoder(record("T", [("text", "string")]))
    for entry in (5, None, b"x"):
        with pytest.raises(ValueError, match=r"^record 1 \(from 0\) is .* in 'text', must be text"):
            encoder.encode(np.array(["x", entry], object))
    with pytest.raises(ValueError, match="which AvroEncoder writes"):
        encoder.encode(np.array([1, 2]))
    numbers = AvroEncoder(record("T", [("n", "int")]))
    with pytest.raises(ValueError, match="which AvroEncoder writes"):
        numbers.encode(np.array(["1", "2"]))


def test_records_of_others_without_such_text():
    encoder = AvroEncoder(TEXTS, shapes={"pair": [2]})
    rows = [
        {"kind": None, "n": 1, "pair": ["a", "b"]},
        {"kind": "muon", "n": 1, "pair": ["a"]},
    ]
    decoded = encoder.decode([written(TEXTS, row) for row in rows])
    assert [fault.reason for fault in decoded.faults] == [
        'field "kind" is not text',
        'field "pair" is not texts of shape (2,)',
    ]


def test_values_that_are_no_such_records_are_faults():
    values = [*ENCODER.encode(ROWS), b"spam", None]
    decoded = ENCODER.decode(values)
    assert [fault.index for fault in decoded.faults] == [2, 3]
    np.testing.assert_array_equal(decoded.arrays[0]["all"], ROWS["all"])


def test_a_registry_has_the_schema_and_the_values_its_number():
    encoder = AvroEncoder(SCHEMA, shapes={"all": [3]}, registry=URL, subject="p-value")
    values = encoder.encode(ROWS)
    number = int.from_bytes(values[0][1:5], "big")
    assert {value[:5] for value in values} == {b"\0" + number.to_bytes(4, "big")}
    assert [value[5:] for value in values] == ENCODER.encode(ROWS)
    assert json.loads(shared_registry(URL, {}).schema(number).text) == SCHEMA
    np.testing.assert_array_equal(encoder.decode(values).arrays[0]["all"], ROWS["all"])
    assert pickle.loads(pickle.dumps(encoder)).encode(ROWS) == values


def test_a_registry_that_is_away_is_an_error():
    encoder = AvroEncoder(
        record("P", [("p", "float")]), registry="http://127.0.0.1:1", subject="p-value"
    )
    with pytest.raises(WriteError, match=r"http://127\.0\.0\.1:1 cannot be asked"):
        encoder.encode(np.float32([1]))


def test_a_registry_that_refuses_as_unknown_is_an_error():
    """Whatever it answers: it is what a schema that is asked for gets where there is none."""
    with registry({}) as url:
        encoder = AvroEncoder(record("P", [("p", "float")]), registry=url, subject="p-value")
        with pytest.raises(WriteError, match=f"{url} answered 404 Subject not found"):
            encoder.encode(np.float32([1]))


@pytest.mark.parametrize(
    "spec",
    [
        ArraySpec((), np.dtype(np.float32)),
        {"probability": ArraySpec((), np.dtype(np.float32))},
        {name: ArraySpec((), np.dtype(np.float32)) for name in ROWS},
        {name: ArraySpec(array.shape[1:], np.dtype("f8")) for name, array in ROWS.items()},
    ],
)
def test_other_columns_are_refused(spec):
    with pytest.raises(ValueError, match="which AvroEncoder writes"):
        ENCODER.check(spec)


def test_it_fits_what_it_writes():
    assert isinstance(ENCODER, Encoder)
    ENCODER.check({name: ArraySpec(array.shape[1:], array.dtype) for name, array in ROWS.items()})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"schema": "int"}, "schema is"),
        ({"schema": '"int"'}, "not that of a record"),
        ({"schema": record("R", [("x", "bytes")])}, 'field "x" of the schema is neither'),
        ({"schema": record("R", [("x", ["null", "int", "float"])])}, 'field "x"'),
        ({"schema": SCHEMA}, r"shapes\['all'\] is None, must be a shape of 1 numbers"),
        ({"shapes": {"all": [3], "n": [2]}}, r"shapes\['n'\]"),
        ({"shapes": {"all": [3], "y": [2]}}, "shapes has 'y'"),
        ({"shapes": {"all": [3]}, "registry": URL}, "subject is None"),
        ({"shapes": {"all": [3]}, "subject": "s"}, "subject is given"),
        ({"shapes": {"all": [3]}, "registry": "x", "subject": "s"}, "must be an address"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises(ValueError, match=line):
        AvroEncoder(**{"schema": SCHEMA} | arguments)
