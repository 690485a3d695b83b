"""Which records are acknowledged, and what may be committed."""

from collections import defaultdict
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.messages import fill, message
from tests.unit.properties import few
from tfkafka.chunk import Chunk, TopicPartition, concat
from tfkafka.errors import CommitError, TopicError
from tfkafka.reading import commits
from tfkafka.reading.commits import Committer, OffsetTracker


def chunk(*places: tuple[int, int], topic: str = "t") -> Chunk:
    return fill(message(partition=p, offset=offset, topic=topic) for p, offset in places)


@pytest.fixture
def tracker() -> OffsetTracker:
    """Partition 0 has offsets 0, 1, 3, 4 (2 is missing), partition 1 has 7, 8; in two chunks."""
    tracker = OffsetTracker()
    for part in (chunk((0, 0), (1, 7), (0, 1)), chunk((0, 3), (1, 8), (0, 4))):
        tracker.deliver(part, part)
    return tracker


@pytest.mark.parametrize(
    ("acknowledged", "expected"),
    [
        (0, {("t", 0): 0, ("t", 1): 7}),
        (1, {("t", 0): 1, ("t", 1): 7}),
        (2, {("t", 0): 1, ("t", 1): 8}),
        (3, {("t", 0): 3, ("t", 1): 8}),
        (4, {("t", 0): 4, ("t", 1): 8}),
        (6, {("t", 0): 5, ("t", 1): 9}),
    ],
)
def test_committable_is_after_what_is_acknowledged(tracker, acknowledged, expected):
    tracker.acknowledge_first(acknowledged)
    assert tracker.committable() == expected


def test_out_of_order_the_oldest_record_not_acknowledged_is_the_limit(tracker):
    everything = [(0, 4), (1, 8), (0, 0), (0, 3), (1, 7), (0, 1)]
    limits = [(0, 7), (0, 7), (1, 7), (1, 7), (1, 9), (5, 9)]
    for (partition, offset), (first, second) in zip(everything, limits, strict=True):
        tracker.acknowledge(["t"], np.array([partition]), np.array([offset]))
        assert tracker.committable() == {("t", 0): first, ("t", 1): second}


def test_what_became_no_element_counts_as_acknowledged():
    tracker = OffsetTracker()
    tracker.deliver(chunk((0, 0), (0, 1), (0, 2)), chunk((0, 1)))
    tracker.deliver(chunk((0, 3)), chunk())
    assert tracker.committable() == {("t", 0): 1}
    tracker.acknowledge_first(1)
    assert tracker.committable() == {("t", 0): 4}
    tracker.deliver(chunk((0, 4), (0, 5)), chunk((0, 4), (0, 5)))
    tracker.acknowledge_first(2)
    assert tracker.committable() == {("t", 0): 5}


def test_topics_are_told_apart_where_all_of_one_became_no_element():
    """Partition 0 of topic u has a bad record alone, t's are elements."""
    good, bad = chunk((0, 100), (0, 101)), chunk((0, 0), topic="u")
    tracker = OffsetTracker()
    tracker.deliver(concat([good, bad]), good)
    tracker.acknowledge_first(1)
    assert tracker.committable() == {("t", 0): 101, ("u", 0): 1}
    tracker.acknowledge(["u"], np.array([0]), np.array([101]))
    assert tracker.committable() == {("t", 0): 101, ("u", 0): 1}


def test_partitions_of_another_member_are_forgotten(tracker):
    tracker.acknowledge_first(6)
    tracker.forget([("t", 0)])
    assert tracker.committable() == {("t", 1): 9}


def test_what_another_member_has_now_does_not_keep_the_rest(tracker):
    """Nobody will acknowledge it here, so nothing may wait for it."""
    tracker.forget([("t", 0)])
    tracker.acknowledge(["t"] * 2, np.array([1, 1]), np.array([7, 8]))
    assert tracker.committable() == {("t", 1): 9}
    assert not tracker._delivered


def test_topics_are_told_apart():
    tracker = OffsetTracker()
    both = fill([message(topic="a", offset=1), message(topic="b", offset=1)])
    tracker.deliver(both, both)
    tracker.acknowledge(["b"], np.array([0]), np.array([1]))
    assert tracker.committable() == {("a", 0): 1, ("b", 0): 2}


SOURCES = [TopicPartition(topic, number) for topic in ("t", "u") for number in (0, 1)]


@dataclass
class Element:
    number: int
    source: TopicPartition
    offset: int
    is_acknowledged: bool = False


