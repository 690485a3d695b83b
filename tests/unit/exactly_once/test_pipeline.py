"""The pipeline of a worker, without Kafka: what a rebalance in the middle of its work does."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tfkafka import CsvDecoder
from tfkafka.chunk import Chunk, Column, TopicPartition
from tfkafka.client.identity import Identities
from tfkafka.errors import CommitError
from tfkafka.exactly_once import InferenceJob, pipeline
from tfkafka.exactly_once.batches import BatchLimits
from tfkafka.metrics.meter import UNMETERED

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
    """Gives these batches, None for an end, or raises them.

    `while_idle` happens once, as `idle` polls.
    """

    def __init__(self, batches, while_idle):
        self._batches, self._while_idle = list(batches), while_idle
        self.rebalances = self.missing = 0
        self.member_id = "member"
        self.lost: list[TopicPartition] = []

    def next_batch(self) -> Chunk | None:
        found = self._batches.pop(0) if self._batches else None
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
    """Keeps the offsets of each transaction."""

    def __init__(self):
        self.committed: list[dict[TopicPartition, int]] = []

    def connect(self) -> None:
        pass

    def refuse_hang(self) -> None:
        pass

    def discard(self) -> None:
        pass

    def transact(self, _records, places, prove) -> None:
        prove()
        self.committed.append(dict(places))


@pytest.fixture
def run(monkeypatch):
    """run(predict, batches, while_idle): what was committed, each transaction's."""
    monkeypatch.setattr(pipeline, "_PATIENCE_S", 0.01)

    def work(predict, batches, while_idle=lambda _reader: None):
        reader, producer = Reader(batches, while_idle), Producer()
        monkeypatch.setattr(pipeline, "BatchReader", lambda *_, **__: reader)
        monkeypatch.setattr(pipeline, "AlternatingProducers", lambda *_: producer)
        events = SimpleNamespace(
            joined=lambda _id: None, committed=lambda *_: None, is_stopped=lambda: False
        )
        made = pipeline.Pipeline(
            InferenceJob(predict, CsvDecoder(1), ["in"], "out", "group"),
            BatchLimits(10, 0, 0),
            {"bootstrap.servers": "localhost:1"},
            10_000,
            events,
            "error",
            Identities(),
            UNMETERED,
        )
        try:
            made.run()
        finally:
            made.close()
        return producer.committed

    return work


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
        run(lambda features: features[:, 0], [CommitError("no coordinator")])
    assert left == [False]
