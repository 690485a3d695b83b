"""decode_avro, encode_avro and decode_json: eagerly, in graphs, and what is wrong."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decoding.avro_samples import (
    DOUBLES,
    ENUM,
    FLOATS,
    INTS,
    LONGS,
    TEXTS,
    record,
    written,
)
from tests.unit.decoding.fuzz import damaged
from tests.unit.messages import chunk
from tests.unit.tfio.comparing import compare, is_lifted
from tfkafka import AvroDecoder
from tfkafka.tfio import kafka
from tfkafka.tfio.experimental.serialization import decode_avro, decode_json, encode_avro

PAIR = record("R", [("z", "float"), ("a", "string")])
SCHEMA = json.dumps(PAIR)
NESTED = record("Outer", [("n", "int"), ("in", record("Inner", [("x", "double")]))])
KINDS = {
    **{"boolean": (st.booleans(), tf.bool), "int": (INTS, tf.int32), "long": (LONGS, tf.int64)},
    **{"float": (FLOATS, tf.float32), "double": (DOUBLES, tf.float64)},
    **{"string": (TEXTS, tf.string), "bytes": (TEXTS.map(str.encode), tf.string)},
}
ROW = {"z": 1.5, "a": "x"}


def body(**changed) -> bytes:
    return written(PAIR, ROW | changed)


def to_eager(function, data):
    return function(data)


def to_graph(function, data):
    return tf.function(function, input_signature=[tf.TensorSpec(None, tf.string)])(data)


def to_map(function, data):
    return next(iter(tf.data.Dataset.from_tensors(data).map(function)))


WAYS = pytest.mark.parametrize("way", [to_eager, to_graph, to_map])


def test_they_have_both_of_their_names():
    assert kafka.decode_avro is decode_avro and kafka.encode_avro is encode_avro


@given(st.data())
def test_what_is_encoded_is_avro_and_is_decoded_again(data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))
    fields = [(f"{name}{index}", name) for index, name in enumerate(kinds)]
    unions = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=len(kinds), max_size=4))
    types = [
        (kind, ["null", kind], [kind, "null"])[i] for kind, i in zip(kinds, unions, strict=False)
    ]
    schema = record("R", [(name, each) for (name, _), each in zip(fields, types, strict=True)])
    rows = data.draw(st.lists(st.tuples(*(KINDS[kind][0] for kind in kinds)), max_size=3))
    columns = {
        name: tf.constant([row[index] for row in rows], KINDS[kind][1])
        for index, (name, kind) in enumerate(fields)
    }
    encoded = encode_avro(columns, json.dumps(schema))
    names = [name for name, _ in fields]
    assert encoded.numpy().tolist() == [
        written(schema, dict(zip(names, row, strict=True))) for row in rows
    ]
    decoded = decode_avro(encoded, json.dumps(schema))
    assert list(decoded) == names
    for name, column in columns.items():
        assert decoded[name].dtype == column.dtype
        np.testing.assert_array_equal(decoded[name].numpy(), column.numpy())


@WAYS
@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (body(), []),
        ([body()] * 3, [3]),
        ([[body(), body()]], [1, 2]),
        (tf.zeros([2, 0], "string"), [2, 0]),
    ],
)
def test_any_shape(way, data, shape):
    decoded = way(lambda records: decode_avro(records, SCHEMA), tf.constant(data))
    assert decoded["z"].shape == decoded["a"].shape == shape
    assert set(decoded["z"].numpy().ravel()) <= {1.5}
    assert set(decoded["a"].numpy().ravel().tolist() if shape else [decoded["a"].numpy()]) <= {b"x"}
    encoded = way(
        lambda texts: encode_avro({"a": texts, "z": tf.ones(tf.shape(texts))}, SCHEMA),
        decoded["a"],
    )
    assert encoded.shape == shape
    specs = {"b": tf.TensorSpec([2], tf.int32), "c": tf.TensorSpec([], tf.string)}
    texts = tf.fill(shape, '{"b": [1, 2], "c": "x"}')
    objects = way(lambda each: decode_json(each, specs), texts)
    assert objects["b"].shape == [*shape, 2] and objects["c"].shape == shape
    assert objects["b"].numpy().ravel().tolist() == [1, 2] * int(np.prod(shape))


def test_shapes_are_known_in_a_map():
    records = tf.data.Dataset.from_tensor_slices([body()] * 4)
    assert records.map(lambda each: decode_avro(each, SCHEMA)).element_spec == {
        "z": tf.TensorSpec([], tf.float32),
        "a": tf.TensorSpec([], tf.string),
    }
    batches = records.batch(2).map(lambda each: decode_avro(each, SCHEMA)["z"])
    assert batches.element_spec == tf.TensorSpec([None], tf.float32)
    specs = {"x": tf.TensorSpec([None, 2], tf.float32)}
    objects = records.batch(2).map(lambda each: decode_json(each, specs)["x"])
    assert objects.element_spec == tf.TensorSpec([None, None, 2], tf.float32)


@WAYS
@pytest.mark.parametrize(
    ("function", "data", "line"),
    [
        ("avro", body()[:2], r"decode_avro: the record: ends before the schema does: b'\x00\x00'"),
        ("avro", [body(), b""], "decode_avro: record 1: ends before the schema does"),
        ("avro", [[body()], [b"1"]], "decode_avro: record 1, 0: ends before the schema does: b'1'"),
        (
            "json",
            '{"x": "1"}',
            """decode_json: the record: field "/x" is text, not a number: b'"1"'""",
        ),
        ("json", ['{"x": 1}', "{"], "decode_json: record 1: is not JSON: expecting property name"),
        ("encode", [b"a", b"\xff"], r"""encode_avro: record 1: field "a" is not UTF-8: b'\xff'"""),
    ],
)
def test_a_wrong_record_is_one_line(way, function, data, line):
    functions = {
        "avro": lambda each: decode_avro(each, SCHEMA),
        "json": lambda each: decode_json(each, {"x": tf.TensorSpec([], tf.float32)}),
        "encode": lambda each: encode_avro({"a": each, "z": tf.ones(tf.shape(each))}, SCHEMA),
    }
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        way(functions[function], tf.constant(data))
    # TensorFlow's own operation escapes quotes, and adds where in the graph it is.
    text = raised.value.message.splitlines()[0].replace("\\", "")
    assert line.replace("\\", "") in text


def test_an_iteration_goes_on_after_a_wrong_record():
    records = tf.data.Dataset.from_tensor_slices([body(), b"", body(a="y")])
    decoded = records.map(lambda each: decode_avro(each, SCHEMA)["a"]).ignore_errors()
    assert [each.numpy() for each in decoded] == [b"x", b"y"]


def test_maps_of_records_are_the_same_where_lifting_is_tried(monkeypatch):
    bodies = np.array([body(z=number) for number in range(10)] + [b""] + [body()] * 5, object)
    lifted, found = compare(
        lambda records: records.map(lambda each: decode_avro(each, SCHEMA)["z"]).batch(4),
        tf.constant(bodies),
        monkeypatch,
    )
    assert not is_lifted(lifted)
    assert [type(each) for each in found].count(tuple) == 1 and len(found) == 4


def test_records_in_records_and_one_type_alone():
    data = {"n": tf.constant([7]), "in": {"x": tf.constant([0.5], tf.float64)}}
    encoded = encode_avro(data, json.dumps(NESTED))
    assert encoded.numpy().tolist() == [written(NESTED, {"n": 7, "in": {"x": 0.5}})]
    decoded = decode_avro(encoded, json.dumps(NESTED))
    tf.nest.assert_same_structure(decoded, data)
    assert decoded["in"]["x"].numpy() == [0.5] and decoded["n"].numpy() == [7]
    assert decode_avro(encode_avro(tf.constant([3, 4]), '"int"'), '"int"').numpy().tolist() == [
        3,
        4,
    ]


def test_null_is_empty_and_text_stays_as_it_is():
    kinds = [(name, ["null", name]) for name in KINDS]
    schema = record("R", kinds)
    decoded = decode_avro([written(schema, dict.fromkeys(KINDS))], json.dumps(schema))
    found = {name: each.numpy().tolist()[0] for name, each in decoded.items()}
    assert found == {
        **{"boolean": False, "int": 0, "long": 0, "float": 0, "double": 0},
        **{"string": b"", "bytes": b""},
    }
    # Not UTF-8, and bytes that come after the record: as with tensorflow-io.
    assert decode_avro([bytes(4) + b"\x04\xff\0?"], SCHEMA)["a"].numpy().tolist() == [b"\xff\0"]


def test_a_list_is_in_the_alphabetical_order_of_the_names():
    first = encode_avro([["x", "y"], [1.5, 2.5]], SCHEMA)
    assert first.numpy().tolist() == [body(), body(z=2.5, a="y")]
    # Python's numbers become the field's type.
    doubles = json.dumps(record("R", [("a", "double"), ("b", "long")]))
    assert decode_avro(encode_avro({"a": 0.1, "b": 5}, doubles), doubles)["a"].numpy() == 0.1


def test_whole_numbers_are_within_their_type():
    schema = json.dumps(record("R", [("a", "int")]))
    large = written(record("R", [("a", "long")]), {"a": 2**31})
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decode_avro([large], schema)
    assert raised.value.message == (
        'decode_avro: record 0: field "a" is 2147483648, which int does not hold'
    )


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ([[1.0]], ValueError, 'data has 1 tensors, must have one for each field .*: field "a", '),
        ({"z": [1.0], "b": ["x"]}, ValueError, 'data has other names than schema\'s fields: "z"'),
        ({"z": [1], "a": [2]}, TypeError, r'data has \[2\] for field "a", must be string'),
        ([["x"], tf.constant([1])], TypeError, 'data has int32 for field "z", must be float32'),
        ([["x"], np.float64([1])], TypeError, 'data has float64 for field "z", must be float32'),
    ],
)
def test_other_tensors_than_the_schemas(data, error, text):
    with pytest.raises(error, match=f"^encode_avro: {text}"):
        encode_avro(data, SCHEMA)


def test_tensors_of_other_shapes():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"shapes \(1,\) and \(2,\): they"):
        encode_avro([["x"], [1.0, 2.0]], SCHEMA)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ENUM, "has enum for field"),
        ({"type": "array", "items": "int"}, "has array for field"),
        (["null", "int", "long"], "has a union for field"),
        (["null", ENUM], "has a union for field"),
        ("null", "has null for field"),
        ("no", "it is no Avro schema"),
    ],
)
@pytest.mark.parametrize("function", [decode_avro, encode_avro])
def test_a_schema_that_cannot_be_tensors(function, kind, text):
    with pytest.raises(ValueError, match=f"^{function.__name__}: schema .*{text}") as raised:
        function([b""], json.dumps(record("R", [("a", kind)])))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "spec", "reason"),
    [
        ('{"a": null}', ([], tf.float32), "is null, not a number"),
        ('{"a": true}', ([], tf.int32), "is true or false, not a number: b'true'"),
        ('{"a": 1}', ([], tf.bool), "is a number, not true or false: b'1'"),
        ('{"a": 1}', ([], tf.string), "is a number, not text: b'1'"),
        ('{"a": 1.5}', ([], tf.int64), "is not a whole number: b'1.5'"),
        ('{"a": 2147483648}', ([], tf.int32), "is beyond int32: b'2147483648'"),
        ('{"a": 1e400}', ([], tf.float64), "is beyond float64: b'Infinity'"),
        ('{"a": "\\ud800"}', ([], tf.string), "has half of a surrogate pair: b'\"\\\\ud800\"'"),
        ('{"b": 1}', ([], tf.int32), "is missing"),
        ('{"a": 1, "a": 2}', ([], tf.int32), "occurs more than once"),
        ('{"a": [1, 2, 3]}', ([2], tf.int32), "has 3 values, which is not the shape (2,)"),
        (
            '{"a": [1, 2, 3]}',
            ([None, 2], tf.int32),
            "has 3 values, which is not the shape (None, 2)",
        ),
        ('{"a": [[1, 2], [3]]}', ([3], tf.int32), "has arrays of different lengths in it"),
        ('{"a": [[1, 2], 3]}', ([3], tf.int32), "has arrays of different lengths in it"),
    ],
)
def test_a_json_value_that_does_not_fit(text, spec, reason):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decode_json(text, {"a": tf.TensorSpec(*spec)})
    assert raised.value.message == f'decode_json: the record: field "/a" {reason}'


def test_keys_are_json_pointers():
    text = '{"a": {"b": 1}, "c/d": 2, "e~f": 3, "g": [4, {"h": 5}]}'
    keys = {"a/b": 1, "c~1d": 2, "e~0f": 3, "g/0": 4, "g/1/h": 5}
    found = decode_json(text, dict.fromkeys(keys, tf.TensorSpec([], tf.int32)))
    assert {key: each.numpy() for key, each in found.items()} == keys
    specs = {"g": (tf.TensorSpec([], tf.int64), {"h": tf.TensorSpec([1], tf.float32)})}
    first, second = decode_json(text, specs)["g"]
    assert first.numpy() == 4 and second["h"].numpy() == [5]


def test_records_of_several_sizes():
    specs = {"a": tf.TensorSpec([None], tf.string)}
    texts = ['{"a": ["x"]}', '{"a": ["y", "z"]}']
    assert decode_json(texts[1], specs)["a"].numpy().tolist() == [b"y", b"z"]
    assert decode_json([texts[1]] * 2, specs)["a"].numpy().tolist() == [[b"y", b"z"]] * 2
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"other records: \(1,\) and \(2,\)$"):
        decode_json(texts, specs)


@pytest.mark.parametrize(
    ("specs", "error", "text"),
    [
        ({"a": {"b": 5}}, TypeError, 'specs at "/a/b" is 5, must be tf.TensorSpec'),
        (None, TypeError, "specs is None, must be tf.TensorSpec"),
        ({"a": tf.TensorSpec([], tf.uint8)}, ValueError, "must have one of the types bool"),
        ({"a": tf.TensorSpec(None, tf.int32)}, ValueError, "a shape with at most one None"),
        ({"a": tf.TensorSpec([None, None], tf.int32)}, ValueError, "a shape with at most one None"),
    ],
)
def test_other_specs(specs, error, text):
    with pytest.raises(error, match=text):
        decode_json("{}", specs)


def test_damaged_records_are_judged_as_avro_decoder_does():
    fields = [("a", "float"), ("b", ["null", "long"]), ("c", "string"), ("d", "boolean")]
    schema, rng = record("R", fields), random.Random(20)
    good = written(schema, {"a": 1.5, "b": 300, "c": "muon", "d": True})
    values = [damaged(good, rng) for _ in range(3_000)]
    decode = AvroDecoder(["a"], schema=schema)
    found = decode.decode(chunk(values))
    kept = dict(zip(found.kept.tolist(), found.arrays[0].ravel(), strict=True))
    assert 100 < len(kept) < 2_900
    for index, value in enumerate(values):
        try:
            decoded = decode_avro(value, json.dumps(schema))["a"].numpy()
        except tf.errors.InvalidArgumentError as error:
            assert index not in kept and len(error.message.splitlines()) == 1
        else:
            np.testing.assert_equal(kept.get(index, decoded), decoded)