class Model:
    """What `OffsetTracker` is to do, a record at a time."""

    def __init__(self):
        self.elements: list[Element] = []
        self.count = 0
        self.ends: dict[TopicPartition, int] = {}

    def deliver(self, source: TopicPartition, offset: int, is_kept: bool) -> None:
        self.ends[source] = offset + 1
        if is_kept:
            self.elements.append(Element(self.count, source, offset))
            self.count += 1

    def acknowledge(self, condition) -> None:
        for element in filter(condition, self.elements):
            element.is_acknowledged = True

    def forget(self, sources) -> None:
        self.elements = [element for element in self.elements if element.source not in sources]
        self.ends = {source: end for source, end in self.ends.items() if source not in sources}

    def committable(self) -> dict[TopicPartition, int]:
        missing = defaultdict(list)
        for element in self.elements:
            if not element.is_acknowledged:
                missing[element.source].append(element.offset)
        return {source: min(missing[source], default=end) for source, end in self.ends.items()}


ROWS = st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(1, 2), st.booleans()), max_size=6)
PLACES = st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, 12)), max_size=8)
STEP = st.one_of(
    st.tuples(st.just("deliver"), ROWS),
    st.tuples(st.just("deliver"), ROWS),
    st.tuples(st.just("acknowledge"), PLACES),
    st.tuples(st.just("acknowledge"), PLACES),
    st.tuples(st.just("first"), st.integers(0, 9)),
    st.tuples(st.just("all"), st.none()),
    st.tuples(st.just("forget"), st.lists(st.sampled_from(SOURCES), max_size=2)),
)


@settings(few, max_examples=60)
@given(steps=st.lists(STEP, max_size=12))
def test_committable_is_the_first_record_not_acknowledged(steps):
    """Whatever was delivered, acknowledged and forgotten before."""
    tracker, model = OffsetTracker(), Model()
    last = dict.fromkeys(SOURCES, -1)
    for kind, argument in steps:
        if kind == "deliver":
            messages, kept = [], []
            for source, step, is_kept in argument:
                last[source] += step
                model.deliver(source, last[source], is_kept)
                messages.append(message(None, None, source.partition, last[source], source.topic))
                kept.append(is_kept)
            delivered = fill(messages)
            tracker.deliver(delivered, delivered.select(np.array(kept, np.bool_)))
        elif kind == "acknowledge":
            wanted = set(argument)
            model.acknowledge(lambda each, wanted=wanted: (each.source, each.offset) in wanted)
            tracker.acknowledge(
                [source.topic for source, _ in argument],
                np.array([source.partition for source, _ in argument], np.int32),
                np.array([offset for _, offset in argument], np.int64),
            )
        elif kind == "first":
            model.acknowledge(lambda each, count=argument: each.number < count)
            tracker.acknowledge_first(argument)
        elif kind == "all":
            model.acknowledge(lambda _each: True)
            tracker.acknowledge_all()
        else:
            model.forget(argument)
            tracker.forget(argument)
            last |= dict.fromkeys(argument, -1)  # read again, from its beginning
        assert tracker.committable() == model.committable()
        assert tracker.committable() == model.committable()


def test_acknowledged_chunks_are_let_go_of(tracker):
    tracker.acknowledge_all()
    tracker.committable()
    assert not tracker._delivered


class FakeConsumer:
    """Notes what is committed; `refuses` is raised by the commit that waits."""

    def __init__(self):
        self.sent: list[dict] = []
        self.waited: list[dict] = []
        self.refuses: CommitError | None = None

    def commit_soon(self, positions):
        self.sent.append(dict(positions))

    def commit(self, positions):
        self.waited.append(dict(positions))
        if self.refuses is not None:
            raise self.refuses


A, B = SOURCES[:2]


def test_offsets_are_committed_once():
    committer, consumer = Committer(), FakeConsumer()
    committer.send(consumer, {A: 3}, [])
    assert committer.is_waiting() and not committer.is_awaited()
    committer.on_commit(None, {A: 3})
    assert not committer.is_waiting()
    committer.send(consumer, {A: 3}, [])
    committer.send(consumer, {A: 3, B: 5}, [])
    assert consumer.sent == [{A: 3}, {B: 5}]


def test_what_was_forgotten_is_committed_again():
    committer, consumer = Committer(), FakeConsumer()
    for _ in range(2):
        committer.send(consumer, {A: 3}, [])
        committer.on_commit(None, {A: 3})
        committer.forget([A])
    assert consumer.sent == [{A: 3}, {A: 3}]


