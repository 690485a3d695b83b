"""Each listed operation, on odd values: for a batch the same to the bit as for one record."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import tensorflow as tf

from tests.unit.tfio.comparing import compare, is_lifted
from tfkafka.tfio.operations import OPERATIONS

NAN = np.frombuffer(b"\x00\x00\xc0\x7f\x00\x00\xc0\xff", np.float32)
FLOATS = np.array(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 0.1, 7e-3, 3e38, -3e38, 1e-38, 1e-40, -1e-40),
        *(np.inf, -np.inf, *NAN, 2.0**31, -(2.0**31), 2.0**63, 16777217.0),
    ],
    np.float32,
)
INTS = np.array([0, 1, -1, 2, 7, -7, 255, 2**31 - 1, -(2**31)], np.int32)
TEXTS = np.array([b"", b"x", b" Ab c ", b"1.5", b"\xc3\xa9", b"a,b", b"nan", b"\x00\xff"], object)
NUMBERS = np.array([b"1.5", b"-0", b"nan", b"-nan", b"1e-40", b"inf", b"0x10", b" 7 ", b"x", b""])


def columns(values, parts: int = 1):
    """All pairs of values, as scalars and as vectors of which some entries fill a vector register.

    Each record is (one, other, vector of one, vector of the other).
    """
    pairs = np.array(list(product(values, repeat=2)), values.dtype)
    one, other = pairs[:, 0], pairs[:, 1]
    vectors = [np.stack([np.roll(each, shift) for shift in range(19)], 1) for each in (one, other)]
    return (one, other, *vectors)


def unary(function):
    return lambda a, b, c, d: (function(a), function(c))


def binary(function):
    """Of scalars, of vectors, and of a scalar and a vector."""
    return lambda a, b, c, d: (function(a, b), function(c, d), function(a, d), function(c, b))


def beside_constants(function, values):
    """Of a constant, and of one that is no part of the graph, with scalars and vectors."""
    known = values[np.isfinite(values) & (abs(values) > 0.1)]
    some = np.resize(known, 19)
    captured = tf.constant(some)

    def functions(a, b, c, d):
        return (
            *(function(a, known[3]), function(known[3], d), function(c, known[4])),
            *(function(c, some), function(captured, d), function(b, captured), function(some, a)),
        )

    return functions


def named(name):
    """The operation of that name, of one argument or two."""
    operation = getattr(tf.raw_ops, name)
    return lambda x, *y: operation(x=x, y=y[0]) if y else operation(x=x)


def failing(function):
    """Of vectors alone: of two operations that fail, either may be the one that is named."""
    return lambda a, b, c, d: function(c)


def alike(function):
    """Of scalars, and of vectors."""
    return lambda a, b, c, d: (function(a, b), function(c, d))


raw = tf.raw_ops
FLOAT_UNARY = ("Abs", "Floor", "Ceil", "Round", "Rint", "IsNan", "IsInf", "IsFinite", "Neg")
CASES = {
    **{name: (unary(named(name)), FLOATS) for name in FLOAT_UNARY},
    "Square": (unary(lambda x: raw.Square(x=x)), FLOATS),
    "ZerosLike": (unary(lambda x: raw.ZerosLike(x=x)), FLOATS),
    "OnesLike": (unary(lambda x: raw.OnesLike(x=x)), FLOATS),
    "Identity": (unary(tf.identity), FLOATS),
    "StopGradient": (unary(tf.stop_gradient), FLOATS),
    "PreventGradient": (unary(lambda x: raw.PreventGradient(input=x)), FLOATS),
    "LogicalNot": (unary(lambda x: ~(x > 0)), FLOATS),
    **{
        name: (binary(named(name)), FLOATS)
        for name in (
            *("Sub", "RealDiv", "Div", "DivNoNan", "FloorDiv", "FloorMod", "SquaredDifference"),
            *("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"),
        )
    },
    **{name: (alike(named(name)), FLOATS) for name in ("Add", "AddV2", "Mul")},
    **{
        name: (binary(named(name)), INTS)
        for name in (
            "Maximum",
            "Minimum",
            "TruncateDiv",
            "TruncateMod",
            "BitwiseAnd",
            "BitwiseOr",
            "BitwiseXor",
        )
    },
    "LogicalAnd": (binary(lambda x, y: (x > 0) & (y > 0)), FLOATS),
    "LogicalOr": (binary(lambda x, y: (x > 0) | (y > 0)), FLOATS),
    "SelectV2": (binary(lambda x, y: tf.where(x > y, x, y)), FLOATS),
    "Cast": (
        unary(lambda x: tuple(tf.cast(x, to) for to in (tf.float64, tf.int32, tf.int64, tf.bool))),
        FLOATS,
    ),
    "AsString": (unary(tf.strings.as_string), FLOATS),
    "StringLower": (unary(tf.strings.lower), TEXTS),
    "StringUpper": (unary(lambda x: tf.strings.upper(x, "utf-8")), TEXTS[:-1]),
    "StringStrip": (unary(tf.strings.strip), TEXTS),
    "StringLength": (unary(tf.strings.length), TEXTS),
    "StaticRegexReplace": (unary(lambda x: tf.strings.regex_replace(x, "[a-z]", "_")), TEXTS),
    "StaticRegexFullMatch": (unary(lambda x: tf.strings.regex_full_match(x, "[a-z]+")), TEXTS),
    "RegexReplace": (
        unary(lambda x: raw.RegexReplace(input=x, pattern="[a-z]", rewrite="_")),
        TEXTS,
    ),
    "RegexFullMatch": (unary(lambda x: raw.RegexFullMatch(input=x, pattern="[a-z]+")), TEXTS),
    "EncodeBase64": (unary(tf.io.encode_base64), TEXTS),
    "DecodeBase64": (failing(tf.io.decode_base64), TEXTS),
    "Substr": (failing(lambda x: tf.strings.substr(x, 0, 1)), TEXTS),
    "StringToHashBucketFast": (unary(lambda x: tf.strings.to_hash_bucket_fast(x, 7)), TEXTS),
    "StringToHashBucketStrong": (
        unary(lambda x: tf.strings.to_hash_bucket_strong(x, 7, [1, 2])),
        TEXTS,
    ),
    "StringToHashBucket": (unary(lambda x: tf.strings.to_hash_bucket(x, 7)), TEXTS),
    "StringToNumber": (failing(tf.strings.to_number), NUMBERS),
    "StringJoin": (
        lambda a, b, c, d: (tf.strings.join([a, "-", b]), raw.StringJoin(inputs=[c, d])),
        TEXTS,
    ),
    "DecodeCSV": (failing(lambda x: tf.io.decode_csv(x, [[b""], [1.5]])[0]), TEXTS),
    "Reshape": (lambda a, b, c, d: tf.reshape(tf.stack([c, d]), [19, -1]), FLOATS),
    "Squeeze": (lambda a, b, c, d: tf.squeeze(tf.reshape(c, [1, 19, 1]), [2]), FLOATS),
    "ExpandDims": (lambda a, b, c, d: (tf.expand_dims(a, 0), tf.expand_dims(c, -1)), FLOATS),
    "EnsureShape": (lambda a, b, c, d: tf.ensure_shape(c, [19]), FLOATS),
    "Pack": (lambda a, b, c, d: (tf.stack([a, 2.0, b]), tf.stack([c, d], -1)), FLOATS),
    "Unpack": (
        lambda a, b, c, d: (tf.unstack(c)[3], tf.unstack(tf.stack([c, d]), axis=-1)[1]),
        FLOATS,
    ),
    "ConcatV2": (lambda a, b, c, d: (tf.concat([c, [1.0], d], 0), tf.concat([c, d], -1)), FLOATS),
    "Split": (lambda a, b, c, d: tf.split(tf.concat([c, d], 0), 2)[1], FLOATS),
    "SplitV": (lambda a, b, c, d: tf.split(c, [4, 15], axis=-1)[1], FLOATS),
    "Transpose": (lambda a, b, c, d: tf.transpose(tf.stack([c, d])), FLOATS),
    "Slice": (lambda a, b, c, d: (tf.slice(c, [3], [-1]), tf.slice(d, [0], [2])), FLOATS),
    "StridedSlice": (
        lambda a, b, c, d: (
            *(c[3], c[-2:], c[::-3], c[tf.newaxis, 1:5], c[..., 2]),
            *(tf.stack([c, d])[1, 2:-1], tf.stack([c, d])[..., tf.newaxis, 4], a[tf.newaxis]),
        ),
        FLOATS,
    ),
    "GatherV2": (
        lambda a, b, c, d: (
            tf.gather(c, [3, 1]),
            tf.gather(tf.stack([c, d]), 1, axis=-1),
            tf.gather(tf.constant([5.0, 6.0]), tf.cast(a > b, tf.int32)),
        ),
        FLOATS,
    ),
    "OneHot": (
        lambda a, b, c, d: (tf.one_hot(a, 3), tf.one_hot(c, 3, axis=0), tf.one_hot(d, 2, 9, 8)),
        INTS,
    ),
}


WITH_CONSTANTS = (
    *("Add", "AddV2", "Sub", "Mul", "Div", "FloorDiv", "FloorMod"),
    *("Maximum", "Minimum", "SquaredDifference", "Less", "Equal"),
)
OF_FLOATS = ("RealDiv", "DivNoNan")


def test_each_listed_operation_has_a_case():
    assert {*CASES} == {*OPERATIONS}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_has_the_bits_of_its_records(name, monkeypatch):
    function, values = CASES[name]
    batches, found = compare(
        lambda records: records.map(function).batch(64), columns(values), monkeypatch
    )
    assert is_lifted(batches) and found


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *product(WITH_CONSTANTS, (np.float32, np.float64, np.int32, np.int64)),
        *product(OF_FLOATS, (np.float32, np.float64)),
    ],
)
def test_a_batch_beside_constants_has_the_bits_of_its_records(name, dtype, monkeypatch):
    values = FLOATS.astype(dtype) if dtype(0.5) else INTS.astype(dtype)
    function = beside_constants(named(name), values)
    batches, found = compare(
        lambda records: records.map(function).batch(64), columns(values), monkeypatch
    )
    assert is_lifted(batches) and found


@pytest.mark.parametrize("name", ["Maximum", "Add", "Mul", "Sign"])
def test_what_depends_on_the_place_is_left_alone(name, monkeypatch):
    """A sum of a scalar and a vector of which both are nan; the greater of 0.0 and -0.0."""
    function = unary(tf.sign) if name == "Sign" else binary(named(name))
    batches, _ = compare(
        lambda records: records.map(function).batch(64), columns(FLOATS), monkeypatch
    )
    assert not is_lifted(batches)
