"""Serialised tf.train.Example to arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.decoding.base import ArraySpec, only_finite
from tfkafka.decoding.example import ExampleDecoder
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Field, Header, Key

tf = pytest.importorskip("tensorflow")

X, N, C = Field("x", shape=[2]), Field("n", dtype="int32"), Field("c", classes=["a", "b"])


pytestmark = pytest.mark.usefixtures("parser")


def floats(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def ints(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def texts(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def example(**features) -> bytes:
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(
        deterministic=True
    )


def right(**others) -> bytes:
    return example(**{"x": floats(0.5, -1), "n": ints(7), "c": texts(b"b")} | others)


def without(name) -> bytes:
    found = tf.train.Example.FromString(right())
    del found.features.feature[name]
    return found.SerializeToString(deterministic=True)


GOOD = right()
BAD = [
    (None, "is null"),
    (b"", 'field "n" is missing'),
    (GOOD[:-1], "is no tf.train.Example"),
    (GOOD + b"\0", "is no tf.train.Example"),
    (b"1,2,3", "is no tf.train.Example"),
    (b"\xff" * 40, "is no tf.train.Example"),
    (without("x"), 'field "x" is missing'),
    (without("n"), 'field "n" is missing'),
    (without("c"), 'label: field "c" is missing'),
    (right(x=floats()), 'field "x" is missing'),
    (right(x=tf.train.Feature()), 'field "x" is missing'),
    (right(c=ints()), 'label: field "c" is missing'),
    (right(x=floats(1)), 'field "x" has 1 values instead of 2'),
    (
        right(n=ints(1, 2)),
        'field "n" has 2 values instead of 1; for an array give Field(name, shape=)',
    ),
    (right(x=ints(1, 2)), 'field "x" is int64_list, must be float_list'),
    (right(n=floats(1)), 'field "n" is float_list, must be int64_list'),
    (right(c=ints(1)), 'label: field "c" is int64_list, must be bytes_list'),
    (right(c=texts(b"muon" * 20)), 'label: field "c" is none of the classes: b'),
    (right(x=floats(1, np.nan)), "field \"x\", value 2, is not finite as float32: b'nan'"),
    (right(x=floats(1e39, 1)), "field \"x\", value 1, is not finite as float32: b'inf'"),
    (right(n=ints(2**31)), "field \"n\" is beyond int32: b'2147483648'"),
]
DECODE = ExampleDecoder([N, X], label=C, finite=True, features="dict")


def test_matrix_and_dict():
    values = [GOOD, right(n=ints(-8), c=texts(b"a"), other=texts(b"?"))]
    features, labels = DECODE.decode(chunk(values)).arrays
    assert features["n"].tolist() == [7, -8] and features["n"].dtype == np.int32
    assert features["x"].tolist() == [[0.5, -1]] * 2 and labels.tolist() == [1, 0]
    assert DECODE.element_spec == (
        {"n": ArraySpec((), np.dtype("int32")), "x": ArraySpec((2,), np.dtype("float32"))},
        ArraySpec((), np.dtype("int64")),
    )
    matrix = ExampleDecoder([C, X, N], label=Header("y"))
    assert matrix.needs_headers and not DECODE.needs_headers
    assert matrix.element_spec[0] == ArraySpec((4,), np.dtype("float32"))
    [features] = ExampleDecoder([C, X, N]).decode(chunk(values)).arrays
    assert features.dtype == np.float32
    assert features.tolist() == [[1, 0.5, -1, 7], [0, 0.5, -1, -8]]


@pytest.mark.parametrize(("value", "reason"), BAD)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_bad_record_is_found_and_the_others_are_decoded(value, reason, place):
    values = [right(n=ints(number)) for number in range(3)]
    values.insert(place, value)
    decoded = DECODE.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [place]
    assert decoded.faults[0].reason.startswith(reason)
    assert len(decoded.faults[0].reason) < 120
    assert decoded.arrays[0]["n"].tolist() == [0, 1, 2] and len(decoded.arrays[1]) == 3
    assert decoded.kept.tolist() == [index for index in range(4) if index != place]


def test_all_of_a_chunk_and_none():
    for values in ([b"spam"] * 3, []):
        decoded = ExampleDecoder([X], label="key").decode(chunk(values, [b"1"] * len(values)))
        assert len(decoded.faults) == len(values)
        assert [array.shape for array in decoded.arrays] == [(0, 2), (0,)]


def test_faults_that_cancel_out():
    values = [GOOD, right(x=floats(1, 2, 3)), right(x=floats(1)), GOOD + GOOD[:-1], GOOD[-1:], GOOD]
    decoded = DECODE.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [1, 2, 3, 4]


def test_encodings_that_no_serialiser_writes():
    twice = right(x=floats(9, 9)) + example(x=floats(1, 2))
    # float_list { value: 1 } and once more { value: 2 }, not packed.
    split = _entry(b"x", b"\x12\x05\x0d\x00\x00\x80\x3f\x12\x05\x0d\x00\x00\x00\x40")
    two_kinds = _entry(b"x", b"\x1a\x02\x08\x07" + floats(3, 4).SerializeToString())
    unknown = example(x=floats(5, 6)) + b"\xfa\x01\x00"
    long_length = _entry(b"x", floats(7, 8).SerializeToString(), long=True)
    values = [example(x=floats(0, 0)), twice, split, two_kinds, unknown, long_length]
    decoded = ExampleDecoder([X]).decode(chunk(values))
    assert decoded.faults == ()
    assert decoded.arrays[0].tolist() == [[0, 0], [1, 2], [1, 2], [3, 4], [5, 6], [7, 8]]
    assert decoded.arrays[0].tolist() == [
        [*tf.train.Example.FromString(value).features.feature["x"].float_list.value]
        for value in values
    ]


def _entry(name: bytes, feature: bytes, long: bool = False) -> bytes:
    """An Example with one feature, serialised by hand; `long`: with a length of two bytes."""

    def field(number: int, content: bytes) -> bytes:
        length = bytes([len(content) | 0x80, 0]) if long else bytes([len(content)])
        return bytes([number << 3 | 2]) + length + content

    return field(1, field(1, field(1, name) + field(2, feature)))


def test_missing_values():
    values = [GOOD, without("x"), without("n"), right(x=floats(np.nan, 1))]
    decode = ExampleDecoder([X, N], finite=True, missing="nan")
    decoded = decode.decode(chunk(values))
    assert [fault.index for fault in decoded.faults] == [3]
    np.testing.assert_array_equal(
        decoded.arrays[0], [[0.5, -1, 7], [np.nan, np.nan, 7], [0.5, -1, np.nan]]
    )
    decode = ExampleDecoder([X, N], missing={"n": -1}, features="dict")
    decoded = decode.decode(chunk(values))
    assert [fault.reason for fault in decoded.faults] == ['field "x" is missing']
    assert decoded.arrays[0]["n"].tolist() == [7, -1, 7]


def test_a_missing_label_is_a_fault_whatever_missing_says():
    decode = ExampleDecoder(["x"], label=Field("y"), missing="nan")
    decoded = decode.decode(chunk([example(y=floats(1)), example()]))
    assert [fault.reason for fault in decoded.faults] == ['label: field "y" is missing']
    assert decoded.arrays[1].tolist() == [1]


def test_only_finite_decides_what_is_left_open():
    records = chunk([right(x=floats(np.inf, 1))])
    assert ExampleDecoder([X]).decode(records).faults == ()
    assert len(only_finite(ExampleDecoder([X])).decode(records).faults) == 1


FLOATS = st.lists(st.floats(width=32), max_size=3)
INTS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300), max_size=3)
TEXTS = st.lists(st.sampled_from([b"a", b"b", b"", b"\xff" * 200]), max_size=3)
FEATURE = st.one_of(
    st.builds(lambda values: floats(*values), FLOATS),
    st.builds(lambda values: ints(*values), INTS),
    st.builds(lambda values: texts(*values), TEXTS),
    st.just(tf.train.Feature()),
)
NAMES = st.sampled_from(["f", "i", "t", "other", "", "long name " * 20])


CLASSES = {b"a": 0, b"b": 1}


@given(records=st.lists(st.dictionaries(NAMES, FEATURE, max_size=5), max_size=8), size=st.just(2))
@few
def test_equal_bit_by_bit_to_example_from_string(records, size):
    values = [example(**features) for features in records]
    fields = {
        "float_list": Field("f", shape=[size]),
        "int64_list": Field("i", shape=[size], dtype="int64"),
        "bytes_list": Field("t", shape=[size], classes=["a", "b"]),
    }
    for kind, field in fields.items():
        expected, kept = [], []
        for index, value in enumerate(values):
            feature = tf.train.Example.FromString(value).features.feature[field.name]
            found = [*getattr(feature, kind).value]
            if kind == "bytes_list":
                found = [CLASSES.get(text) for text in found]
            if len(found) == size and None not in found:
                expected.append(found)
                kept.append(index)
        decoded = ExampleDecoder([field], features="dict").decode(chunk(values))
        array = decoded.arrays[0][field.name]
        assert [*decoded.kept] == kept and len(decoded.faults) == len(values) - len(kept)
        expected = np.array(expected, array.dtype).reshape(-1, size)
        np.testing.assert_array_equal(array, expected)


def test_it_describes_itself():
    plan = ExampleDecoder([X, N], Key(), features="dict", missing={"n": 3}).plan()
    assert plan == DecoderPlan(
        "tf.train.Example",
        (
            FieldPlan("value", "x", "float32", (2,), "x"),
            FieldPlan("value", "n", "int32", (), "n", on_missing=3.0),
        ),
        "dict",
        FieldPlan("key", None, "float32"),
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"fields": ["x"], "label": "value"}, "ExampleDecoder: label"),
        ({"fields": ["x"], "sample_weight": "key"}, "label is not: give label= too"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises((ValueError, TypeError), match=line):
        ExampleDecoder(**arguments)
