"""The native parser of CSV: the same bits, faults and reasons as polars and Python."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfkafka.chunk
from tests.unit.decoding.csv_samples import (
    assert_same,
    decoder,
    of_buffers,
    records,
    without_library,
)
from tests.unit.messages import chunk, fill, message
from tfkafka.decoding import parsing_threads
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.sources import DTYPES, Column, Header, Key

pytestmark = pytest.mark.usefixtures("native_parser")

FIELDS = [b"1", b"+1.0", b" 1", b"1 ", b"\t1", b"1\r", b"1\n", b"1\r\n", b"\n1", b" \n1", b"\r1"]
FIELDS += [b"nan", b"NaN", b"-nan", b"+nan", b"inf", b"-inf", b"+INF", b"Infinity", b"-infinity"]
FIELDS += [b"infin", b"infinityx", b"nan(1)", b"nan()", b"1e400", b"-1e400", b"1e-400", b"-1e-400"]
FIELDS += [b"3.4028235e38", b"3.4028236e38", b"3.5e38", b"1.4e-45", b"7e-46", b"1.17549435e-38"]
FIELDS += [b"", b'""', b'" "', b"1,", b",1", b"0x10", b"0x1p3", b"1_0", b"-.5", b"5.", b".", b"-."]
FIELDS += [b"1e", b"1e+", b"1e+5", b"1E5", b"1d5", b"1f", b"true", b"1\x00", b"\x001", b"--1"]
FIELDS += [b'"1"', b'"1', b'1"', b'"1"2', b'"1""2"', b'" 1\n"', b' "1"', b'"1" ', b'"1"\r\n']
FIELDS += [b"-", b"+", b"+-1", b"-0", b"007", b"5.0", b"1e3", b"2147483647", b"2147483648"]
FIELDS += [b"-2147483648", b"-2147483649", b"9223372036854775807", b"9223372036854775808"]
FIELDS += [b"-9223372036854775808", b"-9223372036854775809", b"18446744073709551617"]
FIELDS += [b"\xef\xbc\x91", b"\xc2\xa01", b"1\x1c", b"1\x85", b"\xef\xbb\xbf1", b"16777217"]
FIELDS += [b"0.1234567890123456789012345678901234567890", b"1" * 60, b"0" * 60 + b"7"]
FIELDS += [b"1e99999999999999999999", b"0e99999999999", b"1e-99999999999", b"1" * 5000]
FIELDS += [b"0." + b"0" * 5000 + b"1e5001", b"a", b'"a"', b"a ", b'"a""b"', b'"a,b"', b'"a\nb"']
FIELDS += [b'"' + b"y" * 300 + b'"""']
CLASSES = ["a", 'a"b', "a,b", "a\nb", "y" * 300 + '"', "1"]


@pytest.mark.parametrize("finite", [None, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_fields_are_read_alike(dtype, finite):
    alone = [CsvDecoder(1, Key(dtype=dtype), finite), CsvDecoder(1, "key", missing="nan")]
    for decode in alone:
        assert_same(decode, chunk(FIELDS, FIELDS))
    beside = [
        CsvDecoder(3, Column(1, dtype=dtype), finite, missing={0: 0.1, 2: -0.0}),
        CsvDecoder(3, Column(1, classes=CLASSES, dtype=dtype), finite, missing="nan"),
        CsvDecoder(3, finite=finite, select=[2, 0]),
    ]
    for decode in beside:
        assert_same(decode, chunk([b"1," + field + b",2" for field in FIELDS]))
        assert_same(decode, chunk([field + b",1," + field for field in FIELDS]))


def test_classes_of_keys_and_headers_are_whole_texts():
    texts = [*FIELDS, None, *(name.encode() for name in CLASSES)]
    source = {"classes": CLASSES, "dtype": "int32"}
    decode = CsvDecoder(1, Key(**source), sample_weight=Header("h", **source))
    assert_same(decode, fill(message(b"1", text, headers=[("h", text)]) for text in texts))


@settings(max_examples=25)
@given(st.randoms(use_true_random=True))
def test_any_records_are_decoded_alike(of):
    decode = decoder(of)
    assert_same(decode, records(of, decode))


def test_only_odd_values_and_keys_become_objects(monkeypatch):
    decode = CsvDecoder(2, Key(classes=["x", "y"]), True)
    given = of_buffers(chunk([b"1,2", b"3,inf", b"4", b"5,6"], [b"x", b"y", b"x", b"z"]))
    made = []
    cut = tfkafka.chunk._entries
    monkeypatch.setattr(
        tfkafka.chunk, "_entries", lambda *layout: made.append(layout) or cut(*layout)
    )
    assert [each.index for each in decode.decode(given).faults] == [1, 2, 3]
    assert sorted(len(nulls) for _, _, nulls in made) == [1, 2]


def in_parts(monkeypatch, cores):
    monkeypatch.setattr(parsing_threads, "_cores", lambda: cores)
    monkeypatch.setattr(parsing_threads, "_LEAST_ROWS", 10)
    parts = []
    parsing_threads.in_parts(1003, lambda *part: parts.append(part))
    return sorted(parts)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 2), (8, 7), (64, 8)])
def test_a_core_is_left_for_reading(monkeypatch, cores, threads):
    parts = in_parts(monkeypatch, cores)
    assert len(parts) == threads
    assert [row for start, stop in parts for row in range(start, stop)] == list(range(1003))


def test_an_error_in_a_part_is_raised(monkeypatch):
    monkeypatch.setattr(parsing_threads, "_cores", lambda: 4)

    def parse(start, stop):
        if start:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        parsing_threads.in_parts(100_000, parse)


ROWS = [b"%d,%d.5" % (number, number) for number in range(5000)]


def decoded_sum():
    return float(CsvDecoder(2).decode(chunk(ROWS)).arrays[0].sum())


def test_parts_are_parsed_alike_also_in_a_forked_child(monkeypatch):
    in_parts(monkeypatch, 4)
    rows = [b"1" if index % 97 == 5 else row for index, row in enumerate(ROWS)]
    assert_same(CsvDecoder(2), chunk(rows))
    expected = decoded_sum()
    # The parent's threads parse; a child has none of them.
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(decoded_sum).get(60) == expected


def test_polars_and_its_threads_are_not_used(monkeypatch):
    from tfkafka.decoding import frames

    monkeypatch.setattr(frames.polars, "read_csv", None)
    decode = CsvDecoder(2, "key", True)
    decoded = decode.decode(chunk([b"1,2", b"x,2", b"1,inf", b'"1",""'], [b"1", b"1", b"1", b"1"]))
    assert [each.reason for each in decoded.faults] == [
        "column 0 (from 0) is not a number: b'x'",
        "column 1 (from 0) is not finite as float32: b'inf'",
        "column 1 (from 0) is empty",
    ]
    with without_library(), pytest.raises(TypeError):
        decode.decode(chunk([b"1,2"], [b"1"]))


def test_arrays_are_the_decoders_own():
    first, second = (CsvDecoder(2).decode(chunk([b"1,2"])).arrays[0] for _ in range(2))
    first[0, 0] = 9
    assert second.tolist() == [[1, 2]] and first.flags.writeable and first.flags.c_contiguous
    assert not np.shares_memory(first, second)


def test_parts_are_parsed_where_no_thread_can_be_started(monkeypatch):
    ended = ThreadPoolExecutor()
    ended.shutdown()
    monkeypatch.setattr(parsing_threads, "_pool", lambda: ended)
    assert in_parts(monkeypatch, 4) == [(0, 1003)]
