"""JSON records: what is decoded, what is wrong with others, and the agreement with `json.loads`."""

from __future__ import annotations

import json
import math
import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.messages import chunk, fill, message
from tfkafka.decoding import json_exact
from tfkafka.decoding.base import ArraySpec, only_finite
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Field, Header, Key

pytestmark = pytest.mark.usefixtures("parser")

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)
EXAMPLES = int(os.environ.get("TFKAFKA_JSON_EXAMPLES", "100"))
# A busy machine is no reason to fail.
SETTINGS = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
# More than are parsed one by one where polars refuses them.
MANY = 150
FIELDS = [
    "a",
    "x.y",
    Field("h", shape=(2, 2)),
    Field("n", dtype="int32"),
    Field("c", classes=["s", "1"]),
]
DECODE = JsonDecoder(FIELDS, Field("l", dtype="int64"), features="dict")
RIGHT = b'{"a":1,"x":{"y":2.5},"h":[[1,2],[3,4]],"n":7,"c":"s","l":3}'


def decode(rows, decoder=DECODE):
    return decoder.decode(chunk(rows))


def reasons(decoded):
    return {fault.index: fault.reason for fault in decoded.faults}


@pytest.mark.parametrize(
    ("name", "other"), [("jet_momentum", "muon_momentum"), ("ongname", "Xongname")]
)
def test_a_name_again_where_other_records_have_one_that_ends_like_it(name, other):
    first = b'{"%b":1,"%b":2}' % (name.encode(), other.encode())
    second = b'{"%b":1,"%b":2}' % (name.encode(), name.encode())
    decoded = decode([first, second, first], JsonDecoder([name]))
    assert reasons(decoded) == {1: f'field "{name}" occurs more than once'}


def test_fields_of_all_kinds():
    decoded = decode([RIGHT, RIGHT.replace(b'"s"', b'"1"')])
    features, label = decoded.arrays
    assert DECODE.element_spec == (
        {
            "a": ArraySpec((), FLOAT32),
            "x.y": ArraySpec((), FLOAT32),
            "h": ArraySpec((2, 2), FLOAT32),
            "n": ArraySpec((), np.dtype(np.int32)),
            "c": ArraySpec((), INT64),
        },
        ArraySpec((), INT64),
    )
    assert {name: (array.shape, array.dtype) for name, array in features.items()} == {
        name: ((2, *spec.shape), spec.dtype) for name, spec in DECODE.element_spec[0].items()
    }
    assert features["h"][1].tolist() == [[1, 2], [3, 4]] and features["x.y"].tolist() == [2.5, 2.5]
    assert features["c"].tolist() == [0, 1] and label.tolist() == [3, 3]
    assert label.dtype == INT64 and not decoded.faults


def test_the_matrix_has_all_fields_in_their_order():
    decoder = JsonDecoder(["x.y", Field("h", shape=(2, 2)), Field("n", dtype="int64"), "a"])
    decoded = decode([RIGHT, b"x", RIGHT], decoder)
    assert decoder.element_spec == (ArraySpec((7,), FLOAT32),)
    assert decoded.arrays[0].tolist() == [[2.5, 1, 2, 3, 4, 7, 1]] * 2
    assert decoded.kept.tolist() == [0, 2] and decoded.arrays[0].dtype == FLOAT32


def test_labels_and_weights_from_all_places():
    decoder = JsonDecoder(["a"], Key(classes=["u", "v"]), None, Field("w"))
    records = fill(
        message(b'{"a": 1, "w": 0.5}', key, offset=offset)
        for offset, key in enumerate([b"v", b"q"])
    )
    decoded = decoder.decode(records)
    assert decoded.arrays[1].tolist() == [1] and decoded.arrays[2].tolist() == [0.5]
    assert reasons(decoded) == {1: "label: is none of the classes: b'q'"}
    assert JsonDecoder(["a"], Header("y")).needs_headers and not decoder.needs_headers
    decoded = decode([b'{"a": 1, "w": "x"}', b'{"a": 1}'], JsonDecoder(["a"], Field("w")))
    assert reasons(decoded) == {
        0: 'label: field "w" is text, not a number: b\'"x"\'',
        1: 'label: field "w" is missing',
    }


