"""A member that loses partitions: what it has in its hands, and what it takes for an end."""

from types import SimpleNamespace

import pytest
from confluent_kafka import TopicPartition

from tests.unit.messages import message
from tfkafka.intake import PIECE_RECORDS, Intake, Limits
from tfkafka.session import GroupSession

SETTINGS = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}
MINE = TopicPartition("t", 0)


class Rebalancing:
    """A consumer that loses partition 0 between two messages."""

    def __init__(self, intake: Intake):
        self.intake = intake

    def poll(self, _timeout):
        return message(b"first", partition=0, offset=7)

    def consume(self, _count, _timeout):
        self.intake.forget({("t", 0)})
        return [message(b"second", partition=1, offset=3)]


def test_a_message_of_a_partition_that_was_lost_meanwhile_is_dropped():
    intake = Intake(SETTINGS, Limits(), ["t"])
    intake.consumer = Rebalancing(intake)
    assert [m.value() for m in intake.take(0.1).records] == [b"second"]


class RebalancingLater(Rebalancing):
    """A consumer that loses partition 0 after a piece of a large chunk."""

    def consume(self, count, timeout):
        if len(self.intake._in_hand) == 1:
            return [message(b"first", partition=0, offset=8)] * count
        return super().consume(count, timeout)


def test_nor_is_one_of_an_earlier_piece_kept():
    intake = Intake(SETTINGS, Limits(), ["t"])
    intake.consumer = RebalancingLater(intake)
    intake._size = 3 * PIECE_RECORDS
    assert [m.value() for m in intake.take(0.1).records] == [b"second"]


@pytest.fixture
def session():
    session = GroupSession(["t"], SETTINGS, Limits(), 1, lambda partitions: None)
    yield session
    session.close()


def test_between_two_assignments_no_stream_is_over(session, monkeypatch):
    monkeypatch.setattr(session._intake, "is_alive", lambda: True)
    consumer = SimpleNamespace(resume=lambda partitions: None)
    session._on_assign(consumer, [MINE])
    session._on_lost(consumer, [MINE])
    session._silence_s = 99.0
    assert not session._is_over()
    session._on_assign(consumer, [])
    session._silence_s = 99.0
    assert session._is_over()
