"""Decoding beside reading: nothing is lost, whatever fails."""

import threading

import pytest

from tests.unit.messages import chunk
from tfkafka.data.datasets import while_the_next_comes
from tfkafka.data.elements import Layout
from tfkafka.decoding.bad_records import Poison
from tfkafka.decoding.csv import CsvDecoder


def test_a_chunk_is_worked_on_while_the_next_one_is_fetched():
    fetching, worked = threading.Event(), []

    def chunks():
        yield 1
        fetching.set()
        yield 2

    def work(chunk):
        assert fetching.wait(10), "the next chunk was not fetched meanwhile"
        worked.append(chunk)
        return -chunk

    assert list(while_the_next_comes(work, chunks())) == [(1, -1), (2, -2)]
    assert worked == [1, 2]


def test_what_came_before_an_error_is_handed_over_first():
    def chunks():
        yield 1
        raise ValueError("the broker is gone")

    seen = []
    with pytest.raises(ValueError, match="gone"):
        for pair in while_the_next_comes(lambda chunk: -chunk, chunks()):
            seen.append(pair)
    assert seen == [(1, -1)]


def test_an_error_of_the_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(while_the_next_comes(lambda chunk: 1 // chunk, iter([1, 0, 1])))


def test_breaking_off_ends_the_thread():
    pairs = while_the_next_comes(lambda chunk: chunk, iter(range(9)))
    next(pairs)
    pairs.close()
    assert not [thread for thread in threading.enumerate() if "tfkafka-decode" in thread.name]


def test_what_is_decoded_beforehand_is_not_decoded_again(monkeypatch):
    layout = Layout(CsvDecoder(2))
    poison = Poison("skip", None, {})
    prepared = layout.prepare(chunk([b"1,2", b"poisoned", b"3,4"]))
    monkeypatch.setattr(CsvDecoder, "decode", None)
    (features,), kept = layout.columns(prepared, poison)
    assert features.tolist() == [[1, 2], [3, 4]]
    assert [message.offset() for message in kept.messages] == [0, 2]
    assert (poison.counts.used, poison.counts.skipped) == (2, 1)