def changed(old, new):
    return RIGHT.replace(old, new)


WRONG = [
    (None, "is null"),
    (b"", "is empty"),
    (b" \n", "is empty"),
    (b"null", "is null, not an object"),
    (b"5", "is a number, not an object: b'5'"),
    (b'"text"', "is text, not an object: b'\"text\"'"),
    (b"[" + RIGHT + b"]", "is an array, not an object"),
    (RIGHT[:-1], "is not JSON: expecting ',' delimiter"),
    (RIGHT[:-2] + b"}", "is not JSON: expecting value: b'}'"),
    (RIGHT + b" x", "is not JSON: extra data: b'x'"),
    (RIGHT + RIGHT, 'is not JSON: extra data: b\'{"a":1'),
    (RIGHT + b" " + RIGHT, 'is not JSON: extra data: b\'{"a":1'),
    (RIGHT + b"\0", "is not JSON: extra data: b'\\x00'"),
    (b"\xef\xbb\xbf" + RIGHT, "begins with a byte order mark"),
    (RIGHT.decode().encode("utf-16"), "is not UTF-8: b'\\xff\\xfe"),
    (changed(b'"l"', b'"z":"\xff","l"'), "is not UTF-8: b'\\xff\","),
    (changed(b'"l"', b'"z":"\xed\xa0\x80","l"'), "is not UTF-8: b'\\xed\\xa0"),
    (changed(b'"l"', b'"z":"\n","l"'), "is not JSON: invalid control character: b'\\n"),
    (changed(b'"l"', b'"z":"\t","l"'), "is not JSON: invalid control character: b'\\t"),
    (changed(b'"l"', b'"z":NaN,"l"'), "is not JSON: has NaN"),
    (changed(b"2.5", b"NaN"), "is not JSON: has NaN"),
    (changed(b"2.5", b"-Infinity"), "is not JSON: has -Infinity"),
    (changed(b"2.5", b"01"), "is not JSON: expecting ',' delimiter: b'1}"),
    (changed(b"2.5", b".5"), "is not JSON: expecting value: b'.5}"),
    (changed(b'"l"', b'"z":' + b"[" * 10_000 + b"]" * 10_000 + b',"l"'), "is nested too deeply"),
    (changed(b'"l"', b'"z":' + b'{"a":' * 10_000 + b',"l"'), "is nested too deeply"),
    (changed(b'"a":1,', b""), 'field "a" is missing'),
    (changed(b'"a":1,', b'"A":1,'), 'field "a" is missing'),
    (changed(b'"a":1', b'"a":null'), 'field "a" is null'),
    (changed(b'"a":1', b'"a":"1"'), 'field "a" is text, not a number: b\'"1"\''),
    (
        changed(b'"a":1', b'"a":[1]'),
        'field "a" is an array, not a number; for an array give Field(name, shape=)',
    ),
    (
        changed(b'"s"', b'["s"]'),
        'field "c" is an array, not the name of a class; for an array give',
    ),
    (changed(b"[3,4]", b"[3,[4]]"), 'field "h" is an array, not a number'),
    (changed(b'"a":1', b'"a":{}'), 'field "a" is an object, not a number'),
    (changed(b'"a":1', b'"a":1,"a":1'), 'field "a" occurs more than once'),
    (changed(b'"a":1', b'"a":null,"a":1'), 'field "a" occurs more than once'),
    (changed(b'"a":1', b'"a":1,"\\u0061":2'), 'field "a" occurs more than once'),
    (changed(b'"a":1', b'"a":1,"a" :2'), 'field "a" occurs more than once'),
    (changed(b'"y":2.5', b'"y":2.5,"y":2.5'), 'field "x.y" occurs more than once'),
    (changed(b'"a":1', b'"a":1,"x":{"y":1}'), 'field "x" occurs more than once'),
    (changed(b'{"y":2.5}', b"{}"), 'field "x.y" is missing'),
    (changed(b'{"y":2.5}', b"null"), 'field "x.y" is missing'),
    (changed(b'"x":{"y":2.5},', b""), 'field "x.y" is missing'),
    (changed(b'{"y":2.5}', b"5"), "field \"x\" is a number, not an object: b'5'"),
    (changed(b'{"y":2.5}', b'[{"y":2.5}]'), 'field "x" is an array, not an object'),
    (changed(b"[3,4]", b"[3]"), 'field "h" is not an array of shape (2, 2)'),
    (changed(b"[1,2],[3,4]", b"[1],[2,3,4]"), 'field "h" is not an array of shape (2, 2)'),
    (changed(b"[[1,2],[3,4]]", b"[1,2,3,4]"), 'field "h" is not an array of shape (2, 2)'),
    (changed(b"[[1,2],[3,4]]", b"[]"), 'field "h" is not an array of shape (2, 2)'),
    (changed(b"[[1,2],[3,4]]", b"null"), 'field "h" is null'),
    (changed(b"[3,4]", b"null"), 'field "h" is not an array of shape (2, 2)'),
    (changed(b"[3,4]", b"[3,null]"), 'field "h" has null in an array'),
    (changed(b"[3,4]", b'[3,"4"]'), 'field "h" is text, not a number: b\'"4"\''),
    (changed(b'"n":7', b'"n":7.5'), "field \"n\" is not a whole number: b'7.5'"),
    (changed(b'"n":7', b'"n":1e400'), "field \"n\" is not a whole number: b'Infinity'"),
    (changed(b'"n":7', b'"n":2147483648'), "field \"n\" is beyond int32: b'2147483648'"),
    (changed(b'"n":7', b'"n":-2147483649'), "field \"n\" is beyond int32: b'-2147483649'"),
    (changed(b'"n":7', b'"n":' + b"9" * 5000), 'field "n" is beyond int32: b\'99999'),
    (changed(b'"l":3', b'"l":9223372036854775808'), 'label: field "l" is beyond int64: b'),
    (changed(b'"s"', b'"q"'), 'field "c" is none of the classes: b\'"q"\''),
    (changed(b'"s"', b"1"), "field \"c\" is a number, not the name of a class: b'1'"),
    (changed(b'"s"', b"true"), 'field "c" is true or false, not the name of a class'),
    (changed(b'"s"', b'"s\\ud800"'), 'field "c" is none of the classes'),
]


