"""What a test sent to topics and what was delivered, by the values of the records."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from tfkafka._util import arguments
from tfkafka.testing.checker import ANOMALIES, Finding, Recorder, judge

SEVERAL = "a list or another iterable of texts or bytes, one for each record"
# There is one partition and one reader for the checker: it is not told of Kafka's order.
NOT_JUDGED = ("reordered", "skipped")
PARTITION = 0
NAMES = {"lost": "lost", "duplicated": "delivered twice or more", "phantom": "never sent"}


class Deliveries:
    """Records what was sent and what was delivered; `check` says what is wrong.

    Records are compared by their values. A value that was sent n times is expected n times. Several
    threads may use it.

    Attributes:
        checked: whether everything that was recorded has been judged.

    Example:
        def test_my_pipeline(kafka_broker, kafka_topic, kafka_deliveries):
            values = [str(number) for number in range(1000)]
            kafka_deliveries.sent(kafka_topic, values)
            tfkafka.write(kafka_broker.bootstrap_servers, kafka_topic, values)
            for value in my_pipeline(kafka_broker.bootstrap_servers, kafka_topic):
                kafka_deliveries.delivered(kafka_topic, [value])
    """

    def __init__(self, folder: Path):
        self.checked = True
        self._folder = folder
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}

    def __enter__(self) -> Deliveries:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for topic in self._topics.values():
            topic.recorder.close()

    def sent(self, topic: str, values: Iterable[str | bytes]) -> None:
        """Record values that are about to be sent, or were sent, to a topic.

        Raises TypeError where one is neither text nor bytes.
        """
        found = _as_bytes(values)
        with self._lock:
            self._topic(topic).sent(found)

    def delivered(self, topic: str, values: Iterable[str | bytes]) -> None:
        """Record values that were read from a topic, or whose results were seen.

        Raises TypeError where one is neither text nor bytes.
        """
        found = _as_bytes(values)
        with self._lock:
            self._topic(topic).delivered(found)

    def check(self, *allowed: str) -> None:
        """Judge what was recorded so far. At the end of a test this happens by itself.

        Args:
            allowed: what may be: "lost", "duplicated" (as with at-least-once delivery) or
                "phantom" (delivered, but never sent).

        Raises:
            AssertionError: records are lost, delivered twice, or were never sent; the message has
                their numbers, and the values of the first ones.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        for each in allowed:
            arguments.choice("allowed", each, tuple(NAMES))
        self.checked = True
        verdict = judge(self._folder)
        wrong = [each for each in ANOMALIES if each not in (*NOT_JUDGED, *allowed)]
        lines = [
            f"{verdict.counts[anomaly]:,} {NAMES[anomaly]}: "
            + ", ".join(map(self._described, verdict.findings[anomaly]))
            for anomaly in wrong
            if verdict.counts[anomaly]
        ]
        if lines:
            head = f"of {verdict.acknowledged:,} records that were sent:"
            raise AssertionError("\n".join([head, *lines]))

    def _topic(self, name: str) -> _Topic:
        name = arguments.text("topic", name)
        self.checked = False
        if name not in self._topics:
            self._topics[name] = _Topic(Recorder(self._folder, name))
        return self._topics[name]

    def _described(self, finding: Finding) -> str:
        value = self._topics[finding.topic].values[finding.offset]
        return f"{value!r} ({finding.topic})"


class _Topic:
    """The values of a topic by their numbers, for the checker.

    A value that was never sent has a number, too, which was not recorded as sent.
    """

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        self.values: list[bytes] = []
        self._numbers: dict[bytes, list[int]] = defaultdict(list)
        self._deliveries: dict[bytes, int] = defaultdict(int)

    def sent(self, values: list[bytes]) -> None:
        numbers = [self._number(value) for value in values]
        self.recorder.sent(numbers)
        self.recorder.acknowledged(PARTITION, numbers, numbers)

    def delivered(self, values: list[bytes]) -> None:
        numbers = []
        for value in values:
            known = self._numbers[value] or [self._number(value)]
            # What comes more often than it was sent is the last one again.
            numbers.append(known[min(self._deliveries[value], len(known) - 1)])
            self._deliveries[value] += 1
        self.recorder.delivered(PARTITION, numbers, numbers)

    def _number(self, value: bytes) -> int:
        self.values.append(value)
        self._numbers[value].append(len(self.values) - 1)
        return len(self.values) - 1


def _as_bytes(values: Iterable[str | bytes]) -> list[bytes]:
    arguments.several("values", values, SEVERAL)
    found = []
    for place, value in enumerate(values):
        arguments.instance(f"values[{place}]", value, (str, bytes), "text or bytes")
        found.append(value.encode() if isinstance(value, str) else bytes(value))
    return found
