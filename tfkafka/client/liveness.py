"""What a consumer's silence means: no records, no broker, or no topic."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import confluent_kafka
from confluent_kafka import KafkaException
from confluent_kafka.admin import ClusterMetadata

from tfkafka import config
from tfkafka._util.silence import Silence
from tfkafka._util.text import of_topics, only
from tfkafka.client import codes
from tfkafka.client.diagnosis import Connection, NoConnection, with_right
from tfkafka.client.topics import (
    ask_while_new,
    deleted_topic,
    is_deleted,
    missing_topic,
)
from tfkafka.errors import ReadError, TfkafkaError, TopicError

PROBE_AFTER_S = 1.0
# A broker answers in order: first a fetch, which waits up to `fetch.wait.max.ms` for records.
FETCH_WAIT_MS = 500
PROBE_MARGIN_S = 0.4
# While a broker refuses this client's token: how often to ask, and for how long, whether it still
# does.
_REFUSED_S = 0.2


def probe_timeout_s(settings: Mapping[str, object]) -> float:
    """Return how long a broker that is there may take to answer a consumer with these settings."""
    wait_ms = config.whole_number(settings, "fetch.wait.max.ms", FETCH_WAIT_MS)
    return wait_ms / 1000 + PROBE_MARGIN_S


class Liveness:
    """When a broker was heard of last; one is asked while a consumer has no records.

    Methods raise ReadError where reading cannot continue.

    Args:
        consumer: confluent-kafka's, which is asked.
        settings: that consumer's settings.
        topics: the topics that are read.
        broker_timeout: ms that a broker may be away.
        connection: notes each answer, and says why there is none.
    """

    def __init__(
        self,
        consumer: confluent_kafka.Consumer,
        settings: Mapping[str, object],
        topics: Iterable[str],
        broker_timeout: int,
        connection: Connection,
    ):
        self._consumer = consumer
        self._servers = settings["bootstrap.servers"]
        self._has_users = config.has_users(settings)
        self._topics = list(topics)
        self._broker_timeout = broker_timeout
        self._connection = connection
        self._probe_timeout_s = probe_timeout_s(settings)
        self._said = "no answer"
        self._existing: set[str] = set()
        self._silence = Silence()
        self.go_on()

    def go_on(self) -> None:
        """Restart the broker's time-out: it was heard of, or nobody has listened."""
        self._heard = self._probed = self._checked = time.monotonic()
        self._silence.end()

    def note_existing(self, topics: Iterable[str]) -> None:
        """Note that these topics exist: where one is missing later, it was deleted."""
        self._existing.update(topics)

    def is_alive(self) -> bool:
        """Return whether a broker answered as recently as it must while no records arrive."""
        return self.unheard_s() < 2 * (PROBE_AFTER_S + self._probe_timeout_s)

    def unheard_s(self) -> float:
        """Return for how many seconds no broker has answered."""
        return time.monotonic() - self._heard

    def failure(self, what: str) -> ReadError:
        """Return the error to raise where no broker has answered for too long."""
        return ReadError(
            f"{what}: no answer from Kafka at {self._servers} for "
            f"{self._broker_timeout} ms ({self._connection.reason(self._said)})",
            topic=only(self._topics),
        )

    def missing(self, topic: str) -> TfkafkaError:
        """Return the error to raise where there is no such topic, or no longer."""
        if topic in self._existing:
            return deleted_topic(topic)
        line = str(missing_topic(topic, self._servers, self._has_users))
        return ReadError(line, topic=topic)

    def check(self) -> None:
        """Ask the broker whether silence means no records, no broker or no topic."""
        self._refuse_no_connection()
        now = time.monotonic()
        self._silence.waited(now - self._checked)
        after_s = _REFUSED_S if self._connection.is_token_refused() else PROBE_AFTER_S
        # A question without a connection would only delay finding out why there is none.
        if now - self._probed >= after_s and not self._connection.is_hopeless():
            self._probed = now
            for topic in self._topics:
                self._probe(topic)
        self._checked = time.monotonic()
        if self._silence.seconds * 1000 > self._broker_timeout:
            raise self.failure(of_topics(self._topics))

    def appears(self, topic: str) -> bool:
        """Return whether a topic that a broker does not know is there after all.

        It may be new, so that only some of several brokers know it yet. Where it is known to exist,
        the broker may have just started, or the topic is being created again.
        """
        answer: ClusterMetadata | None = None

        def question() -> None:
            nonlocal answer
            answer = self._ask_about(topic)
            if answer is None or answer.topics[topic].error is not None:
                raise missing_topic(topic, self._servers, self._has_users)

        try:
            ask_while_new(
                question,
                lambda: topic in self._existing or answer is None or len(answer.brokers) != 1,
            )
        except TopicError:
            return False
        return True

    def _ask_about(self, topic: str) -> ClusterMetadata | None:
        """Return what the broker says of a topic; None: no answer, which may pass."""
        timeout_s = _REFUSED_S if self._connection.is_token_refused() else self._probe_timeout_s
        began_s = time.monotonic()
        try:
            found: ClusterMetadata = self._consumer.list_topics(topic, timeout=timeout_s)
        except KafkaException as error:
            if error.args[0].code() not in codes.TRANSIENT:
                what = f"topic {topic}"
                reason = f"{what}: {with_right(error.args[0], 'READ', what)}"
                raise ReadError(reason, topic=topic) from error
            self._said = error.args[0].str()
            self._silence.waited(time.monotonic() - began_s, timeout_s)
            return None
        self._heard = time.monotonic()
        self._silence.end()
        self._connection.answered(is_first=True)
        return found

    def _probe(self, topic: str) -> None:
        found = self._ask_about(topic)
        if found is None:
            return
        if not is_deleted(found, topic):
            self._existing.add(topic)
        elif not self.appears(topic):
            raise self.missing(topic)

    def _refuse_no_connection(self) -> None:
        try:
            self._connection.check()
        except NoConnection as failure:
            reason = f"{of_topics(self._topics)}: {failure}"
            raise ReadError(reason, topic=only(self._topics)) from failure
