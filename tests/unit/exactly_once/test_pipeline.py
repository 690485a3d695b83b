"""The pipeline of a worker, without Kafka: what a rebalance in the middle of its work does."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tfkafka import CsvDecoder
from tfkafka.chunk import Chunk, Column, TopicPartition
from tfkafka.client.identity import Identities
from tfkafka.errors import CommitError, FencedError, ReadError, UnusableError
from tfkafka.exactly_once import InferenceJob, pipeline
from tfkafka.exactly_once.batches import BatchLimits
from tfkafka.metrics.meter import UNMETERED
from tfkafka.testing import wait_for

LOST, KEPT = TopicPartition("in", 0), TopicPartition("in", 1)
DEADLINE_S = 10.0


def batch(*values: tuple[TopicPartition, bytes]) -> Chunk:
    sources = tuple(dict.fromkeys(source for source, _ in values))
    count = len(values)
    return Chunk(
        Column.of([value for _, value in values], count),
        Column.of([None] * count, count),
        sources,
        np.array([sources.index(source) for source, _ in values], np.int32),
        np.arange(count),
    )


class Reader:
    """Gives these batches, None for an end, or raises them; calls a function for what it gives.

    `while_idle` happens once, as `idle` polls.
    """

    def __init__(self, batches, while_idle):
        self._batches, self._while_idle = list(batches), while_idle
        self.rebalances = self.missing = 0
        self.member_id = "member"
        self.lost: list[TopicPartition] = []

    def next_batch(self) -> Chunk | None:
        found = self._batches.pop(0) if self._batches else None
        if callable(found):
            found = found()
        if isinstance(found, Exception):
            raise found
        return found

    def idle(self) -> None:
        happens, self._while_idle = self._while_idle, lambda _reader: None
        happens(self)

    def current(self, chunk: Chunk) -> Chunk:
        return chunk.without(self.lost) if self.lost else chunk

    def prove(self, _chunk: Chunk) -> object:
        return "membership"

    def places(self, positions):
        return positions

    def confirm(self, _topics) -> None:
        pass

    def note_committed(self, _positions) -> None:
        pass

    def leave(self) -> None:
        pass

    discard = leave


class Producer:
    """Keeps the offsets of each transaction, which is open until it may commit."""

    def __init__(self):
        self.is_open, self.may_commit = threading.Event(), threading.Event()
        self.may_commit.set()
        self.committed: list[dict[TopicPartition, int]] = []

    def connect(self) -> None:
        pass

    def refuse_hang(self) -> None:
        pass

    def discard(self) -> None:
        pass

    def transact(self, _records, places, prove) -> None:
        prove()
        self.is_open.set()
        assert self.may_commit.wait(DEADLINE_S)
        self.committed.append(dict(places))


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def make(monkeypatch, producer):
    """make(...): a pipeline, and the numbers of records that it reports."""
    monkeypatch.setattr(pipeline, "_PATIENCE_S", 0.01)

    def made(predict, batches, while_idle=lambda _reader: None, is_stopped=lambda: False):
        reader = Reader(batches, while_idle)
        monkeypatch.setattr(pipeline, "BatchReader", lambda *_, **__: reader)
        monkeypatch.setattr(pipeline, "AlternatingProducers", lambda *_: producer)
        reported: list[int] = []
        events = SimpleNamespace(
            joined=lambda _id: None,
            committed=lambda records, *_: reported.append(records),
            is_stopped=is_stopped,
        )
        return pipeline.Pipeline(
            InferenceJob(predict, CsvDecoder(1), ["in"], "out", "group"),
            BatchLimits(10, 0, 0),
            {"bootstrap.servers": "localhost:1"},
            10_000,
            events,
            "error",
            Identities(),
            UNMETERED,
        ), reported

    return made


@pytest.fixture
def run(make, producer):
    """run(predict, batches, while_idle): what was committed, each transaction's."""

    def work(*arguments):
        made, _ = make(*arguments)
        try:
            made.run()
        finally:
            made.close()
        return producer.committed

    return work


def first_column(features):
    return features[:, 0]


def test_partitions_that_are_added_after_the_end_are_read_too(run):
    """A cooperative group revokes nothing where a member dies and leaves partitions."""
    is_added = threading.Event()

    def predict(features):
        assert is_added.wait(DEADLINE_S)
        return features[:, 0]

    def add(reader: Reader) -> None:
        reader.rebalances += 1
        is_added.set()

    committed = run(predict, [batch((LOST, b"1")), None, batch((KEPT, b"2"))], add)
    assert committed == [{LOST: 1}, {KEPT: 1}]


def test_a_bad_record_of_a_lost_partition_is_for_its_new_owner(run):
    is_lost = threading.Event()

    def predict(features):
        assert is_lost.wait(DEADLINE_S)
        return np.where(features[:, 0] < 0, np.nan, features[:, 0])

    def lose(reader: Reader) -> None:
        reader.lost = [LOST]
        is_lost.set()

    committed = run(predict, [batch((LOST, b"-1"), (KEPT, b"2")), None], lose)
    assert committed == [{KEPT: 2}]


def test_a_group_without_a_coordinator_is_not_left_by_request(run, monkeypatch):
    """Nobody takes the request: what a new client does then is up to the worker."""
    left: list[bool] = []
    monkeypatch.setattr(Reader, "leave", lambda _self: left.append(True))
    monkeypatch.setattr(Reader, "discard", lambda _self: left.append(False))
    with pytest.raises(CommitError, match="no coordinator"):
        run(first_column, [CommitError("no coordinator")])
    assert left == [False]


ENDS = [ReadError("gone"), UnusableError("a hang"), FencedError("replaced")]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_what_is_committed_while_the_reader_fails_is_reported(make, producer, error):
    def fail() -> Exception:
        wait_for(lambda: producer.committed, "a commit", DEADLINE_S)
        return error

    made, reported = make(first_column, [batch((KEPT, b"1"), (KEPT, b"2")), fail])
    with pytest.raises(type(error)):
        made.run()
    assert reported == []
    made.close()
    assert (producer.committed, reported) == ([{KEPT: 2}], [2])


def test_a_commit_under_way_is_waited_for_where_the_reader_has_failed(make, producer, monkeypatch):
    monkeypatch.setattr(pipeline, "_LAST_ANSWER_S", DEADLINE_S)

    def fail() -> Exception:
        assert producer.is_open.wait(DEADLINE_S)
        return ReadError("gone")

    producer.may_commit.clear()
    made, reported = make(first_column, [batch((KEPT, b"1"), (KEPT, b"2")), fail])
    with pytest.raises(ReadError):
        made.run()
    threading.Timer(0.1, producer.may_commit.set).start()
    made.close()
    assert (producer.committed, reported) == ([{KEPT: 2}], [2])


def test_a_commit_that_ends_late_while_stopping_is_reported(make, producer, monkeypatch):
    monkeypatch.setattr(pipeline, "_STOP_S", 0.0)
    producer.may_commit.clear()
    made, reported = make(
        first_column,
        [batch((KEPT, b"1"), (KEPT, b"2")), batch()],
        lambda _reader: None,
        producer.is_open.is_set,
    )
    made.run()
    assert reported == []
    threading.Timer(0.1, producer.may_commit.set).start()
    made.close()
    assert (producer.committed, reported) == ([{KEPT: 2}], [2])
