"""Encoders: whole, there and back, bit by bit; and what others have written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.unit.properties import few
from tfkafka import (
    ArraySpec,
    Encoder,
    FunctionEncoder,
    JsonEncoder,
    ProbabilityEncoder,
    TensorEncoder,
)

FLOAT32 = np.dtype(np.float32)
DTYPES = ["float32", "float64", "int32", "int64"]
ROWS = st.integers(1, 6)
SCALAR = st.just(())
FINITE = {"allow_nan": False, "allow_infinity": False}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def numbers(dtype: str, shape=SCALAR):
    """Arrays [n, *shape] of finite numbers."""
    kind = FINITE if dtype.startswith("float") else {}
    shapes = st.builds(lambda rows, inner: (rows, *inner), ROWS, shape)
    return shapes.flatmap(lambda chosen: arrays(dtype, chosen, elements=kind))


def same(found, expected) -> bool:
    """Whether columns are equal bit by bit."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[name], expected[name]) for name in expected
        )
    return (found.dtype, found.shape, found.tobytes()) == (
        expected.dtype,
        expected.shape,
        expected.tobytes(),
    )


def back(encoder: Encoder, columns):
    """What is read of what was written."""
    values = encoder.encode(columns)
    assert all(type(value) is bytes for value in values)
    decoded = encoder.decode(values)
    assert decoded.faults == () and decoded.kept.tolist() == [*range(len(values))]
    return decoded.arrays[0]


def faults(encoder: Encoder, values) -> dict[int, str]:
    decoded = encoder.decode(values)
    found = {fault.index: fault.reason for fault in decoded.faults}
    assert decoded.kept.tolist() == [i for i in range(len(values)) if i not in found]
    assert all(len(reason.splitlines()) == 1 and len(reason) < 200 for reason in found.values())
    return found


def test_all_are_encoders():
    for encoder in (
        ProbabilityEncoder(),
        JsonEncoder(),
        TensorEncoder(),
        FunctionEncoder(list, np.array),
    ):
        assert isinstance(encoder, Encoder)


@few
@given(numbers("float32", st.sampled_from([(), (1,)])))
def test_probabilities_there_and_back(array):
    assert same(back(ProbabilityEncoder(), array), array.reshape(-1))


@few
@given(st.sampled_from(DTYPES), st.data())
def test_tensors_there_and_back(dtype, data):
    array = data.draw(numbers(dtype, array_shapes(min_dims=0, max_dims=3, max_side=4)))
    encoder = TensorEncoder(dtype, array.shape[1:])
    assert same(back(encoder, array), array)
    big = array.astype(array.dtype.newbyteorder(">"))
    assert encoder.encode(big) == encoder.encode(array) == [row.tobytes() for row in array]


@few
@given(st.sampled_from(DTYPES), st.data())
def test_json_arrays_there_and_back(dtype, data):
    array = data.draw(numbers(dtype, array_shapes(min_dims=0, max_dims=3, max_side=4)))
    encoder = JsonEncoder(dtype=dtype)
    assert same(back(encoder, array), array)
    assert [*json.loads(encoder.encode(array)[0])] == ["prediction"]


@few
@given(st.dictionaries(NAMES, st.sampled_from(DTYPES), min_size=2, max_size=4), ROWS, st.data())
def test_json_fields_there_and_back(dtypes, count, data):
    columns = {
        name: data.draw(
            arrays(
                dtype,
                st.sampled_from([(count,), (count, 3)]),
                elements=FINITE if dtype.startswith("float") else {},
            )
        )
        for name, dtype in dtypes.items()
    }
    assert same(back(JsonEncoder(dtype=dtypes), columns), columns)


@few
@given(numbers("float32", st.just((3,))), st.lists(NAMES, min_size=3, max_size=3, unique=True))
def test_json_names_and_classes_there_and_back(array, names):
    assert same(back(JsonEncoder(names), array), array)
    encoder = JsonEncoder(classes=names)
    assert same(back(encoder, array), array)
    for row, value in zip(array, encoder.encode(array), strict=True):
        written = json.loads(value)
        assert [*written] == ["class", "probabilities"]
        assert written["class"] == names[row.argmax()]


def test_json_texts_and_booleans_there_and_back():
    columns = {"label": np.array(["a\n", "é\u2028"], object), "is_hit": np.array([True, False])}
    found = back(JsonEncoder(), columns)
    assert found["label"].tolist() == ["a\n", "é\u2028"]
    assert same(found["is_hit"], columns["is_hit"])
    assert JsonEncoder().encode({"label": np.array(["x"]), "n": np.array([5])}) == [
        b'{"label":"x","n":5}'
    ]