@pytest.mark.parametrize(("row", "reason"), WRONG)
def test_what_is_wrong_is_a_fault_wherever_it_is(row, reason):
    for place in (0, MANY // 2, MANY - 1):
        rows = [RIGHT] * MANY
        rows[place] = row
        decoded = decode(rows)
        (fault,) = decoded.faults
        assert fault.index == place and fault.reason.startswith(reason), fault
        assert len(fault.reason) < 200 and len(fault.reason.splitlines()) == 1
        assert decoded.kept.tolist() == [n for n in range(MANY) if n != place]
        assert set(decoded.arrays[0]["x.y"].tolist()) == {2.5}


@pytest.mark.parametrize(("row", "reason"), WRONG[::4])
def test_all_of_a_chunk_may_be_wrong(row, reason):
    decoded = decode([row] * MANY)
    assert [fault.index for fault in decoded.faults] == list(range(MANY))
    assert {fault.reason.startswith(reason) for fault in decoded.faults} == {True}


# Each pair is one or two right records, or has the right number of something, if joined.
CANCELLING = [
    (RIGHT + b" " + RIGHT, b""),
    (RIGHT + b"\n" + RIGHT, b""),
    (RIGHT[:9], RIGHT[9:]),
    (RIGHT[:-1] + b',"z":"', b'"}'),
    (RIGHT[:-1] + b',"z":{', b"}}" + RIGHT),
    (RIGHT[:-1], b"}" + RIGHT),
    (changed(b'"a":1', b'"a":1,"a":2'), changed(b'"a":1,', b"")),
    (changed(b'"a":1', b'"a":1,"a":2'), changed(b'"a":1', b'"a":null')),
    (changed(b"[1,2],[3,4]", b"[1],[2,3,4]"), changed(b"[1,2],[3,4]", b"[1,2],[3],[4]")),
    (changed(b"[3,4]", b"[3]"), changed(b"[3,4]", b"[3,4,5]")),
    (changed(b'"y":2.5', b'"y":1,"y":2'), changed(b'"y":2.5', b"")),
]


@pytest.mark.parametrize("pair", CANCELLING)
@pytest.mark.parametrize("missing", ["bad", "nan"])
def test_two_wrong_records_do_not_make_up_for_each_other(pair, missing):
    decoder = JsonDecoder(["a", "x.y", Field("h", shape=(2, 2))], features="dict", missing=missing)
    one_by_one = [not decode([row], decoder).faults for row in pair]
    for apart in (0, MANY):
        rows = [RIGHT, pair[0], *[RIGHT] * apart, pair[1], RIGHT]
        decoded = decode(rows, decoder)
        expected = [not one_by_one[0], not one_by_one[1]]
        indices = [fault.index for fault in decoded.faults]
        assert [1 in indices, apart + 2 in indices] == expected
        assert set(indices) <= {1, apart + 2}
    assert not all(one_by_one)


RIGHT_ALL_THE_SAME = [
    b"\n " + RIGHT + b"\r\n",
    RIGHT.replace(b",", b" ,\n\t"),
    RIGHT.replace(b":", b" : "),
    json.dumps(json.loads(RIGHT), indent=2).encode(),
    changed(b'"l"', b'"z":' + b"9" * 5000 + b',"l"'),
    changed(b'"l"', b'"z":1e400,"l"'),
    changed(b'"l"', b'"z":"\\ud800","l"'),
    changed(b'"l"', b'"z":{"a":5,"x":{"y":1}},"l"'),
    changed(b'"l"', b'"z":"\\"a\\":5","z":null,"l"'),
    changed(b'"l"', b'"":0,"l"'),
    changed(b'"a"', b'"\\u0061"'),
    changed(b'"a":1', b'"a":true'),
    changed(b'"a":1', b'"a":1' + b"0" * 20),
    changed(b'"l":3', b'"l":3.0'),
    changed(b'"n":7', b'"n":70e-1'),
    changed(b'"n":7', b'"n":true'),
    changed(b"[3,4]", b"[true,false]"),
    changed(b'"s"', b'"\\u0073"'),
]


@pytest.mark.parametrize("row", RIGHT_ALL_THE_SAME)
def test_records_that_are_right_all_the_same(row):
    for rows in ([row], [RIGHT] * MANY + [row], [row] * MANY):
        decoded = decode(rows)
        assert not decoded.faults
        # Python has a limit of 4,300 digits.
        found = json.loads(row, parse_int=float)
        features, label = decoded.arrays
        assert features["a"][-1] == np.float32(found["a"]) and label[-1] == found["l"]
        assert features["n"][-1] == found["n"] and features["h"][-1].tolist() == found["h"]
        assert features["c"][-1] == 0


@pytest.mark.parametrize(
    ("missing", "filled"), [("nan", [math.nan] * 2), ({"a": 7, "x.y": -1.5}, [7, -1.5])]
)
def test_missing_values_become_what_is_asked_for(missing, filled):
    decoder = only_finite(JsonDecoder(["a", "x.y"], Field("l"), missing=missing))
    rows = [
        b'{"l":1}',
        b'{"a":null,"x":null,"l":1}',
        b'{"x":{},"l":1}',
        b'{"x":{"y":null},"l":1}',
        RIGHT,
        b'{"a":1e400,"l":1}',
        b'{"a":"","l":1}',
        b'{"a":1}',
        b'{"a":1,"l":null}',
    ]
    for repeated in (1, MANY):
        decoded = decode([row for row in rows for _ in range(repeated)], decoder)
        matrix = decoded.arrays[0][::repeated]
        assert np.array_equal(matrix[:4], [filled] * 4, equal_nan=True)
        assert matrix[4].tolist() == [1, 2.5] and len(decoded.faults) == 4 * repeated
        assert [fault.reason for fault in decoded.faults[::repeated]] == [
            "field \"a\" is not finite as float32: b'Infinity'",
            'field "a" is text, not a number: b\'""\'',
            'label: field "l" is missing',
            'label: field "l" is null',
        ]


def test_missing_arrays_and_classes():
    decoder = JsonDecoder(
        [Field("h", shape=(2,)), Field("c", classes=["s", "t"])],
        features="dict",
        missing={"h": 0.5, "c": 1},
    )
    rows = [b'{"h":[1,null],"c":"s"}', b"{}", b'{"h":null,"c":null}', b'{"h":[null],"c":"s"}']
    features = decode(rows, decoder).arrays[0]
    assert features["h"].tolist() == [[1, 0.5], [0.5, 0.5], [0.5, 0.5]]
    assert features["c"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("number", ["1e39", "1e400", "-1e400", "9" * 400, "-" + "9" * 5000])
def test_numbers_beyond_the_type_are_infinite_or_faults(number):
    row = b'{"a":%s}' % number.encode()
    for rows in ([row], [b'{"a":1}'] * MANY + [row]):
        assert abs(decode(rows, JsonDecoder(["a"])).arrays[0][-1, 0]) == math.inf
        decoded = decode(rows, JsonDecoder(["a"], finite=True))
        assert [fault.index for fault in decoded.faults] == [len(rows) - 1]
    # Also a wider type has to fit into the matrix.
    wide = Field("a", dtype="float64")
    assert decode([b'{"a":1e39}'], JsonDecoder([wide], finite=True)).faults
    features = decode([b'{"a":1e39}'], JsonDecoder([wide], finite=True, features="dict")).arrays[0]
    assert features["a"].tolist() == [1e39]


@pytest.mark.parametrize(
    ("make", "error", "line"),
    [
        (lambda: JsonDecoder(["a..b"]), ValueError, "a name between dots is empty"),
        (lambda: JsonDecoder(["a", "a.b"]), ValueError, 'field "a" is given as a value'),
        (lambda: JsonDecoder(["a.b.c", "a"]), ValueError, 'the field "a.b.c"'),
        (lambda: JsonDecoder(["a"], sample_weight=Key()), ValueError, "label is not"),
    ],
)
def test_wrong_arguments_are_refused(make, error, line):
    with pytest.raises(error) as caught:
        make()
    text = str(caught.value)
    assert text.startswith("JsonDecoder: ") and line in text and len(text.splitlines()) == 1


def test_the_plan_has_all_that_another_parser_needs():
    plan = JsonDecoder(FIELDS, Field("l"), True, Header("w"), missing={"a": 2}).plan()
    assert plan.format == "json" and plan.features == "matrix" and plan.finite
    assert [(each.place, each.shape, each.on_missing) for each in plan.fields] == [
        ("a", (), 2.0),
        ("x.y", (), "bad"),
        ("h", (2, 2), "bad"),
        ("n", (), "bad"),
        ("c", (), "bad"),
    ]
    assert plan.fields[4].classes == ("s", "1") and plan.fields[3].dtype == "int32"
    assert (plan.label.place, plan.sample_weight.origin) == ("l", "header")


def _array(items):
    return "[" + ", ".join(items) + "]"


def _object(items, blank=" "):
    return "{" + ",".join(f'"{name}":{blank}{value}' for name, value in items) + "}"


# Values that JSON's text can have, with the odd ones among them.
NUMBERS = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.floats(allow_nan=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["NaN", "Infinity", "-", "01", "1.", ".5", "+1", "1e", "0x1", "-0", "1e400"]),
)
SCALARS = st.one_of(
    NUMBERS, st.sampled_from(["null", "true", "false", '"s"', '"1"', '"a:b"', "{}"])
)
ARRAYS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(_array), max_leaves=5)
NAMES = st.sampled_from(["a", "x", "y", "h", "n", "c", "l", "zz", "\\u0061", "x.y", "ä"])
VALUES = st.recursive(
    ARRAYS, lambda inner: st.lists(st.tuples(NAMES, inner), max_size=4).map(_object), max_leaves=6
)


