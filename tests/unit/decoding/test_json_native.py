"""The native parser of JSON: what it takes is right, and it takes what is plainly right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.unit.decoding.test_json import DECODE, MANY, RIGHT, agrees
from tests.unit.messages import chunk
from tfkafka import native
from tfkafka.decoding import json_exact, parsing_threads
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.json_native import NativeJson
from tfkafka.decoding.sources import Field

pytestmark = pytest.mark.usefixtures("native_parser")

WHOLE = JsonDecoder(["a"], Field("l", dtype="int64"), features="dict")
TEXT = JsonDecoder([Field("a", classes=["é", "日本", "😀", "x"])], Field("l"), features="dict")


def odd(rows, decoder=DECODE):
    """The indices of the records that the native parser leaves to Python."""
    chunks, records = decoder._chunks, chunk(rows)
    parser = NativeJson(native.library(), chunks.fields, chunks._tree, bool(chunks.finite))
    _, sinks = decoder._empty(len(rows))
    sinks += [
        np.zeros((len(rows), each.size), each.spec.dtype) for each in decoder._inside.values()
    ]
    return parser.read(records.values, sinks, set()).tolist()


@pytest.mark.parametrize(
    "row",
    [
        RIGHT,
        json.dumps(json.loads(RIGHT), indent=2).encode(),
        b" \r\n\t" + RIGHT + b" \r\n\t",
        b'{"l":3,"c":"1","n":7.0,"h":[[1,2],[3,4]],"x":{"w":{},"y":2.5},"a":true}',
        RIGHT[:-1] + b',"other":[1,-0.5e+7,[],{},{"a":[{"b":null}]},true,false,"\\u00e9\\n\\"x"]}',
        RIGHT[:-1] + ',"é":"日本 😀 \x7f"}'.encode(),
        RIGHT[:-1] + b',"deep":' + b"[" * 64 + b"]" * 64 + b"}",
        RIGHT.replace(b'"a":1', b'"a":-0'),
        RIGHT.replace(b'"n":7', b'"n":2.147483647e9'),
    ],
)
def test_what_is_plainly_right_is_taken(row):
    assert odd([row] * 3) == []
    agrees([row] * 3, DECODE)


def test_names_in_any_order_are_found():
    record = json.loads(RIGHT)
    names = list(record)
    orders = [names[n:] + names[:n] for n in range(len(names))]
    rows = [json.dumps({name: record[name] for name in order}).encode() for order in orders]
    assert odd(rows * 2) == []
    agrees(rows * 2, DECODE)


@pytest.mark.parametrize(
    "text",
    [
        b"\x80",  # a byte that only continues
        b"\xc0\xaf",  # too long for its character
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xa0\x80",  # a surrogate
        b"\xf4\x90\x80\x80",  # beyond Unicode
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\xc3",  # cut
        b"\xe6\x97",
        b"\xf0\x9f\x98",
        b"\xe6\x97A",
        b"\x00",
        b"\x1f",
        b"\n",
        b"\\x",
        b"\\u12",
        b"\\u12g4",
        b"\\",
    ],
)
def test_text_that_is_not_unicode_or_not_json_is_left_to_python(text):
    rows = []
    for before in (b"", b"1234567", b"12345678", "é".encode()):
        rows += [
            RIGHT[:-1] + b',"o":"' + before + text + b'"}',
            RIGHT[:-1] + b',"' + before + text + b'":1}',
        ]
    assert odd(rows) == list(range(len(rows)))
    agrees(rows, DECODE)


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"{",
        b"[]",
        b"{}x",
        b"\xef\xbb\xbf" + RIGHT,
        RIGHT + b"}",
        RIGHT[:-1] + b",}",
        RIGHT[:-1] + b',"deep":' + b"[" * 66 + b"]" * 66 + b"}",
        RIGHT[:-1] + b',"o":[1,]}',
        RIGHT[:-1] + b',"o":[,1]}',
        RIGHT[:-1] + b',"o":[}}',
        RIGHT[:-1] + b',"o":{]}',
        RIGHT[:-1] + b',"o":{"p":1]}',
        RIGHT[:-1] + b',"o":{"p"}}',
        RIGHT[:-1] + b',"o":{1:1}}',
        RIGHT[:-1] + b',"o":nul}',
        RIGHT[:-1] + b',"o":NaN}',
        RIGHT[:-1] + b',"o":-}',
        RIGHT[:-1] + b',"o":00}',
        RIGHT[:-1] + b',"o":1.}',
        RIGHT[:-1] + b',"o":.1}',
        RIGHT[:-1] + b',"o":1e}',
        RIGHT[:-1] + b',"o":+1}',
        RIGHT[:-1] + b',"a":1}',
        RIGHT[:-1] + b',"x":null}',
        RIGHT[:-1] + b',"\\u0061":1}',
        RIGHT.replace(b'{"y":2.5}', b'{"y":2.5,"y":2.5}'),
        RIGHT.replace(b'{"y":2.5}', b"[]"),
        RIGHT.replace(b'{"y":2.5}', b"null"),
        RIGHT.replace(b"[[1,2],[3,4]]", b"[[1,2],[3]]"),
        RIGHT.replace(b"[[1,2],[3,4]]", b"[[1,2],[3,4],[5,6]]"),
        RIGHT.replace(b"[[1,2],[3,4]]", b"[1,2,3,4]"),
        RIGHT.replace(b"[[1,2],[3,4]]", b"[]"),
        RIGHT.replace(b'"a":1', b'"a":1.'),
        RIGHT.replace(b'"a":1', b'"a":01'),
        RIGHT.replace(b'"a":1', b'"a":"1"'),
        RIGHT.replace(b'"a":1', b'"a":[1]'),
        RIGHT.replace(b'"a":1,', b""),
        RIGHT.replace(b'"n":7', b'"n":7.5'),
        RIGHT.replace(b'"n":7', b'"n":2147483648'),
        RIGHT.replace(b'"n":7', b'"n":-2147483649'),
        RIGHT.replace(b'"c":"s"', b'"c":"t"'),
        RIGHT.replace(b'"c":"s"', b'"c":"\\u0073"'),
        RIGHT.replace(b'"c":"s"', b'"c":true'),
    ],
)
def test_what_may_be_wrong_is_left_to_python(row):
    assert odd([RIGHT, row, RIGHT]) == [1]
    agrees([RIGHT, row, RIGHT], DECODE)


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "9007199254740993.0",
        "9007199254740991.5",
        "0.99999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "1e18",
        "1e19",
        "1e-400",
        "-0.0",
    ],
)
def test_whole_numbers_are_exact(number):
    agrees([f'{{"a": {number}, "l": {number}}}'.encode()] * 2, WHOLE)


def test_names_of_classes_in_all_languages():
    rows = [
        json.dumps({"a": a, "l": 1}, ensure_ascii=False).encode() for a in ("é", "日本", "😀", "x")
    ]
    assert odd(rows, TEXT) == []
    agrees(rows, TEXT)


def test_a_class_is_not_what_its_text_is_written_like():
    """The text stands for s, and is written as the name of the other class."""
    decoder = JsonDecoder([Field("a", classes=["\\u0073", "s"])], Field("l"), features="dict")
    rows = [b'{"a":"\\u0073","l":1}', b'{"a":"\\\\u0073","l":1}']
    agrees(rows, decoder)
    assert decoder.decode(chunk(rows)).arrays[0]["a"].tolist() == [1, 0]


def test_missing_values_are_filled_and_counted():
    fills = {"a": 0.5, "x.y": -1, "h": 9, "n": 3, "c": 1}
    decoder = JsonDecoder(DECODE.fields, Field("l"), features="dict", missing=fills)
    rows = [
        b'{"l":1}',
        b'{"l":1,"x":null,"h":null,"a":null,"c":null}',
        b'{"l":1,"h":[[null,2],[3,null]]}',
        b'{"l":1,"n":"bad","a":2}',
    ]
    assert odd(rows, decoder) == [3]
    agrees(rows, decoder)
    # The record that has a is bad.
    assert sorted(decoder.decode(chunk(rows)).absent) == [
        f'field "{name}"' for name in ("a", "c", "n", "x.y")
    ]


def test_several_threads_find_the_same(monkeypatch):
    monkeypatch.setattr(parsing_threads, "_cores", lambda: 4)
    rows = ([RIGHT] * 9 + [b"{}"]) * 1000
    decoded = DECODE.decode(chunk(rows))
    assert [fault.index for fault in decoded.faults] == list(range(9, len(rows), 10))
    assert (decoded.arrays[0]["x.y"] == 2.5).all() and len(decoded.kept) == 9000


def test_a_parser_that_takes_too_much_is_noticed(monkeypatch):
    """The checks above compare with Python: here that one refuses what is right."""

    def refuse(*_):
        raise json_exact.WrongRecord("is refused")

    monkeypatch.setattr(json_exact, "values", refuse)
    with pytest.raises(AssertionError):
        agrees([RIGHT] * MANY, DECODE)