@few
@given(numbers("float32"))
def test_json_numbers_are_the_shortest(array):
    for number, value in zip(array, JsonEncoder().encode(array), strict=True):
        (text,) = re.findall(rb"[-+.e\d]+", value.split(b":")[1])
        digits, _, _ = text.decode().partition("e")
        shortest, _, _ = np.format_float_scientific(number, unique=True).partition("e")
        only = [re.sub(r"[-.]", "", each).strip("0") for each in (digits, shortest)]
        assert only[0] == only[1]


def test_json_numbers_are_rounded_once():
    """Through float64 each of these would become its other neighbour."""
    below, above = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    with localcontext() as context:
        context.prec = 60
        middle = (Decimal(float(below)) + Decimal(float(above))) / 2
        texts = [f"{middle + Decimal('1e-25')}", f"{middle - Decimal('1e-25')}"]
    (array,) = JsonEncoder().decode([b'{"prediction": %s}' % t.encode() for t in texts]).arrays
    assert array.tolist() == [above, below]


def test_two_classes_of_one_probability():
    encoder = JsonEncoder(classes=["background", "signal"])
    expected = b'{"class":"signal","probabilities":{"background":0.25,"signal":0.75}}'
    for probabilities in ([0.75], [[0.75]], [[0.25, 0.75]]):
        array = np.array(probabilities, np.float32)
        assert encoder.encode(array) == [expected]
    assert back(encoder, array).tolist() == [[0.25, 0.75]]
    # As keras.metrics.BinaryAccuracy has it.
    (half,) = encoder.encode(np.array([0.5], np.float32))
    assert json.loads(half)["class"] == "background"


def test_nan_is_refused_by_name_or_null():
    array = np.array([[1, 2], [3, np.nan], [np.nan, 4]], np.float32)
    with pytest.raises(ValueError, match=r"^record 1 \(from 0\) is nan, one of 2 .* among 3$"):
        JsonEncoder().encode(array)
    with pytest.raises(ValueError, match=r"^record 1 \(from 0\) is inf in 'b', one of 1 "):
        JsonEncoder(nan="null").encode({"a": np.zeros(2), "b": np.array([np.nan, np.inf])})
    encoder = JsonEncoder(nan="null")
    assert encoder.encode(array)[1] == b'{"prediction":[3.0,null]}'
    assert np.array_equal(back(encoder, array), array, equal_nan=True)
    encoder = JsonEncoder(classes=["a", "b"], nan="null")
    assert json.loads(encoder.encode(array)[1]) == {
        "class": None,
        "probabilities": {"a": 3.0, "b": None},
    }
    assert np.array_equal(back(encoder, array), array, equal_nan=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_probabilities_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match=r"^record 1 \(from 0\) is (nan|inf), one of 1 "):
        ProbabilityEncoder().encode(np.array([0.5, value]))


SPEC = ArraySpec((), FLOAT32)


@pytest.mark.parametrize(
    ("encoder", "spec"),
    [
        (ProbabilityEncoder(), ArraySpec((2,), FLOAT32)),
        (ProbabilityEncoder(), ArraySpec((), np.dtype(int))),
        (ProbabilityEncoder(), {"a": SPEC}),
        (TensorEncoder(), ArraySpec((1,), FLOAT32)),
        (TensorEncoder(), ArraySpec((), np.dtype(np.float64))),
        (TensorEncoder(), ArraySpec((), np.dtype(np.int64))),
        (TensorEncoder("int64"), SPEC),
        (TensorEncoder(), {"a": SPEC}),
        (JsonEncoder(), {}),
        (JsonEncoder(), ArraySpec((-1,), FLOAT32)),
        (JsonEncoder(), ArraySpec((0,), FLOAT32)),
        (JsonEncoder(), ArraySpec((), np.dtype(np.complex64))),
        (JsonEncoder(), {"a": SPEC, "b": ArraySpec((), np.dtype("S3"))}),
        (JsonEncoder(["a", "b"]), ArraySpec((3,), FLOAT32)),
        (JsonEncoder(["a", "b"]), {"a": SPEC, "b": SPEC}),
        (JsonEncoder(classes=["a", "b", "c"]), SPEC),
        (JsonEncoder(classes=["a", "b"]), ArraySpec((3,), FLOAT32)),
        (JsonEncoder(classes=["a", "b"]), ArraySpec((2,), np.dtype(int))),
    ],
)
def test_what_cannot_be_written_whole_is_refused(encoder, spec):
    with pytest.raises(ValueError, match=type(encoder).__name__) as caught:
        encoder.check(spec)
    assert len(str(caught.value).splitlines()) == 1