def test_answers_come_in_the_order_of_the_commits():
    committer, consumer = Committer(), FakeConsumer()
    first, second, at_once = Future(), Future(), Future()
    committer.send(consumer, {A: 3}, [first])
    committer.send(consumer, {A: 4}, [second])
    assert committer.is_awaited()
    committer.on_commit(None, {A: 3})
    # Accepted already; but what is under way may be refused.
    third = Future()
    committer.send(consumer, {A: 3}, [third])
    assert len(consumer.sent) == 2 and not third.done()
    assert first.done() and not second.done()
    failure = CommitError("refused")
    committer.on_commit(failure, {})
    assert first.result(0) is None
    assert second.exception(0) is third.exception(0) is failure
    committer.send(consumer, {A: 3}, [at_once])
    assert at_once.result(0) is None and len(consumer.sent) == 2


def test_a_failure_that_nobody_waits_for_is_raised():
    committer, consumer = Committer(), FakeConsumer()
    committer.send(consumer, {A: 3}, [])
    with pytest.raises(CommitError, match="refused"):
        committer.on_commit(CommitError("refused"), {})


def test_waiting_without_polling_takes_over_what_is_under_way():
    committer, consumer = Committer(), FakeConsumer()
    first, second = Future(), Future()
    committer.send(consumer, {A: 3}, [first])
    committer.send_and_wait(consumer, {B: 5}, [second])
    assert consumer.waited == [{A: 3, B: 5}]
    assert first.result(0) is None and second.result(0) is None
    committer.on_commit(None, {A: 3})  # the first one's own answer
    assert not committer.is_waiting()
    consumer.refuses = CommitError("refused")
    third = Future()
    committer.send_and_wait(consumer, {A: 9}, [third])
    assert third.exception(0) is consumer.refuses


def test_after_giving_up_no_answer_counts():
    committer, consumer = Committer(), FakeConsumer()
    first, second = Future(), Future()
    committer.send(consumer, {A: 3}, [first])
    committer.give_up([second])
    for answer in (first, second):
        with pytest.raises(CommitError, match="were not committed: the group was left"):
            answer.result(0)
    committer.on_commit(CommitError("late"), {})
    assert not committer.is_waiting()


def test_a_commit_is_held_until_its_topics_are_confirmed():
    committer, consumer = Committer(), FakeConsumer()
    first, second, answer = Future(), Future(), Future()
    committer.hold({A: 3, B: 4}, [answer], first)
    committer.hold({A: 5}, [], second)
    second.set_result(None)
    committer.send_confirmed(consumer)
    assert not consumer.sent and committer.is_holding() and committer.is_awaited()
    committer.forget([B])
    first.set_result(None)
    committer.send_confirmed(consumer)
    assert consumer.sent == [{A: 3}, {A: 5}] and not committer.is_holding()
    committer.on_commit(None, {A: 3})
    assert answer.done()


def test_a_commit_for_another_topic_is_never_sent():
    committer, consumer = Committer(), FakeConsumer()
    check, answer = Future(), Future()
    committer.hold({A: 3}, [answer], check)
    check.set_exception(TopicError("created again"))
    with pytest.raises(TopicError, match="created again"):
        committer.send_confirmed(consumer)
    committer.give_up([])
    assert not consumer.sent
    with pytest.raises(CommitError):
        answer.result(0)


def test_a_commit_that_is_waited_for_takes_over_what_is_held():
    committer, consumer = Committer(), FakeConsumer()
    answer = Future()
    committer.hold({A: 3}, [answer], Future())
    committer.send_and_wait(consumer, {B: 5}, [])
    assert consumer.waited == [{A: 3, B: 5}] and answer.done() and not committer.is_holding()


def without_coordinator() -> CommitError:
    failure = CommitError("waiting for coordinator")
    failure.__cause__ = KafkaException(KafkaError(KafkaError._WAIT_COORD))
    return failure


class Again:
    """Notes what a committer asks for again, and is its patience."""

    def __init__(self, patience_s: float = 60.0):
        self.wanted: list[tuple[dict, list]] = []
        note = lambda _positions: None  # noqa: E731
        self.committer = Committer(note, lambda *asked: self.wanted.append(asked), patience_s)


