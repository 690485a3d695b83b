"""What a test sent to topics and what was delivered, by the values of the records."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType

from tfkafka._util import arguments
from tfkafka.testing.checker import LISTED

SEVERAL = "a list or another iterable of texts or bytes, one for each record"
NAMES = {"lost": "lost", "duplicated": "delivered twice or more", "phantom": "never sent"}


class Deliveries:
    """Records what was sent and what was delivered; `check` says what is wrong.

    Records are compared by their values. A value that was sent n times is expected n times, and may
    be recorded as sent after it was delivered. Several threads may use it. At the end of a `with`
    without an exception, what was not judged is.

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

    def __init__(self) -> None:
        self.checked = True
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
        __tracebackhide__ = True
        if kind is None and not self.checked:
            self.check()

    def sent(self, topic: str, values: Iterable[str | bytes]) -> None:
        """Record values that are about to be sent, or were sent, to a topic.

        Raises TypeError where one is neither text nor bytes.
        """
        found = _as_bytes(values)
        with self._lock:
            self._topic(topic).sent.update(found)

    def delivered(self, topic: str, values: Iterable[str | bytes]) -> None:
        """Record values that were read from a topic, or whose results were seen.

        Raises TypeError where one is neither text nor bytes.
        """
        found = _as_bytes(values)
        with self._lock:
            self._topic(topic).delivered.update(found)

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
        with self._lock:
            self.checked = True
            lines = [
                line
                for anomaly, name in NAMES.items()
                if anomaly not in allowed and (line := self._line(anomaly, name))
            ]
            sent = sum(topic.sent.total() for topic in self._topics.values())
        if lines:
            raise AssertionError("\n".join([f"of {sent:,} records that were sent:", *lines]))

    def _line(self, anomaly: str, name: str) -> str:
        """Return how many records have an anomaly, and the first of them; "" where none has."""
        found = [
            (value, topic)
            for topic, values in sorted(self._topics.items())
            for value in values.anomalies()[anomaly]
        ]
        first = ", ".join(f"{value!r} ({topic})" for value, topic in found[:LISTED])
        return f"{len(found):,} {name}: {first}" if found else ""

    def _topic(self, name: str) -> _Topic:
        name = arguments.text("topic", name)
        self.checked = False
        return self._topics.setdefault(name, _Topic())


class _Topic:
    """How often each value was sent to a topic, and how often it was delivered."""

    def __init__(self) -> None:
        self.sent: Counter[bytes] = Counter()
        self.delivered: Counter[bytes] = Counter()

    def anomalies(self) -> Mapping[str, list[bytes]]:
        """Return the values with each of `NAMES`."""
        often = self.delivered.items()
        return {
            "lost": [*(self.sent - self.delivered).elements()],
            "duplicated": [value for value, times in often if times > max(self.sent[value], 1)],
            "phantom": [value for value in self.delivered if value not in self.sent],
        }


def _as_bytes(values: Iterable[str | bytes]) -> list[bytes]:
    arguments.several("values", values, SEVERAL)
    found = []
    for place, value in enumerate(values):
        arguments.instance(f"values[{place}]", value, (str, bytes), "text or bytes")
        found.append(value.encode() if isinstance(value, str) else bytes(value))
    return found
