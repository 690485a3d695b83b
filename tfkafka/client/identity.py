"""Notices that a topic was deleted and created again, or belongs to another cluster.

Fetches and commits name a topic, and a topic that is created again has the same name. So the
topic's id is asked after records were fetched and before they are delivered, before offsets are
committed, and now and then while no records arrive. Kafka has topic ids since 2.8. With an older
broker only the cluster's id is compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from tfkafka.client.cluster import Cluster, TopicDescription
from tfkafka.client.topics import deleted_topic
from tfkafka.errors import OffsetError, ReadError, TopicError

# The least time between two queries. One takes 1 ms of CPU (Kafka 3.9), and is for all records that
# were fetched before it.
INTERVAL_S = 0.02
# How long nobody may have asked about a topic that is watched, and how many are asked at a time.
WATCH_S = 1.0
WATCHED_AT_ONCE = 10
# A broker that has just started may not know the topic yet.
MISSING_S = 1.0
_AGAIN_S = 0.05

# Done once topics are known to be the same; otherwise it has the error that says why not.
Check = Future[None]


@dataclass
class Identities:
    """The ids that topics and their cluster had first; None where a topic's id is unknown."""

    topics: dict[str, str | None] = field(default_factory=dict)
    cluster: str | None = None


class TopicGuard:
    """The identities that topics had first, and whether they still have them.

    Args:
        cluster: asks for the identities.
        known: the identities known so far; new ones are added.
    """

    def __init__(self, cluster: Cluster, known: Identities | None = None):
        self._cluster = cluster
        self._known = known or Identities()
        self._changed = threading.Condition()
        self._topics: set[str] = set()
        self._checks: list[Check] = []
        self._asked_s: dict[str, float] = {}
        self._watch: Check | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def expect(self, topic: str, topic_id: str | None, cluster_id: str) -> None:
        """Expect the identity that a topic had when its records were chosen."""
        self._known.topics[topic], self._known.cluster = topic_id, cluster_id

    def learn(self, topic: str) -> TopicDescription:
        """Return the description of a topic; expect from now on the identity that it had first.

        Raises TopicError where there is no such topic, or no longer, or it is another one;
        ReadError where no broker answers.
        """
        is_known = topic in self._known.topics
        found = (
            self._description_now(topic, TopicError) if is_known else self._cluster.describe(topic)
        )
        if self._known.cluster is None:
            self._known.cluster = self._cluster.cluster_id()
        self._known.topics.setdefault(topic, found.identity)
        self.compare(topic, found)
        return found

    def confirm(self, topics: Iterable[str] | None = None) -> None:
        """Ask whether these topics (None: all known ones) are the same; wait for the answer.

        Raises TopicError where one is another, ReadError where one was deleted or no broker
        answers.
        """
        for topic in list(self._known.topics) if topics is None else topics:
            if self._known.topics[topic] is None:
                self._compare_cluster(topic)
            else:
                self.compare(topic, self._description_now(topic, ReadError))

    def compare(self, topic: str, found: TopicDescription) -> None:
        """Raise TopicError where this describes another topic than the expected one."""
        expected = self._known.topics[topic]
        if found.identity is None or expected is None:
            self._compare_cluster(topic)
        elif found.identity != expected:
            raise TopicError(
                f"topic {topic} on {self._cluster.servers} was deleted and created again (its id "
                f"is {found.identity}, was {expected}): records and offsets of the earlier topic "
                f"say nothing about this one; begin again to read it",
                topic=topic,
            )

    def ask(self, topics: Iterable[str]) -> Check:
        """Return a check of these topics that begins after this call. Does not wait."""
        check: Check = Future()
        topics = set(topics)
        if not topics:
            check.set_result(None)
            return check
        with self._changed:
            if self._is_closed:
                check.cancel()
                return check
            self._topics.update(topics)
            self._asked_s |= dict.fromkeys(topics, time.monotonic())
            self._checks.append(check)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="tfkafka-identity", daemon=True
                )
                self._thread.start()
        return check

    def watch(self, topics: Iterable[str]) -> None:
        """Ask about those of these topics that nobody has asked about lately. Does not wait.

        Call it often while reading. There may be no records to ask about: librdkafka 2.16 ignores
        the leaders of a topic that was created again where the earlier topic's had greater epochs,
        and then fetches nothing, forever.

        Raises TopicError where an earlier call has found that a topic is another one.
        """
        if self._watch is not None:
            if not self._watch.done():
                return
            asked, self._watch = self._watch, None
            # Who reads notices by itself that no broker answers, or that a topic is gone.
            if not asked.cancelled() and isinstance(error := asked.exception(), TopicError):
                raise error
        due_s = time.monotonic() - WATCH_S
        never_s = due_s - 1
        quiet = {
            topic: self._asked_s.get(topic, never_s)
            for topic in topics
            if self._known.topics.get(topic) is not None
        }
        due = [topic for topic in sorted(quiet, key=quiet.__getitem__) if quiet[topic] <= due_s]
        if due:
            self._watch = self.ask(due[:WATCHED_AT_ONCE])

    def close(self) -> None:
        """Stop asking; checks that are not done are cancelled."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        asked_s = -INTERVAL_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._checks or self._is_closed)
                wait_s = asked_s + INTERVAL_S - time.monotonic()
                self._changed.wait_for(lambda: self._is_closed, max(0.0, wait_s))
                topics, self._topics = self._topics, set()
                checks, self._checks = self._checks, []
                if self._is_closed:
                    break
            asked_s = time.monotonic()
            self._decide(topics, checks)
        for check in checks:
            check.cancel()

    def _decide(self, topics: Iterable[str], checks: Iterable[Check]) -> None:
        try:
            self.confirm(topics)
        except Exception as error:
            for check in checks:
                check.set_exception(error)
        else:
            for check in checks:
                check.set_result(None)

    def _description_now(self, topic: str, gone: type[ReadError | TopicError]) -> TopicDescription:
        """Return the description of a topic that was there before; raise `gone` without it."""
        deadline = time.monotonic() + MISSING_S
        while True:
            try:
                return self._cluster.describe(topic)
            except TopicError:
                if time.monotonic() > deadline:
                    raise deleted_topic(topic, gone) from None
            time.sleep(_AGAIN_S)

    def _compare_cluster(self, topic: str) -> None:
        found = self._cluster.cluster_id()
        if found != self._known.cluster:
            raise TopicError(
                f"topic {topic}: another cluster answers at {self._cluster.servers} (its id is "
                f"{found}, was {self._known.cluster}): begin again to read its topic",
                topic=topic,
            )


@contextmanager
def topics_before_offsets(guard: TopicGuard) -> Iterator[None]:
    """Raise what `guard` says of its topics instead of an OffsetError, where they are not the same.

    An offset that a topic does not have says nothing about the earlier topic of the same name.
    """
    try:
        yield
    except OffsetError:
        guard.confirm()
        raise