@st.composite
def rows(draw):
    """A record with a few fields changed, left out or repeated; or any text."""
    members = [
        ("a", draw(NUMBERS)),
        ("x", _object([("y", draw(NUMBERS))])),
        ("h", draw(st.one_of(st.just("[[1,2],[3,4]]"), ARRAYS))),
        ("n", draw(st.one_of(st.integers(-(2**32), 2**32).map(str), SCALARS))),
        ("c", draw(st.sampled_from(['"s"', '"1"', "1", '"q"', "null"]))),
        ("l", "1"),
    ]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(members)))
        members[place : place + draw(st.integers(0, 1))] = [(draw(NAMES), draw(VALUES))]
    text = _object(members, draw(st.sampled_from(["", " ", "\n"])))
    cut = draw(st.sampled_from([0] * 9 + [3]))
    return text.encode()[: len(text.encode()) - cut]


def expected(row, decoder):
    """What Python makes of a record, field by field; None where it is wrong."""
    try:
        found = json_exact.values(
            row, decoder._chunks._tree, decoder._chunks.fields, decoder.finite, set()
        )
    except json_exact.WrongRecord:
        return None
    return [array.tobytes() for array in found]


def agrees(texts, decoder):
    """Whether a chunk has exactly the records that Python takes one by one, equal to the bit."""
    alone = [expected(text, decoder) for text in texts]
    decoded = decode(texts, decoder)
    assert decoded.kept.tolist() == [n for n, each in enumerate(alone) if each is not None]
    features, label = decoded.arrays
    for row, index in enumerate(decoded.kept):
        found = [features[name][row].tobytes() for name in features] + [label[row].tobytes()]
        assert found == alone[index], texts[index]


