"""Which records a mini dataset has, from offsets alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tfkafka.chunk import OffsetRange
from tfkafka.client.cluster import End, TopicDescription
from tfkafka.config import FOREVER
from tfkafka.errors import OffsetError, TopicError
from tfkafka.online import planner
from tfkafka.online.planner import TopicEnds, next_plan, share
from tfkafka.reading.ranges import Identity

EPOCH = 3


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeEnds:
    """Gives these ends one after the other, then the last of them forever."""

    topic = "t"

    def __init__(self, *ends: dict[int, int] | None):
        self._ends: Iterator = iter(ends)
        self._last = ends[-1]

    def ends(self) -> dict[int, End] | None:
        found = next(self._ends, self._last)
        return found and {partition: End(end, EPOCH) for partition, end in found.items()}


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(planner, "time", clock)
    return clock


def plan(topic_ends: FakeEnds, positions: dict[int, int], stream_timeout: int = 5000):
    found = next_plan(topic_ends, positions, 100, stream_timeout, lambda: False)
    return found and {each.partition: (each.start, each.stop) for each in found}


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        ({0: 500}, {0: 100}),
        ({0: 30}, {0: 30}),
        ({1: 500, 0: 500}, {0: 50, 1: 50}),
        ({0: 10, 1: 500}, {0: 10, 1: 90}),
        ({0: 500, 1: 500, 2: 500}, {0: 34, 1: 33, 2: 33}),
        ({0: 0, 1: 40, 2: 500}, {0: 0, 1: 40, 2: 60}),
        ({0: 20, 1: 30}, {0: 20, 1: 30}),
        ({}, {}),
    ],
)
def test_shares(available, expected):
    assert share(available, 100) == expected


def test_shares_at_random_are_full_and_possible():
    rng = np.random.default_rng(2)
    for _ in range(200):
        count = int(rng.integers(0, 1000))
        available = {p: int(n) for p, n in enumerate(rng.integers(0, 400, rng.integers(1, 6)))}
        shares = share(available, count)
        assert sum(shares.values()) == min(count, sum(available.values()))
        assert all(0 <= shares[p] <= available[p] for p in available)
        given = [shares[p] for p in available if shares[p] < available[p]]
        assert not given or max(shares.values()) - min(given) <= len(available)


def test_full_mini_datasets_come_at_once(clock):
    assert plan(FakeEnds({0: 1000, 1: 1000}), {0: 100, 1: 200}) == {0: (100, 150), 1: (200, 250)}
    assert clock.now == 100.0


def test_a_rest_waits_until_nothing_came_for_a_second(clock):
    topic_ends = FakeEnds({0: 30}, {0: 30}, {0: 40})
    assert plan(topic_ends, {0: 0}) == {0: (0, 40)}
    assert clock.now == pytest.approx(101.2, abs=0.11)


def test_a_partition_that_is_new_is_read_from_its_start():
    assert plan(FakeEnds({0: 1000, 1: 1000}), {0: 1000}) == {1: (0, 100)}


def test_silence_ends_the_stream(clock):
    assert plan(FakeEnds({0: 10}), {0: 10}) is None
    assert clock.now == pytest.approx(105, abs=0.11)


def test_a_process_that_stood_still_has_not_listened(clock):
    """It may have been stopped after the ends were asked for, so it looks again."""
    topic_ends = FakeEnds({0: 10}, {0: 10}, {0: 110})
    ask = topic_ends.ends

    def ends_and_stop() -> dict[int, End] | None:
        found = ask()
        clock.now += 3600
        return found

    topic_ends.ends = ends_and_stop
    assert plan(topic_ends, {0: 10}) == {0: (10, 110)}


def test_silence_of_a_broker_does_not(clock):
    topic_ends = FakeEnds(*[{0: 10}] * 40, *[None] * 100, {0: 10})
    assert plan(topic_ends, {0: 10}) is None
    assert clock.now == pytest.approx(100 + 4 + 10 + 5, abs=0.3)


def test_forever_ends_when_stopped(clock):
    stopped = next_plan(FakeEnds({0: 10}), {0: 10}, 100, FOREVER, lambda: clock.now > 1e4)
    assert stopped is None and clock.now > 1e4


def test_stopped_before_anything_it_plans_nothing():
    assert next_plan(FakeEnds({0: 1000}), {0: 0}, 100, FOREVER, lambda: True) is None


def test_a_topic_that_was_made_again_is_an_error():
    with pytest.raises(OffsetError, match=r"partition 0: offset 50 comes next, but .* ends at 20"):
        plan(FakeEnds({0: 20}), {0: 50})


def test_ranges_name_the_topic():
    found = next_plan(FakeEnds({0: 1000}), {0: 7}, 100, 0, lambda: False)
    assert found == [OffsetRange("t", 0, 7, 107)]


def test_ranges_have_the_epoch_of_the_leader():
    [found] = next_plan(FakeEnds({0: 1000}), {0: 7}, 100, 0, lambda: False)
    assert found.leader_epoch == EPOCH


class SlowCluster:
    """Answers once `may_answer` is set."""

    servers = "h:1"
    may_answer = threading.Event()
    asked = 0

    def __init__(self, _settings, timeout_ms: int):
        self.timeout_ms = timeout_ms

    def describe(self, _topic: str) -> TopicDescription:
        assert self.timeout_ms == 60_000 and self.may_answer.wait(60)
        return TopicDescription("id", [0])

    def ends(self, _topic: str, partitions: list[int]) -> dict[int, End]:
        SlowCluster.asked += 1
        return dict.fromkeys(partitions, End(7))


def test_an_answer_that_comes_late_counts(monkeypatch):
    monkeypatch.setattr(planner, "Cluster", SlowCluster)
    monkeypatch.setattr(planner, "REQUEST_S", 0.01)
    ends = TopicEnds({}, Identity("t", "cluster", "id"), 60_000)
    assert [ends.ends() for _ in range(3)] == [None] * 3
    monkeypatch.setattr(planner, "REQUEST_S", 60)
    SlowCluster.may_answer.set()
    assert ends.ends() == {0: End(7)}
    assert SlowCluster.asked == 1


class NewCluster:
    """Its topic is created again while the ends are asked."""

    servers = "h:1"

    def __init__(self, *_arguments):
        self.topic_id = "id"

    def describe(self, _topic: str) -> TopicDescription:
        return TopicDescription(self.topic_id, [0])

    def ends(self, _topic: str, partitions: list[int]) -> dict[int, End]:
        self.topic_id = "id-2"
        return dict.fromkeys(partitions, End(7))


def test_the_ends_of_a_topic_that_is_created_again_meanwhile_say_nothing(monkeypatch):
    monkeypatch.setattr(planner, "Cluster", NewCluster)
    ends = TopicEnds({}, Identity("t", "cluster", "id"), 60_000)
    with pytest.raises(TopicError, match="was deleted and created again"):
        plan(ends, {0: 50})