def test_a_commit_that_no_coordinator_got_is_asked_for_again():
    again, consumer, answer = Again(), FakeConsumer(), Future()
    again.committer.send(consumer, {A: 3}, [answer])
    again.committer.on_commit(without_coordinator(), {})
    assert again.wanted == [({A: 3}, [answer])] and not answer.done()
    consumer.refuses = without_coordinator()
    again.committer.send_and_wait(consumer, {A: 3}, [answer])
    assert again.wanted[1:] == [({A: 3}, [answer])] and not answer.done()
    again.committer.send(consumer, {A: 3}, [answer])
    again.committer.on_commit(None, {A: 3})
    assert answer.result(0) is None and len(again.wanted) == 2


def test_offsets_do_not_go_back_when_a_commit_is_asked_for_again():
    again, consumer = Again(), FakeConsumer()
    again.committer.send(consumer, {A: 3, B: 7}, [])
    again.committer.send(consumer, {A: 4}, [])
    again.committer.hold({B: 8}, [], Future())
    again.committer.on_commit(without_coordinator(), {})
    assert again.wanted == [({}, [])]
    again.committer.on_commit(None, {A: 4})
    again.committer.send(consumer, {A: 3}, [])
    again.committer.on_commit(without_coordinator(), {})
    assert again.wanted == [({}, []), ({}, [])]


def test_a_group_without_a_coordinator_for_too_long_is_an_error():
    again, consumer, answer = Again(patience_s=0), FakeConsumer(), Future()
    again.committer.send(consumer, {A: 3}, [])
    with pytest.raises(CommitError, match="coordinator"):
        again.committer.on_commit(without_coordinator(), {})
    consumer.refuses = without_coordinator()
    again.committer.send_and_wait(consumer, {A: 4}, [answer])
    assert answer.exception(0) is consumer.refuses and not again.wanted


@pytest.mark.parametrize("way", ["soon", "waited for"])
def test_a_coordinator_that_has_answered_may_be_away_again(way, monkeypatch):
    now_s = 1.0
    monkeypatch.setattr(commits.time, "monotonic", lambda: now_s)
    again, consumer, answer = Again(patience_s=60), FakeConsumer(), Future()
    again.committer.send(consumer, {A: 3}, [])
    again.committer.on_commit(without_coordinator(), {})
    now_s += 50
    if way == "soon":
        again.committer.send(consumer, {A: 3}, [])
        again.committer.on_commit(None, {A: 3})
    else:
        again.committer.send_and_wait(consumer, {A: 3}, [])
    now_s += 50
    again.committer.send(consumer, {A: 4}, [answer])
    again.committer.on_commit(without_coordinator(), {})
    assert again.wanted == [({A: 3}, []), ({A: 4}, [answer])]


def test_another_refusal_is_not_asked_for_again():
    again, consumer, answer = Again(), FakeConsumer(), Future()
    again.committer.send(consumer, {A: 3}, [answer])
    again.committer.on_commit(CommitError("refused"), {})
    assert isinstance(answer.exception(0), CommitError) and not again.wanted


@pytest.mark.parametrize("way", ["failed", "held", "taken over", "failed again"])
def test_a_commit_of_a_lost_partition_is_not_sent_again(way):
    """Another member may have committed more, or the partition was truncated below it."""
    again, consumer, answer = Again(), FakeConsumer(), Future()
    if way == "held":
        again.committer.hold({A: 10, B: 3}, [answer], Future())
    else:
        again.committer.send(consumer, {A: 10, B: 3}, [answer])
    again.committer.forget([A])
    if way == "failed":
        again.committer.on_commit(without_coordinator(), {})
        assert again.wanted == [({B: 3}, [answer])]
    elif way == "taken over":
        again.committer.send_and_wait(consumer, {}, [])
        assert consumer.waited == [{B: 3}] and answer.done()
    else:
        consumer.refuses = without_coordinator()
        again.committer.send_and_wait(consumer, {}, [])
        assert again.wanted == [({B: 3}, [answer])]


def test_a_late_answer_says_nothing_of_what_was_lost_meanwhile():
    """A partition that was truncated has lower offsets to commit after that."""
    again, consumer, answer = Again(), FakeConsumer(), Future()
    again.committer.send(consumer, {A: 100}, [answer])
    again.committer.forget([A])
    again.committer.on_commit(None, {A: 100})
    assert answer.result(0) is None
    again.committer.send(consumer, {A: 60}, [])
    again.committer.on_commit(without_coordinator(), {})
    assert again.wanted == [({A: 60}, [])]
