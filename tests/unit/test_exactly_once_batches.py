"""Batches of a group while partitions change hands, without a broker."""

from __future__ import annotations

import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from tests.unit.messages import message
from tfkafka.exactly_once import batches
from tfkafka.exactly_once.batches import BatchReader, Extent
from tfkafka.intake import Limits, Taken


class FakeConsumer:
    """One partition, t 0, of 8 records, of which the group has committed 3."""

    committed_offset = 3

    def __init__(self):
        self.assigned: list[int] = []

    def subscribe(self, _topics, on_assign, on_revoke, on_lost):
        self.on_assign, self.on_revoke = on_assign, on_revoke

    def committed(self, partitions, timeout):
        return [TopicPartition(p.topic, p.partition, self.committed_offset) for p in partitions]

    def get_watermark_offsets(self, _partition, timeout):
        return 0, 8

    def assign(self, partitions):
        self.assigned.append(partitions[0].offset)

    def assignment(self):
        return [TopicPartition("t", 0)]

    def memberid(self):
        return "member"

    def resume(self, _partitions):
        pass


class FakeIntake:
    """Gives what `script` says: lists of offsets, before each of which a function is called."""

    def __init__(self, *_arguments):
        self.consumer = FakeConsumer()
        self.script: list = []

    def take(self, _timeout_s, _at_most) -> Taken:
        happens, offsets = self.script.pop(0)
        happens(self.consumer)
        return Taken([message(offset=offset) for offset in offsets], [])


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(batches, "Intake", FakeIntake)
    return BatchReader(["t"], {}, Extent(4, 0, 0), Limits(), lambda: None, patience_s=1)


def nothing(_consumer):
    pass


def assign(consumer):
    consumer.on_assign(consumer, consumer.assignment())


def rebalance(consumer):
    consumer.on_revoke(consumer, consumer.assignment())
    assign(consumer)


def offsets_of(reader) -> list[int]:
    return reader.next_batch().offsets.tolist()


def test_begins_at_the_committed_offset(reader):
    intake = reader._intake
    intake.script = [(assign, []), (nothing, [3, 4])]
    assert offsets_of(reader) == []
    assert offsets_of(reader) == [3, 4]
    assert intake.consumer.assigned == [3]


def test_begins_at_the_beginning_where_nothing_is_committed(reader):
    intake = reader._intake
    intake.consumer.committed_offset = -1001
    intake.script = [(assign, [])]
    reader.next_batch()
    assert intake.consumer.assigned == [OFFSET_BEGINNING]


def test_records_taken_while_partitions_change_hands_are_read_again(reader):
    """They are from before or from after the change: nobody can tell."""
    intake = reader._intake
    intake.script = [(assign, []), (nothing, [3]), (rebalance, [4]), (nothing, [3, 4])]
    assert offsets_of(reader) == []
    assert offsets_of(reader) == [3]
    assert offsets_of(reader) == []
    assert intake.consumer.assigned == [3, 3, 3]
    assert offsets_of(reader) == [3, 4]


def test_a_rebalance_drops_what_was_collected(monkeypatch, reader):
    patient = Extent(4, 10_000, 0)
    reader._extent = patient
    intake = reader._intake
    intake.script = [(assign, []), (nothing, [3, 4]), (rebalance, []), (nothing, [3, 4, 5, 6])]
    assert [offsets_of(reader) for _ in range(3)] == [[], [], []]
    assert offsets_of(reader) == [3, 4, 5, 6]


def test_the_stream_ends_where_the_partition_ended(reader):
    intake = reader._intake
    intake.script = [(assign, []), (nothing, [3, 4, 5, 6]), (nothing, [7]), (nothing, [])]
    assert [offsets_of(reader) for _ in range(3)] == [[], [3, 4, 5, 6], [7]]
    assert reader.next_batch() is None
