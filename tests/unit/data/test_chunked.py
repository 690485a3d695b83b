"""What an iteration says at its end: bad records by reason, and that there was none at all."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf

from tests.unit.messages import chunk
from tfkafka.data.chunked import ChunkStream
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.decoding.example import ExampleDecoder
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Field, Key
from tfkafka.errors import BadRecordError
from tfkafka.reading.elements import Elements
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


def test_an_iteration_like_the_one_before_says_nothing_again(caplog):
    chunks = [[b"1,2", b"1"]]
    reading = ChunkStream(
        "topic t",
        Elements(CsvDecoder(2)),
        lambda: (Prepared(chunk(each)) for each in chunks),
        BadRecords("skip"),
    )
    lines = []
    for values in (
        ([b"1,2", b"1"],) * 3,
        ([b"1,2", b"1", b"2"],) * 2,
        ([b"1,2"],),
        ([b"1,2", b"1"],),
    ):
        for each in values:
            chunks[:] = [each]
            list(reading.columns())
            assert reading.counts.skipped == len(each) - 1
        lines.append(len(said(caplog)))
    assert lines == [1, 2, 2, 3] and "2 of 3 records" in said(caplog)[1]


MISSPELT = [
    JsonDecoder(["met", "mass.pt", Field("h", shape=[2])], Key(), missing="nan"),
    JsonDecoder(["h", "met"], missing={"met": 0}),
]


@pytest.mark.parametrize(
    ("decode", "names"), [(MISSPELT[0], '"mass.pt", field "met"'), (MISSPELT[1], '"met"')]
)
@pytest.mark.parametrize("odd", [[], [b"{"], [b'{"h":[1,true]}', b'{"h":true}']])
def test_a_field_that_no_record_has_is_named_at_the_end(caplog, decode, names, odd):
    value = b'{"mett":1,"mass":{},"h":[1,2],"met":null}' if "mass.pt" in names else b'{"h":1}'
    values = [value, *odd, *[value] * 150]
    chunks = [values, values[:1], odd]
    reading = ChunkStream(
        "topic t",
        Elements(decode),
        lambda: (Prepared(chunk(each, [b"1"] * len(each))) for each in chunks),
        BadRecords("skip"),
    )
    for _ in range(2):
        list(reading.columns())
    used, (line,) = reading.counts.used, said(caplog)
    right = "are the names right?" if "mass.pt" in names else "is the name right?"
    assert line.endswith(f"none of the {used} records that were used has field {names}: {right}")
    assert ("could not be decoded" in line) == (reading.counts.skipped > 0)
    # One record suffices, wherever it is.
    for met in (b'{"met":0,"mass":{"pt":0},"h":%b}', b'{"met":true,"mass":{"pt":1.0},"h":%b}'):
        for place in (0, 100, len(values)):
            more = [*values]
            more.insert(place, met % (b"[0,0]" if "mass.pt" in names else b"0"))
            chunks[:] = [values, more]
            caplog.clear()
            list(reading.columns())
            assert not any("the name" in each for each in said(caplog))


def test_fields_that_may_not_be_missing_and_labels_are_never_absent():
    decode = JsonDecoder(["a", "b"], Field("c"), missing={"a": 0})
    decoded = decode.decode(chunk([b'{"b":1}'] * 3 + [b'{"b":1,"c":1}']))
    assert decoded.absent == {'field "a"'} and len(decoded.faults) == 3
    assert decode.decode(chunk([])).absent == {'field "a"'}  # and counts for nothing


def test_a_feature_that_no_example_has():
    floats = tf.train.Feature(float_list=tf.train.FloatList(value=[1]))

    def example(*names):
        features = tf.train.Features(feature=dict.fromkeys(names, floats))
        return tf.train.Example(features=features).SerializeToString()

    decode = ExampleDecoder(["a", "b"], missing="nan")
    for values in ([example("a")] * 3, [example("a"), b"\xff", example()]):
        assert decode.decode(chunk(values)).absent == {'field "b"'}
        assert not decode.decode(chunk([*values, example("b")])).absent


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
