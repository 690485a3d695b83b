"""Features that are named fields of a value: one rule for JSON and for tf.train.Example."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.decoding.base import ArraySpec
from tfkafka.decoding.example import ExampleDecoder
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Field, Key

tf = pytest.importorskip("tensorflow")

BOTH = pytest.mark.parametrize("kind", [JsonDecoder, ExampleDecoder])
WHOLE = Field("n", shape=[2], dtype="int64")
CLASS = Field("c", classes=["a", "b"])
# A float32 is the nearest one to it only if it is rounded once.
LARGE = 2**60 + 2**36 + 1


def value(kind, **members) -> bytes:
    """A record with these members: lists of numbers, or a text."""
    if kind is JsonDecoder:
        return json.dumps(members).encode()
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[each.encode()]))
        if isinstance(each, str)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=each))
        for name, each in members.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(
        deterministic=True
    )


@BOTH
@pytest.mark.parametrize(
    ("missing", "put"), [("nan", math.nan), ({"n": -0.5, "c": 1e30}, {"n": -0.5, "c": 1e30})]
)
@pytest.mark.parametrize("length", [1, 3, 150])
@pytest.mark.parametrize("finite", [True, False])
def test_what_a_missing_whole_number_becomes_has_to_fit_the_matrix(
    kind, missing, put, length, finite
):
    decode = kind([WHOLE, CLASS], finite=finite, missing=missing)
    filled = {"n": put, "c": put} if put is math.nan else put
    rows = [
        (value(kind, n=[1, LARGE], c="b"), [1, LARGE, 1]),
        (value(kind), [filled["n"], filled["n"], filled["c"]]),
        (value(kind, n=[5, 6]), [5, 6, filled["c"]]),
        (value(kind, c="a"), [filled["n"], filled["n"], 0]),
    ] * length
    decoded = decode.decode(chunk([each for each, _ in rows] + [b"\xff"]))
    assert [fault.index for fault in decoded.faults] == [len(rows)]
    expected = [
        [np.float32(np.int64(each) if isinstance(each, int) else each) for each in row]
        for _, row in rows
    ]
    np.testing.assert_array_equal(decoded.arrays[0], expected)


@BOTH
@pytest.mark.parametrize("put", ["nan", {"n": 0.5}, {"n": 2**70}])
def test_and_its_own_array_in_a_dict(kind, put):
    with pytest.raises(ValueError, match='for field "n", must be a whole number of int64, the typ'):
        kind([WHOLE], features="dict", missing=put)
    with pytest.raises(ValueError, match='for field "c", must be a whole number of int64, the typ'):
        kind([CLASS], features="dict", missing="nan")


@BOTH
@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        ({"fields": []}, ValueError, "fields is [], must be a list of names or Field(name)"),
        ({"fields": "a"}, TypeError, "fields is 'a', must be a list of names or Field(name)"),
        ({"fields": {"a", "b"}}, TypeError, "must be a list of names or Field(name)"),
        ({"fields": {"a": 1}}, TypeError, "must be a list of names or Field(name)"),
        ({"fields": ["a", 5]}, TypeError, "fields is 5, must be a list of names or Field(name)"),
        ({"fields": ["a", ""]}, ValueError, "fields is '', must be text that is not empty"),
        ({"fields": ["a", "a"]}, ValueError, 'fields: field "a" is given twice'),
        ({"fields": ["a", Field("a", shape=[2])]}, ValueError, 'field "a" is given twice'),
        ({"fields": ["a"], "label": Field("a")}, ValueError, 'field "a" is given twice'),
        (
            {"fields": ["a"], "label": Field("b"), "sample_weight": Field("b")},
            ValueError,
            'field "b" is given twice',
        ),
        ({"fields": ["a"], "missing": "zero"}, ValueError, "missing is 'zero', must be"),
        (
            {"fields": ["a"], "missing": {"b": 0}},
            ValueError,
            "missing has 'b', must have names of features: ['a']",
        ),
        ({"fields": ["a"], "missing": {"a": "0"}}, TypeError, "missing['a'] is '0', must be"),
        ({"fields": ["a"], "features": "list"}, ValueError, "features is 'list', must be one"),
        ({"fields": ["a"], "finite": 1}, TypeError, "finite is 1, must be True or False"),
    ],
)
def test_wrong_arguments_are_refused_alike(kind, arguments, error, line):
    with pytest.raises(error) as caught:
        kind(**arguments)
    text = str(caught.value)
    assert text.startswith(f"{kind.__name__}: ") and line in text and len(text.splitlines()) == 1


@BOTH
def test_a_name_is_a_field_of_one_float(kind):
    decode = kind(["a", Field("b", dtype="int32")], Key())
    assert decode == kind((Field("a"), Field("b", dtype="int32")), Key())
    assert decode.fields == (Field("a"), Field("b", dtype="int32"))
    assert decode.element_spec[0] == ArraySpec((2,), np.dtype(np.float32))


@BOTH
@pytest.mark.parametrize("features", ["matrix", "dict"])
def test_a_plan_has_the_types_of_the_fields(kind, features):
    plan = kind(["a", WHOLE], features=features, missing={"n": 7}).plan()
    assert [(each.dtype, each.shape, each.on_missing) for each in plan.fields] == [
        ("float32", (), "bad"),
        ("int64", (2,), 7.0),
    ]
    assert plan.features == features
