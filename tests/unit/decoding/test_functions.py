"""A function as a decoder."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.unit.messages import chunk, fill, message
from tfkafka.decoding.base import ArraySpec, Decoder, needs_headers
from tfkafka.decoding.functions import FunctionDecoder
from tfkafka.decoding.sources import Header, Key

NUMBER = ArraySpec((), np.dtype(np.float32))
PAIR = ArraySpec((2,), np.dtype(np.float32))


def numbers(values):
    return np.array([float(value) for value in values], np.float32)


def pairs(values):
    return np.stack([numbers(values), numbers(values)], axis=1)


def test_an_array_a_dict_and_a_tuple():
    both = FunctionDecoder(
        lambda values: ({"a": numbers(values), "b": pairs(values)}, numbers(values)),
        ({"a": NUMBER, "b": tf.TensorSpec([2], tf.float32)}, NUMBER),
    )
    assert isinstance(both, Decoder) and both.element_spec == ({"a": NUMBER, "b": PAIR}, NUMBER)
    decoded = both.decode(chunk([b"1", b"x", b"3"]))
    features, label = decoded.arrays
    assert features["b"].tolist() == [[1, 1], [3, 3]] and label.tolist() == [1, 3]
    assert decoded.kept.tolist() == [0, 2]
    single = FunctionDecoder(numbers, NUMBER)
    assert single.decode(chunk([b"5"])).arrays[0].tolist() == [5]
    tensors = FunctionDecoder(lambda values: tf.strings.to_number(values), NUMBER)
    assert tensors.decode(chunk([b"5", b"y"])).arrays[0].tolist() == [5]


def test_text_may_be_returned():
    decoder = FunctionDecoder(np.array, tf.TensorSpec([], tf.string))
    assert decoder.decode(chunk([b"a", b"bc"])).arrays[0].tolist() == [b"a", b"bc"]


@pytest.mark.parametrize("bad", [[0], [50], [99], [0, 99], [49, 50], list(range(100)), []])
def test_bad_records_are_found_wherever_they_are(bad):
    values = [b"x\ny" if index in bad else b"%d" % index for index in range(100)]
    decoded = FunctionDecoder(pairs, PAIR).decode(chunk(values))
    right = [index for index in range(100) if index not in bad]
    assert decoded.kept.tolist() == right and decoded.arrays[0][:, 1].tolist() == right
    assert decoded.arrays[0].shape == (len(right), 2) and decoded.arrays[0].dtype == np.float32
    assert [fault.index for fault in decoded.faults] == bad
    for fault in decoded.faults:
        assert fault.reason == r"raised ValueError: could not convert string to float: b'x\ny'"
        assert fault.kind == "raised ValueError"


def test_reasons_are_one_short_line():
    def fail(values):
        raise KeyError("a\nb" * 500) if values[0] == b"long" else RuntimeError

    decoded = FunctionDecoder(fail, NUMBER).decode(chunk([b"long", b"none"]))
    long, none = (fault.reason for fault in decoded.faults)
    assert len(long.splitlines()) == 1 and len(long) < 250
    assert none == "raised RuntimeError"


def test_null_never_reaches_the_function():
    seen = []

    def note(values):
        seen.extend(values)
        return numbers(values)

    decoded = FunctionDecoder(note, NUMBER).decode(chunk([None, b"1", None, b"x"]))
    assert None not in seen and decoded.kept.tolist() == [1]
    assert [(fault.index, fault.reason[:10]) for fault in decoded.faults] == [
        (0, "is null"),
        (2, "is null"),
        (3, "raised Val"),
    ]
    assert not FunctionDecoder(numbers, NUMBER).decode(chunk([None])).arrays[0].size
    assert FunctionDecoder(note, NUMBER).decode(chunk([])).arrays[0].shape == (0,)


def test_labels_and_weights_outside_of_the_value():
    decoder = FunctionDecoder(pairs, PAIR, Key(classes=["u", "v"]), Header("w"))
    assert needs_headers(decoder) and len(decoder.element_spec) == 3
    weight = [("w", b"0.5")]
    decoded = decoder.decode(
        fill(
            message(value, key, offset=offset, headers=weight)
            for offset, (value, key) in enumerate(
                [(b"1", b"v"), (b"x", b"u"), (b"3", b"q"), (None, b"u"), (b"5", b"u")]
            )
        )
    )
    features, label, weights = decoded.arrays
    assert features[:, 0].tolist() == [1, 5] and label.tolist() == [1, 0]
    assert weights.tolist() == [0.5, 0.5] and decoded.kept.tolist() == [0, 4]
    assert [(fault.index, fault.reason[:20]) for fault in decoded.faults] == [
        (1, "raised ValueError: c"),
        (2, "label: is none of th"),
        (3, "is null"),
    ]
    inner = FunctionDecoder(
        lambda values: (pairs(values), numbers(values)), (PAIR, NUMBER), sample_weight=Key()
    )
    records = chunk([b"1", b"2"], [b"7", b"x"])
    assert [array.tolist() for array in inner.decode(records).arrays] == [[[1, 1]], [1], [7]]


@pytest.mark.parametrize(
    ("fn", "spec", "line"),
    [
        (lambda v: numbers(v)[1:], NUMBER, "float32 (2,) as features, must return float32 (3,)"),
        (pairs, NUMBER, "float32 (3, 2) as features, must return float32 (3,)"),
        (lambda v: list(map(float, v)), NUMBER, "float64 (3,) as features"),
        (lambda v: [[1], [1, 2], []], NUMBER, "no array as features"),
        (lambda v: None, NUMBER, "object () as features"),
        (lambda v: (numbers(v), numbers(v)), NUMBER, "2 parts, must return 1: features"),
        (numbers, (NUMBER, NUMBER), "1 parts, must return 2: features, label"),
        (numbers, {"a": NUMBER}, "ndarray as features, must return a dict with the keys ['a']"),
        (lambda v: {"b": numbers(v)}, {"a": NUMBER}, "['b'] as features"),
        (lambda v: {"a": pairs(v)}, {"a": NUMBER}, "as features 'a', must return float32 (3,)"),
    ],
)
def test_what_the_function_returns_is_its_own_fault(fn, spec, line):
    decoder = FunctionDecoder(fn, spec)
    with pytest.raises(ValueError) as caught:
        decoder.decode(chunk([b"1", b"2", b"3"]))
    text = str(caught.value)
    assert text.startswith("FunctionDecoder: fn returned ") and line in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_no_fault_of_a_record_passes_through(error):
    def fail(values):
        raise error

    with pytest.raises(error):
        FunctionDecoder(fail, NUMBER).decode(chunk([b"1", b"2"]))


@pytest.mark.parametrize(
    ("make", "error", "line"),
    [
        (lambda: FunctionDecoder(5, NUMBER), TypeError, "fn is 5, must be a function"),
        (lambda: FunctionDecoder(numbers, 5), TypeError, "element_spec is 5, must be an ArraySpec"),
        (lambda: FunctionDecoder(numbers, {}), TypeError, "element_spec is {}"),
        (lambda: FunctionDecoder(numbers, ()), TypeError, "element_spec is ()"),
        (lambda: FunctionDecoder(numbers, (NUMBER,) * 4), TypeError, "element_spec is "),
        (lambda: FunctionDecoder(numbers, {5: NUMBER}), TypeError, "element_spec is 5"),
        (
            lambda: FunctionDecoder(numbers, tf.TensorSpec([None], tf.int64)),
            TypeError,
            "a shape whose lengths are known",
        ),
        (
            lambda: FunctionDecoder(numbers, tf.TensorSpec(None, tf.int64)),
            TypeError,
            "element_spec is ",
        ),
        (
            lambda: FunctionDecoder(numbers, (NUMBER, NUMBER), Key()),
            ValueError,
            "label is given, and element_spec has one too",
        ),
        (
            lambda: FunctionDecoder(numbers, (NUMBER,) * 3, sample_weight=Key()),
            ValueError,
            "sample_weight is given, and element_spec has one too",
        ),
        (lambda: FunctionDecoder(numbers, NUMBER, sample_weight=Key()), ValueError, "label is not"),
    ],
)
def test_wrong_arguments_are_refused(make, error, line):
    with pytest.raises(error) as caught:
        make()
    text = str(caught.value)
    assert line in text and "FunctionDecoder: " in text and len(text.splitlines()) == 1
