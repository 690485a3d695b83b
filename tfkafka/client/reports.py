"""Progress that is reported to a group, for people and their monitoring."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from tfkafka._util.background import in_background
from tfkafka.client.cluster import Cluster
from tfkafka.client.diagnosis import with_right
from tfkafka.errors import BrokerError, TfkafkaError

REPORT_TIMEOUT_MS = 5000


class OffsetReport:
    """Progress reported as the offsets of a group without members: for monitoring, never read.

    Args:
        settings: a consumer's settings; only the address of the cluster and the credentials are
            used.
    """

    def __init__(self, settings: Mapping[str, object], group: str, topic: str):
        self._cluster = Cluster(settings, REPORT_TIMEOUT_MS, BrokerError, was_reached=True)
        self._group, self._topic = group, topic
        self._is_sending = False
        # What follows the report that is under way.
        self._next: ConsumerGroupTopicPartitions | None = None
        self._lock = threading.Lock()
        self._refusal: Future[str | None] | None = None

    def send(self, positions: Mapping[int, int]) -> None:
        """Set the group's offsets without waiting.

        While a report is under way, the newest positions are kept; they are sent when it has ended.
        """
        places = [TopicPartition(self._topic, *position) for position in positions.items()]
        offsets = ConsumerGroupTopicPartitions(self._group, places)
        with self._lock:
            if self._is_sending:
                self._next = offsets
            else:
                self._refusal = in_background(lambda: self._send_all(offsets))
                self._is_sending = True

    def refusal(self) -> str | None:
        """Wait for the answer to the newest report, and return why it was refused, or None."""
        return None if self._refusal is None else self._refusal.result()

    def _send_all(self, offsets: ConsumerGroupTopicPartitions) -> str | None:
        """Send offsets, and those that came meanwhile; return why the last ones were refused."""
        while True:
            refusal = self._send(offsets)
            with self._lock:
                if self._next is None:
                    self._is_sending = False
                    return refusal
                offsets, self._next = self._next, None

    def _send(self, offsets: ConsumerGroupTopicPartitions) -> str | None:
        try:
            answer = self._cluster.ask_coordinator(
                self._group, lambda each: each.commit(offsets), "READ"
            )
        except TfkafkaError as error:  # also where a function gives no token this time
            return str(error)
        places = answer.topic_partitions or []
        refused = [
            with_right(p.error, "READ", f"topic {p.topic}") for p in places if p.error is not None
        ]
        return refused[0] if refused else None
