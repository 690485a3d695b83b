"""What a member of a group commits, and when; without a broker."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from tests.unit.messages import fill, message
from tests.unit.reading.test_commits import without_coordinator
from tfkafka.chunk import TopicPartition, empty
from tfkafka.client.consumer import Polled
from tfkafka.config import Limits
from tfkafka.reading import member
from tfkafka.reading.member import GroupMember

A, B = TopicPartition("t", 0), TopicPartition("t", 1)
WAIT_S = 10.0


class FakeConsumer:
    """Notes commits; one that waits finds no coordinator while `is_lacking`."""

    def __init__(self):
        self.sent: list[dict] = []
        self.waited: list[dict] = []
        self.unanswered: list[dict] = []
        self.is_lacking = False

    def commit_soon(self, positions):
        self.sent.append(dict(positions))
        self.unanswered.append(dict(positions))

    def commit(self, positions):
        self.waited.append(dict(positions))
        if self.is_lacking:
            raise without_coordinator()

    def close(self):
        pass


class FakeGuard:
    """Confirms all topics at once."""

    def confirm(self, topics=None):
        pass

    def ask(self, _topics):
        check = Future()
        check.set_result(None)
        return check

    def close(self):
        pass


class FakeGroup:
    """Has A and B, and a record in each poll that is not paused.

    Each poll calls what is next in `script`; a poll without that answers the commits under way.
    """

    is_assigned = True
    assignments = 1

    def __init__(self, *_arguments, after_loss, on_commit, **_options):
        self.after_loss, self.on_commit = after_loss, on_commit
        self.consumer, self.guard = FakeConsumer(), FakeGuard()
        self.script: list = []
        self.is_paused = self.has_records = False
        self.polls = 0

    def join(self):
        pass

    def poll(self, _timeout_s):
        self.polls += 1
        if self.script:
            self.script.pop(0)()
        else:
            while self.consumer.unanswered:
                self.on_commit(None, self.consumer.unanswered.pop(0))
        is_silent = self.is_paused or not self.has_records
        return Polled(empty() if is_silent else fill([message(partition=0, offset=self.polls)]))

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False

    def commit(self, positions):
        self.consumer.waited.append(dict(positions))

    def mine(self, positions):
        return dict(positions)

    def current(self, chunk):
        return chunk

    def is_over(self, _silence_s):
        return False

    def advance(self, _polled):
        pass

    note_committed = advance

    def keep_positions(self):
        pass


@pytest.fixture
def joined(monkeypatch):
    """A GroupMember whose group and buffer of one record are at hand: `_group`, `_buffer`."""
    monkeypatch.setattr(member, "GroupConsumer", FakeGroup)
    limits = Limits(prefetch_bytes=10, broker_timeout=1000)
    made = GroupMember(["t"], {"group.id": "g"}, limits, -1, lambda _partitions: None)
    yield made
    made.close()


def in_poll(joined, *calls) -> None:
    """Call these in the polling thread, each in a poll of its own, and wait for that."""
    done = threading.Event()
    joined._group.script += [*calls, done.set]
    assert done.wait(WAIT_S)


def test_what_was_to_be_committed_of_a_lost_partition_is_not(joined):
    """Also where it is assigned again: another member may have committed more meanwhile."""

    def lose() -> None:
        # Asked for while it is lost: another thread has set them.
        asking = threading.Thread(target=joined.commit, args=({A: 10, B: 5}, False))
        asking.start()
        asking.join()
        joined._group.after_loss([A])

    in_poll(joined, lose)
    joined.commit({B: 6}, wait=True)
    assert {A} & {key for sent in joined._group.consumer.sent for key in sent} == set()
    assert joined._group.consumer.sent[-1] == {B: 6}


def test_a_member_polls_while_a_commit_finds_no_coordinator_and_the_buffer_is_full(joined):
    """Without polling it would lose its membership, where the coordinator is away for long."""
    group, buffer = joined._group, joined._buffer
    group.has_records = group.consumer.is_lacking = True
    with buffer.changed:
        assert buffer.changed.wait_for(lambda: not buffer.has_room(), WAIT_S)
    joined.commit({A: 1}, wait=True)
    assert group.consumer.sent == [{A: 1}] and len(group.consumer.waited) <= 1
    assert group.is_paused


def test_offsets_do_not_go_back_where_a_callback_has_committed_more(joined):
    """B's partition is kept, and its earlier commit has found no coordinator."""
    group = joined._group

    def rebalance() -> None:
        joined.commit({A: 10, B: 20}, wait=True)
        group.after_loss([A])

    def answer() -> None:
        group.on_commit(without_coordinator(), {})
        group.consumer.unanswered.clear()

    def ask() -> None:
        joined._want_again({B: 10}, [])

    # It is held in the second poll, and sent in the third.
    in_poll(joined, ask, lambda: None, rebalance, answer)
    joined.commit({B: 21}, wait=True)
    assert group.consumer.waited == [{A: 10, B: 20}]
    assert group.consumer.sent == [{B: 10}, {B: 21}]
