"""Decoders and encoders as values: changed, compared, copied, and sent to other processes."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka import (
    ArraySpec,
    Column,
    CsvDecoder,
    ExampleDecoder,
    Field,
    FunctionDecoder,
    Header,
    ImageDecoder,
    JsonDecoder,
    JsonEncoder,
    Key,
    ProbabilityEncoder,
    TensorDecoder,
    TensorEncoder,
)

NUMBER = ArraySpec((), np.dtype(np.float64))
TARGETS = {"label": Key(dtype="int64"), "sample_weight": Header("w")}


def lengths(values):
    return np.array([len(value) for value in values], np.float64)


def named(values):
    return {"length": lengths(values)}


def labelled(values):
    return named(values), lengths(values)


# Each with another value for each of its fields.
CHANGES = [
    (
        CsvDecoder(3, Column(0), missing="nan"),
        TARGETS | {"columns": ["a", "b", "c"], "finite": True, "select": [2, 1], "missing": {1: 0}},
    ),
    (
        CsvDecoder(["a", "b"], "key", select=["b"], features="dict", missing={"b": 5}),
        TARGETS | {"columns": ["b", "a"], "features": "matrix", "missing": "bad", "select": None},
    ),
    (
        JsonDecoder(["a", Field("b", shape=[2])], Key(), missing={"a": 1}),
        TARGETS | {"fields": ["a"], "finite": False, "features": "dict", "missing": "nan"},
    ),
    (
        ExampleDecoder(["a", Field("b", shape=[2])], Key(), missing={"a": 1}),
        TARGETS | {"fields": ["a"], "finite": False, "features": "dict", "missing": "nan"},
    ),
    (TensorDecoder([2, 3], label="key"), TARGETS | {"shape": [], "dtype": ">i4", "finite": True}),
    (ImageDecoder([2, 3, 1], "key"), TARGETS | {"shape": [5, 5, 3]}),
    (FunctionDecoder(lengths, NUMBER), TARGETS | {"fn": np.array, "element_spec": {"x": NUMBER}}),
    (FunctionDecoder(lengths, NUMBER, "key"), TARGETS | {"element_spec": {"length": NUMBER}}),
    (FunctionDecoder(named, {"length": NUMBER}, *TARGETS.values()), {"sample_weight": Key()}),
    (FunctionDecoder(labelled, ({"length": NUMBER}, NUMBER), None, "key"), {"sample_weight": None}),
    (ProbabilityEncoder(), {}),
    (JsonEncoder(dtype={"a": "int64"}), {"nan": "null", "dtype": "float64"}),
    (JsonEncoder(["a", "b"]), {"names": ["a"]}),
    (JsonEncoder(classes=["a", "b"]), {"classes": ["b", "a"]}),
    (TensorEncoder("int64", [2]), {"dtype": "float64", "shape": []}),
]
EACH = pytest.mark.parametrize(("whole", "changes"), CHANGES)


def used(whole):
    """Use it once: what it keeps for itself afterwards is no part of its value."""
    whole.decode(chunk([b"1,2"]) if hasattr(whole, "element_spec") else [b"1,2"])
    return whole


@EACH
def test_each_field_can_be_replaced(whole, changes):
    same = replace(used(whole))
    assert same == whole and type(same) is type(whole)
    for name, value in changes.items():
        if name == "sample_weight" and value is not None and whole.label is None:
            continue
        changed = replace(whole, **{name: value})
        assert changed != whole
        back = replace(changed, **{name: getattr(whole, name)})
        assert back == whole
        assert getattr(back, "element_spec", None) == getattr(whole, "element_spec", None)
    assert same == whole


@pytest.mark.parametrize("label", [None, *TARGETS.values()])
def test_the_spec_has_the_label_that_there_is(label):
    decode = replace(FunctionDecoder(lengths, NUMBER, Key(classes=["a", "b"])), label=label)
    assert decode.element_spec == (NUMBER, label.spec) if label else (NUMBER,)
    assert len(decode.decode(chunk([b"abc"], [b"1"])).arrays) in (1, 2)
    assert replace(decode, label="key").element_spec == (NUMBER, Key().spec)


@EACH
@pytest.mark.parametrize("copied", [copy, deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_are_equal_and_do_the_same(whole, changes, copied):
    for each in (replace(whole), used(whole)):
        made = copied(each)
        assert made == whole and replace(made) == whole
        assert [field.name for field in fields(made)] == [field.name for field in fields(whole)]
        used(made)


@EACH
def test_equal_ones_are_one_key_where_nothing_in_them_is_a_dict(whole, changes):
    values = [getattr(whole, field.name) for field in fields(whole)]
    if any(isinstance(each, dict) for each in (*values, *getattr(whole, "element_spec", ()))):
        with pytest.raises(TypeError, match="unhashable type: 'dict'"):
            hash(whole)
    else:
        assert len({whole, replace(whole), deepcopy(whole)}) == 1


def test_what_was_given_may_change_afterwards():
    missing, dtypes, classes = {"a": 1.0}, {"a": "int64"}, ["a", "b"]
    made = [
        JsonDecoder(["a"], missing=missing),
        ExampleDecoder(["a"], missing=missing),
        CsvDecoder(["a"], missing=missing),
        JsonEncoder(dtype=dtypes),
        Key(classes=classes),
    ]
    before = deepcopy(made)
    missing["b"], dtypes["b"], classes[0] = 2.0, "int32", "c"
    assert made == before