NO_NUMBERS = [
    np.array([1j, 2]),
    np.array(["2026-01-01", "2026-01-02"], "M8[D]"),
    np.array([1, 2], "m8[s]"),
    np.array([b"a", b"b"]),
    np.array([(1, 2.0)] * 2, [("a", "i4"), ("b", "f4")]),
]
NO_COLUMNS = [[0.5, 1.0], 0.5, None, "0.5", np.float32(0.5), np.array(0.5), {0.5, 1.0}]


@pytest.mark.parametrize(
    "encoder",
    [ProbabilityEncoder(), TensorEncoder(), TensorEncoder("int64"), JsonEncoder()],
    ids=lambda each: type(each).__name__,
)
def test_what_is_no_array_of_numbers_is_refused_in_one_line(encoder):
    who = type(encoder).__name__
    cases = [
        (array, rf"{re.escape(array.dtype.name)} \[n\] is not .*{who}") for array in NO_NUMBERS
    ]
    cases += [(each, f"^{who}: columns is .*, must be columns: a NumPy") for each in NO_COLUMNS]
    cases += [
        (np.ma.array([0.5, 1], mask=[True, False]), f"^{who}: columns is a masked array, must"),
        ({"": np.zeros(2)}, rf"^a column of {who}: columns is '', must be text that is not empty"),
        ({"a": 5.0}, "^a is one value, must have one row a record"),
        ({"a": np.ma.array([1.0, 2])}, f"^column 'a' of {who}: columns is a masked array"),
        ({"a": [[1], [1, 2]]}, rf"^column 'a' of {who}: columns is \[\[1\], \[1, 2\]\], must be"),
    ]
    for columns, line in cases:
        with pytest.raises((ValueError, TypeError), match=line) as caught:
            encoder.encode(columns)
        assert len(str(caught.value).splitlines()) == 1


def test_objects_are_no_numbers():
    for encoder in (ProbabilityEncoder(), TensorEncoder()):
        with pytest.raises(ValueError, match=r"^object \[n\] is not"):
            encoder.encode(np.array([0.5, None], object))


@pytest.mark.parametrize("wrong", NO_NUMBERS)
def test_the_column_that_json_cannot_hold_is_named(wrong):
    columns = {"right": np.zeros(2), "wrong": wrong, "more": np.zeros(2)}
    line = rf"^column 'wrong': {re.escape(wrong.dtype.name)} \[n\] is not what JsonEncoder writes: "
    with pytest.raises(ValueError, match=line):
        JsonEncoder().encode(columns)


def test_names_that_would_not_be_read_back_are_refused():
    array = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="must be the array itself, or have another name"):
        JsonEncoder().encode({"prediction": array})
    with pytest.raises(ValueError, match="must be arrays that have names"):
        JsonEncoder().check({"": SPEC, "a": SPEC})
    for columns in ({"prediction": array, "more": array}, {"a": array}, {"class": array}):
        assert same(back(JsonEncoder(), columns), columns)
    assert faults(JsonEncoder(), [b'{"": 1}', b'{"a": 1, "": 1}']) == dict.fromkeys(
        range(2), "has a field without a name"
    )
    # Others may write anything; with names, more fields do not matter.
    assert JsonEncoder(["a"]).decode([b'{"a": 1, "": 1}']).arrays[0].tolist() == [[1]]


def test_what_is_no_text_is_refused_by_number():
    for entry in (5, None, b"x", np.nan):
        with pytest.raises(ValueError, match=r"^record 1 \(from 0\) is .* in 'a', must be text"):
            JsonEncoder().encode({"a": np.array(["x", entry], object)})
    with pytest.raises(ValueError, match=r"a\[1\] is '\\ud800', must be text that UTF-8"):
        JsonEncoder().encode({"a": np.array(["x", "\ud800"], object)})


