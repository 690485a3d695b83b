"""What an iteration says at its end: bad records by reason, and that there was none at all."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.data.chunked import ChunkStream
from tfkafka.data.elements import Elements
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import BadRecordError
from tfkafka.reading.prefetch import Prepared


def stream(*values: list[bytes], policy="skip", why="nobody wrote any") -> ChunkStream:
    """A stream of these chunks."""

    def chunks():
        for each in values:
            yield Prepared(chunk(each))

    return ChunkStream(
        "topic t", Elements(CsvDecoder(2)), chunks, BadRecords(policy), why_empty=lambda: why
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


def test_bad_records_are_summed_up_in_one_line(caplog):
    reading = stream([b"1,2", b"1", b"x,2"], [b"3"], [b"5,6", b"y,2"])
    rows = np.concatenate([columns[0] for columns in reading.columns()])
    assert rows.tolist() == [[1, 2], [5, 6]]
    assert said(caplog) == [
        "topic t: 4 of 6 records could not be decoded and were skipped: "
        "2 x has 1 columns instead of 2; 2 x column 0 (from 0) is not a number"
    ]
    assert reading.counts.reasons == {
        "has 1 columns instead of 2": 2,
        "column 0 (from 0) is not a number": 2,
    }


def test_each_iteration_is_summed_up(caplog):
    reading = stream([b"1,2", b"1"])
    for _ in range(2):
        list(reading.columns())
    assert len(said(caplog)) == 2 and len(set(said(caplog))) == 1


def test_an_iteration_that_is_left_says_what_it_skipped(caplog):
    for _ in stream([b"1,2", b"1"], [b"3"], [b"5,6"]).columns():
        break
    assert said(caplog) == [
        "topic t: 1 of 2 records could not be decoded and were skipped: "
        "1 x has 1 columns instead of 2"
    ]


def test_records_that_are_all_bad_are_no_silence(caplog):
    list(stream([b"1"], [b"2"]).columns())
    assert said(caplog) == [
        "topic t: 2 of 2 records could not be decoded and were skipped: "
        "2 x has 1 columns instead of 2: does the decoder fit the topic?"
    ]


@pytest.mark.parametrize("values", [(), ([], [])])
def test_no_record_is_no_silence(caplog, values):
    list(stream(*values).columns())
    assert said(caplog) == ["topic t: this iteration had no record: nobody wrote any"]


def test_nothing_is_said_where_nothing_is_wrong(caplog):
    list(stream([b"1,2"], []).columns())
    list(stream(why="").columns())
    for _ in stream([], [b"1,2"]).columns():
        break
    with pytest.raises(BadRecordError):
        list(stream([b"1"], policy="error").columns())
    assert said(caplog) == []