@SETTINGS
@given(st.lists(st.one_of(rows(), st.just(RIGHT)), max_size=6), st.sampled_from(["bad", 0.5]))
def test_chunks_and_single_records_agree(texts, missing):
    fills = "bad" if missing == "bad" else {"a": 0.5, "x.y": -1, "h": 0, "n": 3, "c": 1}
    for finite in (True, False):
        decoder = JsonDecoder(FIELDS, Field("l"), finite, features="dict", missing=fills)
        agrees(texts, decoder)


@SETTINGS
@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_numbers_are_those_of_python(numbers):
    texts = [b'{"a":%b}' % number.encode() for number in numbers]
    decoded = decode(texts, JsonDecoder(["a"]))
    right = []
    for text in texts:
        try:
            value = json.loads(text, parse_constant=lambda name: [])["a"]
            with np.errstate(over="ignore"):
                right += [] if value == [] else [np.float32(float(value))]
        except json.JSONDecodeError:
            continue
    assert decoded.arrays[0][:, 0].tobytes() == np.array(right, np.float32).tobytes()


def test_bytes_changed_at_random(capfd):
    random_ = random.Random(7)
    base = [RIGHT, json.dumps(json.loads(RIGHT)).encode(), RIGHT_ALL_THE_SAME[7]]
    for _ in range(EXAMPLES):
        texts = []
        for _ in range(random_.choice([1, 5, 100])):
            text = bytearray(random_.choice(base))
            for _ in range(random_.choice([0, 0, 1, 1, 2, 5])):
                place = random_.randrange(len(text) + 1)
                text[place : place + random_.randrange(3)] = random_.choices(
                    b'{}[]",:\\ \n\x00019.eE-+aux\xff', k=random_.randrange(3)
                )
            texts.append(bytes(text))
        agrees(texts, DECODE)
    assert capfd.readouterr().err == ""