IN_A_CHILD = """
import os, sys
import numpy as np
from tfkafka import JsonEncoder, ProbabilityEncoder
numbers = np.full(10_000, 0.25, np.float32)
for encoder in (JsonEncoder(), ProbabilityEncoder()):
    encoder.encode(numbers)
    if not (child := os.fork()):
        os._exit(len(encoder.encode(numbers[:7])))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_encodes_probabilities_and_is_refused_what_needs_threads():
    command = [sys.executable, "-c", IN_A_CHILD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "7"] and "JsonEncoder uses polars" in done.stderr
    assert "ProbabilityEncoder" not in done.stderr


def test_no_rows():
    assert JsonEncoder().encode(np.zeros((0, 3))) == []
    assert TensorEncoder().encode(np.zeros(0, np.float32)) == []
    assert ProbabilityEncoder().encode(np.zeros((0, 1))) == []
    for encoder in (
        JsonEncoder(),
        TensorEncoder("float32", (2,)),
        ProbabilityEncoder(),
        FunctionEncoder(list, np.array),
    ):
        decoded = encoder.decode([])
        assert len(decoded.arrays[0]) == len(decoded.kept) == 0


ONE = b'{"prediction": 1.5}'
WRITTEN_BY_OTHERS = [
    (None, "is null"),
    (b"", "is empty"),
    (b" ", "is not JSON"),
    (b"1.5", "is not a JSON object"),
    (b"[1.5]", "is not a JSON object"),
    (b"null", "is not a JSON object"),
    (b"{}", "has no fields"),
    (b'{"p": 1.5}', 'field "prediction" is missing'),
    (b'{"prediction": "1.5"}', 'field "prediction" is a text, must be a number'),
    (b'{"prediction": true}', 'field "prediction" is a boolean, must be a number'),
    (b'{"prediction": [1.5]}', r'field "prediction" is a number \[1\], must be a number'),
    (b'{"prediction": []}', 'field "prediction" has an empty list'),
    (b'{"prediction": [1, "x"]}', 'field "prediction" has values of different types'),
    (b'{"prediction": [[1], [1, 2]]}', 'field "prediction" has values of different types'),
    (b'{"prediction": {"x": 1}}', 'field "prediction" is an object'),
    (b'{"prediction": null}', 'field "prediction" is null'),
    (b'{"prediction": NaN}', "is not JSON: NaN"),
    (b'{"prediction": Infinity}', "is not JSON: Infinity"),
    (b'{"prediction": 1e39}', 'field "prediction" does not fit float32'),
    (b'{"prediction": %s}' % (b"9" * 5000), 'field "prediction" does not fit float32'),
    (b'{"prediction": 1.5', "is not JSON"),
    (ONE + ONE, "is not JSON"),
    (ONE + b"\n" + ONE, "is not JSON"),
    (b"\xef\xbb\xbf" + ONE, "is not JSON"),
    (b'{"prediction": 1.5, "prediction": 2}', "has a field twice"),
    (b'{"prediction": 1.5, "more": 2}', 'field "more" is in few records'),
    (b'{"prediction": "\xff"}', "is not UTF-8"),
    (b'{"prediction": "\\ud800"}', "is not UTF-8"),
    (b'{"prediction": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "is nested too deeply"),
    (
        b'{"prediction": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}",
        'field "prediction" is nested too deeply',
    ),
    ('{"prediction": 1.5}'.encode("utf-16"), "is not UTF-8|is not JSON"),
]


@pytest.mark.parametrize(("value", "reason"), WRITTEN_BY_OTHERS)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_what_others_wrote_is_a_fault_at_its_place(value, reason, place):
    values = [ONE] * 5
    values[place] = value
    ((index, found),) = faults(JsonEncoder(), values).items()
    assert index == place and re.match(reason, found)


def test_all_of_what_others_wrote():
    values = [value for value, _ in WRITTEN_BY_OTHERS]
    rights = [ONE] * len(values)
    mixed = [each for pair in zip(values, rights, strict=True) for each in pair]
    assert [*faults(JsonEncoder(), mixed)] == [*range(0, len(mixed), 2)]
    bad = [None, b"", b"x", b"\xff", b"[]", b"{}", b'{"a": {}}']
    for encoder in (JsonEncoder(), JsonEncoder(["a"]), JsonEncoder(classes=["a", "b"])):
        assert len(faults(encoder, bad)) == len(bad)


def test_numbers_of_others_are_read_as_the_type_that_was_asked_for():
    values = [b'{"n": 3, "x": 3}', b'{"x": 1E0, "n": -7, "n2": 0}', b' {"x": 0.5 ,\n"n": 2}']
    found = JsonEncoder(dtype={"n": "int64"}).decode([values[0], values[2]]).arrays[0]
    assert found["n"].tolist() == [3, 2] and found["n"].dtype == np.int64
    assert found["x"].tolist() == [3, 0.5] and found["x"].dtype == np.float32
    values = [b'{"n": 1.0}', b'{"n": 1}', b'{"n": 99999999999999999999}']
    assert [*faults(JsonEncoder(dtype={"n": "int64"}), values)] == [0, 2]


def test_names_and_classes_of_others():
    values = [b'{"a": 1, "b": 2, "c": 3}', b'{"a": 1}', b'{"a": "1", "b": 2}', b'{"b": 1, "a": 0}']
    found = faults(JsonEncoder(["a", "b"]), values)
    assert [*found] == [1, 2] and found[1] == 'field "b" is missing'
    assert JsonEncoder(["a", "b"]).decode(values).arrays[0].tolist() == [[1, 2], [0, 1]]
    classes = [
        b'{"class": "a", "probabilities": {"a": 1, "b": 0}}',
        b'{"class": "a", "probabilities": [1, 0]}',
        b'{"class": "a", "probabilities": {"a": 1}}',
        b'{"class": "a"}',
    ]
    assert [*faults(JsonEncoder(classes=["a", "b"]), classes)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("encoder", "right", "wrong"),
    [
        (ProbabilityEncoder(), b"0.5", [None, b"", b"x", b"1,2", b"1\n2", b"\xff"]),
        (TensorEncoder(), b"\0\0\0\0", [None, b"", b"\0\0\0", b"\0\0\0\0\0", b"\0" * 8]),
        (
            FunctionEncoder(list, lambda values: np.array([int(each) for each in values])),
            b"7",
            [None, b"", b"x", b"\xff"],
        ),
    ],
)
def test_faults_at_every_place(encoder, right, wrong):
    for value in wrong:
        for place in (0, 2, 4):
            values = [right] * 5
            values[place] = value
            assert [*faults(encoder, values)] == [place]
    assert [*faults(encoder, wrong)] == [*range(len(wrong))]
    # Too short and too long by the same.
    if isinstance(encoder, TensorEncoder):
        assert [*faults(encoder, [right, b"\0" * 3, b"\0" * 5, right])] == [1, 2]


def test_probabilities_are_no_whole_numbers():
    with pytest.raises(ValueError, match=r"^JsonEncoder: dtype is 'int32', must be one of"):
        JsonEncoder(classes=["a", "b"], dtype="int32")


def test_what_a_function_raises_is_one_kind_of_fault_except_a_lack_of_memory():
    def refuse(_values):
        raise error

    encoder, error = FunctionEncoder(list, refuse), ValueError("a" * 1000)
    (fault,) = encoder.decode([b"x"]).faults
    assert fault.kind == "raised ValueError" and len(fault.reason) < 300
    error = MemoryError()
    with pytest.raises(MemoryError):
        encoder.decode([b"x"])


def test_functions():
    encoder = FunctionEncoder(
        lambda columns: [
            json.dumps([float(a), int(b)]).encode() for a, b in zip(*columns.values(), strict=True)
        ],
        lambda values: dict(
            zip(("a", "b"), np.array([json.loads(each) for each in values]).T, strict=True)
        ),
    )
    columns = {"a": np.array([0.5, 1.5]), "b": np.array([1.0, 2.0])}
    assert same(back(encoder, columns), columns)
    assert faults(encoder, [b"[1, 2]", b"[", b"[3, 4]", None])[1].startswith(
        "raised JSONDecodeError: "
    )
    with pytest.raises(ValueError, match="decode returned 1 rows for 2 values"):
        FunctionEncoder(list, lambda values: np.zeros(1)).decode([b"1", b"2"])


@few
@given(st.lists(st.binary(max_size=30) | st.none(), max_size=6), st.data())
def test_nothing_that_is_read_raises(junk, data):
    """Also of what was damaged on its way."""
    for encoder, array in (
        (JsonEncoder(), np.array([0.5, -1e-9, 3], np.float32)),
        (JsonEncoder(classes=["a", "b"]), np.array([[0.5, 0.5], [0.1, 0.9]], np.float32)),
        (JsonEncoder(["a", "é"], nan="null"), np.array([[np.nan, 1], [2, 3]])),
        (ProbabilityEncoder(), np.array([0.5, 1e-30])),
        (TensorEncoder("float64", (2,)), np.array([[0.5, 1e-30]])),
    ):
        values = encoder.encode(array)
        chosen = data.draw(st.sampled_from(values))
        at, value = data.draw(st.integers(0, len(chosen))), data.draw(st.binary(max_size=2))
        for cut in (0, 1):
            faults(encoder, [*values, *junk, chosen[:at] + value + chosen[at + cut :]])
