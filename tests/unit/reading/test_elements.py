"""Chunks as columns."""

import json

import numpy as np
import pytest

from tests.unit.messages import chunk, fill, message
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import BadRecordError
from tfkafka.reading.elements import Elements, headers_of
from tfkafka.reading.prefetch import Prepared


def columns(elements: Elements, each, bad_records: BadRecords | None = None):
    prepared = Prepared(each, elements.prepare(each))
    return elements.columns(prepared, bad_records or BadRecords())


def test_what_is_decoded_beforehand_is_not_decoded_again(monkeypatch):
    elements, bad_records = Elements(CsvDecoder(2)), BadRecords("skip")
    each = chunk([b"1,2", b"bad", b"3,4"])
    prepared = Prepared(each, elements.prepare(each))
    monkeypatch.setattr(CsvDecoder, "decode", None)
    (features,), kept = elements.columns(prepared, bad_records)
    assert features.tolist() == [[1, 2], [3, 4]]
    assert kept.offsets.tolist() == [0, 2]
    assert (bad_records.counts.used, bad_records.counts.skipped) == (2, 1)


def test_what_is_not_decoded_beforehand_is_decoded_now():
    (features,), _ = Elements(CsvDecoder(2)).columns(Prepared(chunk([b"1,2"])), BadRecords())
    assert features.tolist() == [[1, 2]]


def test_strings_have_no_null():
    (values, keys), kept = columns(Elements(), chunk([b"", None, b"x"], [None, b"k", b""]))
    assert values.tolist() == [b"", b"", b"x"] and keys.tolist() == [b"", b"k", b""]
    assert len(kept) == 3


def test_metadata_says_what_is_null_and_where_records_are():
    records = fill(
        [
            message(b"1,2", b"", partition=1, offset=5, headers=[("h", b"\xff"), ("h", None)]),
            message(b"bad", None, offset=2),
            message(b"3,4", None, offset=3),
        ]
    )
    (_, metadata), kept = columns(
        Elements(CsvDecoder(2), metadata=True), records, BadRecords("skip")
    )
    assert kept.offsets.tolist() == [5, 3]
    assert metadata.topic.tolist() == ["t", "t"]
    assert metadata.partition.tolist() == [1, 0] and metadata.partition.dtype == np.int32
    assert metadata.offset.tolist() == [5, 3]
    assert metadata.timestamp.tolist() == [1_700_000_000_005, 1_700_000_000_003]
    assert metadata.null_message.tolist() == [False, False]
    assert metadata.null_key.tolist() == [False, True]
    assert [headers_of(text) for text in metadata.headers] == [[("h", b"\xff"), ("h", None)], []]
    assert json.loads(metadata.headers[1]) == []


def test_a_bad_record_is_named():
    each = fill([message(b"1,2", offset=7), message(b"bad", partition=3, offset=9)])
    with pytest.raises(BadRecordError, match=r"topic t, partition 3, offset 9: has 1 columns"):
        columns(Elements(CsvDecoder(2)), each)
