"""Whether a topic is still the one that it was, without a broker."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextlib import suppress

import pytest

from tfkafka.client import identity
from tfkafka.client.cluster import TopicDescription
from tfkafka.client.identity import Identities, TopicGuard, topics_before_offsets
from tfkafka.client.topics import missing_topic
from tfkafka.errors import OffsetError, ReadError, TopicError
from tfkafka.testing import wait_for

DEADLINE_S = 30


class FakeCluster:
    """Has the topics in `ids`; None: without an id."""

    servers = "h:1"

    def __init__(self, **ids: str | None):
        self.ids = ids
        self.cluster = "c"
        self.described: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def describe(self, topic: str) -> TopicDescription:
        assert self.may_answer.wait(DEADLINE_S)
        self.described.append(topic)
        if topic not in self.ids:
            raise missing_topic(topic, self.servers)
        return TopicDescription(self.ids[topic], [0])

    def cluster_id(self) -> str:
        return self.cluster


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(identity, "INTERVAL_S", 0.0)
    monkeypatch.setattr(identity, "MISSING_S", 0.1)


@pytest.fixture
def make():
    """make(**ids) -> (a guard that knows topic t, its cluster)."""
    guards = []

    def made(**ids):
        cluster = FakeCluster(**ids)
        guards.append(TopicGuard(cluster))
        return guards[-1], cluster

    yield made
    for guard in guards:
        guard.close()


def test_the_same_topic(make):
    guard, _ = make(t="1")
    assert guard.learn("t").partitions == [0]
    guard.learn("t")
    guard.confirm(["t"])
    guard.confirm()
    assert guard.ask(["t"]).result(DEADLINE_S) is None


def test_a_topic_that_was_created_again(make):
    guard, cluster = make(t="1")
    guard.learn("t")
    cluster.ids["t"] = "2"
    text = r"^topic t on h:1 was deleted and created again \(its id is 2, was 1\)"
    for call in (guard.learn, lambda topic: guard.confirm([topic])):
        with pytest.raises(TopicError, match=text):
            call("t")
    with pytest.raises(TopicError, match=text):
        guard.ask(["t"]).result(DEADLINE_S)
    cluster.ids["t"] = "1"
    assert guard.ask(["t"]).result(DEADLINE_S) is None


def test_the_identity_that_was_expected_counts(make):
    guard, _ = make(t="2")
    guard.expect("t", "1", "c")
    with pytest.raises(TopicError, match="was deleted and created again"):
        guard.confirm()


def test_what_one_guard_knows_another_knows():
    known = Identities()
    TopicGuard(FakeCluster(t="1"), known).learn("t")
    with pytest.raises(TopicError, match="was deleted and created again"):
        TopicGuard(FakeCluster(t="2"), known).learn("t")


def test_without_topic_ids_only_the_cluster_is_compared(make):
    """Kafka before 2.8."""
    guard, cluster = make(t=None)
    guard.learn("t")
    guard.confirm()
    cluster.cluster = "d"
    with pytest.raises(TopicError, match=r"^topic t: another cluster answers at h:1 \(its id is d"):
        guard.ask(["t"]).result(DEADLINE_S)


def test_a_topic_that_stays_away_was_deleted(make):
    guard, cluster = make(t="1")
    guard.learn("t")
    del cluster.ids["t"]
    with pytest.raises(ReadError, match="topic t no longer exists: it was deleted"):
        guard.confirm()
    with pytest.raises(TopicError, match="topic t no longer exists: it was deleted"):
        guard.learn("t")
    with pytest.raises(TopicError, match="there is no topic other"):
        guard.learn("other")


def test_a_check_begins_after_it_was_asked_for(make):
    """One that is under way may have been answered before the records were fetched."""
    guard, cluster = make(t="1")
    guard.learn("t")
    cluster.may_answer.clear()
    first = guard.ask(["t"])
    later = [guard.ask(["t"]), guard.ask(["t"])]
    cluster.described.clear()
    cluster.may_answer.set()
    for check in (first, *later):
        assert check.result(DEADLINE_S) is None
    # The first query may already serve all three.
    assert 1 <= len(cluster.described) <= 2


def test_without_a_topic_there_is_nothing_to_ask(make):
    guard, cluster = make(t="1")
    assert guard.ask([]).done() and not cluster.described


@pytest.mark.parametrize(
    ("found", "kind", "text"),
    [
        ("1", OffsetError, "offset 7 is gone"),
        ("2", TopicError, "was deleted and created again"),
        (None, ReadError, "topic t no longer exists"),
    ],
)
def test_an_offset_is_gone_only_where_the_topic_is_the_same(make, found, kind, text):
    guard, cluster = make(t="1")
    guard.learn("t")
    cluster.ids = {} if found is None else {"t": found}
    with pytest.raises(kind, match=text), topics_before_offsets(guard):
        raise OffsetError("offset 7 is gone", topic="t")
    with pytest.raises(ReadError, match="no answer"), topics_before_offsets(guard):
        raise ReadError("no answer")


def test_what_is_watched_is_asked_about_while_nothing_arrives(make, monkeypatch):
    monkeypatch.setattr(identity, "WATCH_S", 0.0)
    guard, cluster = make(t="1", u="1", unwatched="1")
    for topic in cluster.ids:
        guard.learn(topic)
    cluster.ids |= {"t": "2", "unwatched": "2"}

    def watch_u() -> bool:
        guard.watch(["u"])
        return cluster.described.count("u") > 3

    wait_for(watch_u, "topic u to be asked about", DEADLINE_S)
    with pytest.raises(TopicError, match="topic t on h:1 was deleted and created again"):
        wait_for(lambda: guard.watch(["t", "u"]), "topic t to be asked about", DEADLINE_S)


def test_what_was_asked_about_lately_is_not_watched(make, monkeypatch):
    monkeypatch.setattr(identity, "WATCH_S", 3600.0)
    guard, cluster = make(t="1")
    guard.learn("t")
    guard.ask(["t"]).result(DEADLINE_S)
    asked = len(cluster.described)
    guard.watch(["t"])
    guard.ask(["t"]).result(DEADLINE_S)
    assert len(cluster.described) == asked + 1


def test_many_topics_are_watched_in_turn(make):
    names = [f"t{number}" for number in range(25)]
    guard, cluster = make(**dict.fromkeys(names, "1"))
    for name in names:
        guard.learn(name)
    cluster.described.clear()
    guard.watch(names)
    wait_for(lambda: len(cluster.described) >= identity.WATCHED_AT_ONCE, "ten", DEADLINE_S)
    assert len(cluster.described) == identity.WATCHED_AT_ONCE
    wait_for(lambda: guard.watch(names) or len(cluster.described) >= 25, "all", DEADLINE_S)
    assert sorted(cluster.described[:25]) == sorted(names)


def test_watching_raises_nothing_else(make, monkeypatch):
    """Who reads notices by itself that a topic is gone, and where no broker answers."""
    monkeypatch.setattr(identity, "WATCH_S", 0.0)
    guard, cluster = make(t="1", old=None)
    for topic in ("t", "old"):
        guard.learn(topic)
    del cluster.ids["t"]
    cluster.described.clear()

    def watch() -> bool:
        guard.watch(["t", "old"])
        return len(cluster.described) > 5

    wait_for(watch, "the topic to be asked about", DEADLINE_S)
    # Without an id there is nothing to ask.
    assert "old" not in cluster.described
    guard.close()
    guard.watch(["t"])
    guard.watch(["t"])


def test_closing_ends_the_thread_and_cancels_what_was_asked(make):
    before = threading.enumerate()
    guard, cluster = make(t="1")
    guard.learn("t")
    cluster.may_answer.clear()
    first = guard.ask(["t"])
    guard.close()
    cluster.may_answer.set()
    assert guard.ask(["t"]).cancelled()
    # Where the thread had not yet begun. `futures.wait` would not notice that.
    with suppress(CancelledError):
        first.result(DEADLINE_S)
    assert first.done()
    for thread in set(threading.enumerate()).difference(before):
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
