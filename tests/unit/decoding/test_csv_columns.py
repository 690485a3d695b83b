"""CSV records with named columns, text, labels within the value, and missing values."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfkafka
from tests.unit.messages import chunk
from tests.unit.properties import few
from tfkafka.decoding.base import ArraySpec, only_finite
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Column, Header, Key
from tfkafka.reading.manifest import describe_decoder

pytestmark = pytest.mark.usefixtures("parser")

FLOAT32 = np.dtype(np.float32)
NAMES = ["process", "met", "mass", "weight"]
CLASSES = ["background", "signal"]
LABELLED = CsvDecoder(NAMES, Column("process", classes=CLASSES), sample_weight=Column("weight"))
GOOD = [b"signal,1,2,0.5", b"background,3,4,1.5"]
# How many rows are tried: whole chunks are parsed in another way than rows among odd ones.
LENGTHS = [1, 2, 200]


def faults(decode, values):
    return {each.index: each.reason for each in decode.decode(chunk(values)).faults}


def test_label_and_weight_are_columns():
    features, label, weight = LABELLED.decode(chunk(GOOD)).arrays
    assert features.tolist() == [[1, 2], [3, 4]] and features.dtype == np.float32
    assert label.tolist() == [1, 0] and label.dtype == np.int64
    assert weight.tolist() == [0.5, 1.5] and weight.dtype == np.float32
    assert LABELLED.element_spec == (
        ArraySpec((2,), FLOAT32),
        ArraySpec((), np.dtype(np.int64)),
        ArraySpec((), FLOAT32),
    )
    assert not LABELLED.needs_headers


def test_features_are_selected_in_the_order_given():
    by_name = CsvDecoder(NAMES, select=["weight", "met"])
    by_number = CsvDecoder(4, select=[3, 1])
    for decode in (by_name, by_number, CsvDecoder(NAMES, select=[3, "met"])):
        [features] = decode.decode(chunk([b'"a ""b"", c",1,,0.5', b"\xff\xfe,2,x,3"])).arrays
        assert features.tolist() == [[0.5, 1], [3, 2]]


def test_a_dict_has_one_array_for_each_feature():
    decode = CsvDecoder(NAMES, Column(0, classes=CLASSES), features="dict", select=["mass", "met"])
    assert list(decode.element_spec[0].items()) == [
        ("mass", ArraySpec((), FLOAT32)),
        ("met", ArraySpec((), FLOAT32)),
    ]
    features, _ = decode.decode(chunk([*GOOD, b"muon,1,2,3"])).arrays
    assert {name: each.tolist() for name, each in features.items()} == {
        "mass": [2, 4],
        "met": [1, 3],
    }


@pytest.mark.parametrize(
    ("dtype", "text", "found"),
    [
        ("int64", b"9007199254740993", 2**53 + 1),
        ("int32", b" 7", 7),
        ("float64", b"0.1", 0.1),
        ("float32", b'"2.5"', 2.5),
    ],
)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_label_column_has_the_type_that_is_asked_for(dtype, text, found, length):
    decode = CsvDecoder(3, Column(1, dtype=dtype))
    _, label = decode.decode(chunk([b"1," + text + b",2"] * length)).arrays
    assert label.tolist() == [found] * length and label.dtype == dtype


EMPTY = [b"", b'""', b" ", b'" \t"']


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("finite", [None, True])
def test_missing_values_are_nan_or_a_number_where_that_is_asked_for(empty, place, length, finite):
    fields = [b"1", b"2", b"3"]
    fields[place] = empty
    values = [b"4,5,6"] * (length - 1) + [b",".join(fields)]
    assert faults(CsvDecoder(3), values) == {length - 1: f"column {place} (from 0) is empty"}
    for missing, found in (("nan", math.nan), ({place: 7.5}, 7.5)):
        decoded = CsvDecoder(3, finite=finite, missing=missing).decode(chunk(values))
        expected = np.array([4, 5, 6] * (length - 1) + [1, 2, 3], np.float32).reshape(-1, 3)
        expected[-1, place] = found
        np.testing.assert_array_equal(decoded.arrays[0], expected)
        assert decoded.faults == ()
    others = {number: 0.0 for number in range(3) if number != place}
    assert length - 1 in faults(CsvDecoder(3, missing=others), values)


@pytest.mark.parametrize("missing", ["nan", {"a": 1.0}])
@pytest.mark.parametrize("empty", [b"", *EMPTY])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_only_column_may_be_missing_too(missing, empty, length):
    values = [empty] * length
    [features] = CsvDecoder(["a"], missing=missing).decode(chunk(values)).arrays
    assert len(features) == length and set(map(str, features[:, 0])) <= {"nan", "1.0"}
    assert faults(CsvDecoder(["a"], missing=missing), [None]) == {0: "is null"}


def test_a_nan_in_the_record_is_not_a_missing_value():
    decode = only_finite(CsvDecoder(NAMES[1:], missing="nan"))
    values = [b",2,3", b"nan,2,3", b"1,,inf", b"1,2,3"]
    decoded = decode.decode(chunk(values))
    assert [(each.index, each.reason) for each in decoded.faults] == [
        (1, "column \"met\" is not finite as float32: b'nan'"),
        (2, "column \"weight\" is not finite as float32: b'inf'"),
    ]
    np.testing.assert_array_equal(decoded.arrays[0], [[np.nan, 2, 3], [1, 2, 3]])
    filled = CsvDecoder(3, finite=True, missing={1: 5}).decode(chunk([b"1,,3", b"1,nan,3"]))
    assert filled.arrays[0].tolist() == [[1, 5, 3]] and len(filled.faults) == 1


MISPLACED = "has a quote or a line end in the wrong place"
WRONG = [
    (b"muon,1,2,3", "label: column \"process\" is none of the classes: b'muon'", "none of the"),
    (b"\xff\xfe,1,2,3", "label: column \"process\" is none of the classes: b'\\xff\\xfe'", "none"),
    (b"signal ,1,2,3", "label: column \"process\" is none of the classes: b'signal '", "none of"),
    (b",1,2,3", 'label: column "process" is empty', "is empty"),
    (b"signal,1,2,", 'sample_weight: column "weight" is empty', "is empty"),
    (b"signal,1,2,x", "sample_weight: column \"weight\" is not a number: b'x'", "not a number"),
    (b"signal,x,2,3", "column \"met\" is not a number: b'x'", "is not a number"),
    (b"signal,1,2", "has 3 columns instead of 4", "has 3 columns"),
    (b"signal,1,2,", 'sample_weight: column "weight" is empty', "is empty"),
    (b"signal,1,2,3,", "has 5 columns instead of 4", "has 5 columns"),
    (b'"signal,1",2,3', "has 3 columns instead of 4", "has 3 columns"),
    (b'"signal,1,2,3', f'label: column "process" {MISPLACED}: b\'"signal,1,2,3\'', "wrong"),
    (b'signal,1,2,3,"', f"column 4 (from 0) {MISPLACED}: b'\"'", "wrong"),
    (b"", "is empty", "is empty"),
    (None, "is null", "is null"),
    (b"\xef\xbb\xbfsignal,1,2,3", 'label: column "process" is none of the classes', "none"),
    (b"x^,1,2,3", "label: column \"process\" is none of the classes: b'x^'", "none"),
    (b"signal,1," + b"7x" * 50 + b",3", f'column "mass" is not a number: {b"7x" * 20!r}', "not"),
]


@pytest.mark.parametrize(("value", "reason", "kind"), WRONG)
@pytest.mark.parametrize(("place", "length"), [(0, 1), (0, 200), (99, 200), (199, 200)])
def test_a_bad_record_is_found_by_name_wherever_it_is(value, reason, kind, place, length):
    values = [GOOD[0]] * length
    values[place] = value
    decoded = LABELLED.decode(chunk(values))
    [fault] = decoded.faults
    assert fault.index == place and fault.reason.startswith(reason), fault.reason
    assert kind in fault.kind and "b'" not in fault.kind
    assert decoded.arrays[1].tolist() == [1] * (length - 1)


@pytest.mark.parametrize(("value", "reason", "kind"), WRONG)
def test_all_of_a_chunk_may_be_bad(value, reason, kind):
    decoded = LABELLED.decode(chunk([value] * 70))
    assert len(decoded.faults) == 70 and {len(each) for each in decoded.arrays} == {0}
    assert decoded.arrays[0].shape == (0, 2)


@pytest.mark.parametrize(
    "pair",
    [
        [b"signal,1,2", b"signal,1,2,3,4"],
        [b"signal,1,2,3\nsignal,1,2,3", b""],
        [b"signal,1,2,3\nsignal", b"1,2,3"],
        [b'signal,1,2,"3', b'"signal,1,2,3'],
        [b"signal,1,2,3,signal", b"1,2,3"],
    ],
)
@pytest.mark.parametrize("missing", ["bad", "nan"])
def test_two_whose_errors_cancel_out_are_both_bad(pair, missing):
    decode = CsvDecoder(NAMES, Column("process", classes=CLASSES), missing=missing)
    assert list(faults(decode, pair)) == [0, 1]
    assert list(faults(decode, [GOOD[0], *pair, GOOD[0]])) == [1, 2]
    numbers = CsvDecoder(4, missing=missing)
    assert list(faults(numbers, [each.replace(b"signal", b"0") for each in pair])) == [0, 1]


@pytest.mark.parametrize("value", [b"1,2", b"1", b"", b" ", b"1,2,,"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_of_too_few_fields_is_no_missing_value(value, place):
    values = [b"1,2,", b",,"]
    values.insert(place, value)
    assert list(faults(CsvDecoder(3, missing="nan"), values)) == [place]


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n"])
def test_a_line_end_may_follow_text(tail):
    decode = CsvDecoder(["met", "process"], Column("process", classes=CLASSES))
    features, label = decode.decode(chunk([b"1,signal" + tail, b"2,background" + tail])).arrays
    assert features.tolist() == [[1], [2]] and label.tolist() == [1, 0]


TEXT = st.text(st.sampled_from('ab"", \n\r\té'), max_size=6)
NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr)


@few
@given(st.lists(st.tuples(TEXT, NUMBER, TEXT, NUMBER), min_size=1, max_size=8), st.booleans())
def test_text_columns_are_read_as_the_csv_module_writes_them(rows, is_quoted):
    quoting = csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL
    values = []
    for row in rows:
        written = io.StringIO()
        csv.writer(written, quoting=quoting).writerow(row)
        values.append(written.getvalue().removesuffix("\r\n").encode())
    known = sorted({row[0] for row in rows if row[0]})
    decode = CsvDecoder(4, Column(0, classes=known or ["none"]), select=[1, 3])
    decoded = decode.decode(chunk(values))
    assert [each.index for each in decoded.faults] == [
        index for index, row in enumerate(rows) if not row[0]
    ]
    kept = [row for row in rows if row[0]]
    features, label = decoded.arrays
    assert [known[index] for index in label] == [row[0] for row in kept]
    expected = np.array([[np.float32(row[1]), np.float32(row[3])] for row in kept], np.float32)
    np.testing.assert_array_equal(features, expected.reshape(-1, 2))


ODD_FIELDS = st.one_of(
    st.sampled_from(["1", "-2.5", "3e38", "", '""', '"7"', '"a,b"', '"a""b"', "x", '"', 'a"b']),
    st.text(st.sampled_from('01.-e", \n\rx'), max_size=4),
)


@few
@given(st.lists(st.lists(ODD_FIELDS, min_size=2, max_size=4), min_size=1, max_size=6))
def test_fields_are_split_as_tensorflow_splits_them(rows):
    tf = pytest.importorskip("tensorflow")
    values = [",".join(row).encode() for row in rows]
    # The last column is a class: what is one of them was read as TensorFlow reads it.
    split = [_split_by_tensorflow(tf, value, 3) for value in values]
    known = sorted({each[2].decode() for each in split if each and each[2]})
    decode = CsvDecoder(3, Column(2, classes=known or ["none"]), select=[0], missing="nan")
    decoded = decode.decode(chunk(values))
    reasons = {each.index: each.reason for each in decoded.faults}
    for index, (value, each) in enumerate(zip(values, split, strict=True)):
        if value.endswith((b"\r", b"\n")):
            # Accepted in addition. After a comma, TensorFlow does not see that a field is missing.
            continue
        if each is None:
            assert index in reasons, value
        elif index not in reasons:
            place = decoded.kept.tolist().index(index)
            assert known[decoded.arrays[1][place]].encode() == each[2], value
            if not each[0].strip():
                assert np.isnan(decoded.arrays[0][place, 0]), value
        elif each[2]:
            assert "column 0 (from 0) is not a number" in reasons[index], (value, reasons[index])


def _split_by_tensorflow(tf, value, columns):
    try:
        return [part.numpy()[0] for part in tf.io.decode_csv([value], [[""]] * columns)]
    except tf.errors.InvalidArgumentError:
        return None


@few
@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(width=32, allow_nan=False))] * 3),
        min_size=1,
        max_size=5,
    )
)
def test_missing_values_are_those_of_tensorflows_record_defaults(rows):
    tf = pytest.importorskip("tensorflow")
    values = [",".join("" if v is None else f"{v:.9g}" for v in row).encode() for row in rows]
    defaults = [0.1, -2.5, 7e-3]
    expected = np.stack(tf.io.decode_csv(values, [[each] for each in defaults]), axis=1)
    decode = CsvDecoder(3, missing=dict(enumerate(defaults)))
    [found] = decode.decode(chunk(values)).arrays
    # TensorFlow takes subnormal numbers for 0 before 2.21.
    for array in (found, expected):
        array[np.abs(array) < np.finfo(np.float32).tiny] *= 0
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_label_types_are_those_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    texts = ["5", "+5", "-0", "007", " 5", '"5"', "5.0", "1e3", "x", "2147483648", "-2147483648"]
    texts += ["9223372036854775807", "9223372036854775808", "5 ", '" 5 "', "1_0"]
    for dtype in ("int32", "int64", "float32", "float64"):
        decode = CsvDecoder(2, Column(1, dtype=dtype))
        for text in texts:
            value = f"1,{text}".encode()
            decoded = decode.decode(chunk([value]))
            defaults = [tf.constant([], tf.float32), tf.constant([], dtype)]
            try:
                expected = tf.io.decode_csv([value], defaults)[1].numpy()
            except tf.errors.InvalidArgumentError:
                assert decoded.faults or text == "+5", (dtype, text)
                continue
            assert decoded.faults == (), (dtype, text, decoded.faults)
            np.testing.assert_array_equal(decoded.arrays[1], expected, strict=True)


ALL = [
    LABELLED,
    CsvDecoder(3, "key", True),
    CsvDecoder(["0", "1"], Key(), missing={1: np.float32(0.5)}),
    CsvDecoder(np.array(["a", "b", "c"]), Column(np.int64(1)), missing={"a": 2, 2: 0.5}),
    CsvDecoder(3, Column(2, dtype="int32"), missing={0: 1.5, 1: -0.0}),
    CsvDecoder(NAMES, Header("y"), select=(1, "process"), features="dict", missing="nan"),
]


@pytest.mark.parametrize("decode", ALL, ids=str)
def test_a_manifest_describes_it(decode):
    content = json.loads(json.dumps(describe_decoder(decode)))
    from tfkafka.reading.manifest import _made

    made = _made(content)
    assert made == decode and describe_decoder(made) == content
    assert made.plan() == decode.plan()


def test_the_plan_says_all_that_a_parser_needs():
    decode = CsvDecoder(
        NAMES,
        Column("process", classes=CLASSES),
        True,
        Header("w", dtype="float64"),
        select=["weight", "met"],
        features="dict",
        missing={"met": 0.5},
    )
    assert decode.plan() == DecoderPlan(
        format="csv",
        fields=(
            FieldPlan("value", 3, "float32", name="weight"),
            FieldPlan("value", 1, "float32", name="met", on_missing=0.5),
        ),
        features="dict",
        label=FieldPlan("value", 0, "int64", classes=("background", "signal")),
        sample_weight=FieldPlan("header", "w", "float64"),
        finite=True,
        columns=4,
    )
    plain = CsvDecoder(2, "key", missing="nan").plan()
    assert plain.label == FieldPlan("key", None, "float32") and plain.finite is None
    assert [each.place for each in plain.fields] == [0, 1]
    assert {each.on_missing for each in plain.fields} == {"nan"}
    hash(plain)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"columns": "18"}, "columns is '18', must be the number of columns, or a list"),
        ({"columns": []}, "columns is .*, must be at least one text"),
        ({"columns": ["a", "a"]}, "must be different names"),
        ({"columns": {"a", "b"}}, "must be the number of columns, or a list of their names"),
        ({"columns": 2, "label": Column(2)}, "label is 2, must be at most 1"),
        ({"columns": 2, "label": Column("y")}, "label is 'y', must be a number: .* no names"),
        ({"columns": ["a", "b"], "label": Column("y")}, "must be a name of the columns"),
        ({"columns": 1, "label": Column(0)}, "must have one that is neither label nor weight"),
        (
            {"columns": 3, "label": Column(0), "sample_weight": Column(0)},
            "label and sample_weight are the same column",
        ),
        ({"columns": 3, "select": [0, 0]}, "must be different columns"),
        ({"columns": ["a", "b"], "select": ["a", 0]}, "must be different columns"),
        ({"columns": 3, "select": []}, "must be different columns"),
        ({"columns": 3, "select": [3]}, "select is 3, must be at most 2"),
        ({"columns": ["a"], "select": "a"}, "must be a list of columns' numbers or names"),
        ({"columns": ["a"], "select": {"a"}}, "must be a list of columns' numbers or names"),
        ({"columns": 2, "label": Column(1), "select": [1]}, "has the column of the label: 1"),
        ({"columns": 2, "features": "dict"}, 'features is "dict", and the columns have no names'),
        ({"columns": 2, "features": "list"}, "features is 'list'"),
        ({"columns": 2, "missing": "zero"}, 'missing is \'zero\', must be "bad", "nan"'),
        ({"columns": 2, "missing": 0.0}, 'missing is 0.0, must be "bad"'),
        ({"columns": 2, "missing": {2: 0}}, "missing is 2, must be at most 1"),
        ({"columns": 2, "missing": {0: math.nan}}, r"missing\[0\] is nan, must be .* finite"),
        ({"columns": 2, "missing": {0: 1e39}}, "must be a number that is finite as float32"),
        ({"columns": 2, "missing": {0: 10**400}}, "must be a number that is finite as float32"),
        ({"columns": 2, "missing": {0: "0"}}, "must be a number that is finite as float32"),
        ({"columns": ["a", "b"], "missing": {"b": 0, 1: 1}}, "each column once: column 'b' is"),
        ({"columns": ["a", "b"], "missing": {1: 0, "b": 0}}, "each column once: column 'b' is"),
        ({"columns": 2, "missing": {1: 0, "1": 0}}, "each column once: column 1 is there"),
        ({"columns": ["a", "b"], "missing": {"c": 0}}, "must be a name of the columns"),
        ({"columns": ["a", "b"], "select": ["a"], "missing": {"b": 0}}, "select does not have"),
        ({"columns": 2, "label": Column(1), "missing": {1: 0}}, "has the column of the label"),
        ({"columns": 2, "label": tfkafka.ArraySpec((), FLOAT32)}, "Column"),
    ],
)
def test_wrong_arguments_are_refused(arguments, line):
    with pytest.raises((ValueError, TypeError), match=f"CsvDecoder: .*{line}") as refusal:
        CsvDecoder(**arguments)
    assert "\n" not in str(refusal.value)
