"""Records into a topic, every acknowledgement checked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import repeat

from confluent_kafka import KafkaException, Producer

from tfkafka import config
from tfkafka.client import create
from tfkafka.errors import WriteError

TIMEOUT_S = 120.0
NAMED_FAILURES = 3
# `max.message.bytes` of a topic limits a whole batch: 100 kB is small enough for almost any, and
# large enough for speed. A larger record is a batch by itself, and the broker's to judge.
_DEFAULTS = {
    "bootstrap.servers": config.DEFAULT_SERVERS,
    "enable.idempotence": True,
    "linger.ms": 20,
    "batch.size": 100_000,
    "queue.buffering.max.messages": 1_000_000,
    **config.ANY_SIZE,
    # As the Java client and kafka-python do: a key has the same partition whoever writes.
    "partitioner": "murmur2_random",
    "log_level": 0,
}
# A callback in Python for each record would be the slowest part: only failures are called back,
# and what `flush` leaves is counted.
_FIXED = {"delivery.report.only.error": True}
_POLL_EVERY = 4096

Text = bytes | str | None


def write(
    servers: str,
    topic: str,
    values: Iterable[Text],
    keys: Iterable[Text] | None = None,
    *,
    partition: int | None = None,
    configuration: config.Configuration = None,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Write records and return their number once all are acknowledged by the broker.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: must be there, also where the broker would create it.
        values: one a record; None is a tombstone.
        keys: as many as values, or None for records without key.
        partition: of all records; None: by key, as Java clients do.
        configuration: librdkafka's settings.
        timeout_s: how long the acknowledgements may take once all records are handed over.

    Raises:
        WriteError: at least one record was not acknowledged; counts them, and names the first of
            those that were refused.
        ConfigurationError: an unknown setting.
        ValueError: keys and values differ in number.
    """
    failures = _Failures(topic)
    settings = {**_DEFAULTS, "bootstrap.servers": servers, **config.parse(configuration)}
    producer = create.make_client(Producer, {**settings, **_FIXED, "error_cb": failures.note})
    place = {} if partition is None else {"partition": partition}
    pairs = zip(values, repeat(None)) if keys is None else zip(values, keys, strict=True)
    count = 0
    try:
        _connect(producer, topic, timeout_s)
        for value, key in pairs:
            _produce(producer, topic, value, key, place, failures.delivered, timeout_s)
            count += 1
            if not count % _POLL_EVERY:
                producer.poll(0)
        unacknowledged = producer.flush(timeout_s)
    except KafkaException as error:
        raise WriteError(
            f"topic {topic}: record {count} (from 0) was refused before it was sent: "
            f"{error.args[0].str()}"
        ) from error
    finally:
        # What is not acknowledged by now must not hold up the end of the process.
        producer.purge()
    failures.check(count, unacknowledged, timeout_s)
    return count


def _connect(producer: Producer, topic: str, timeout_s: float) -> None:
    """Refuse at once where no broker is or it knows no such topic.

    The idempotent producer asks for its identity every 500 ms: an open connection spares a turn.
    """
    try:
        # Asked for all topics: a question for one could create it, where brokers are set so.
        found = producer.list_topics(timeout=timeout_s).topics.get(topic)
    except KafkaException as error:
        raise WriteError(f"topic {topic}: {error.args[0].str()}") from error
    if found is None:
        raise WriteError(f"topic {topic}: there is no such topic, create it first")


def _produce(producer, topic, value, key, place, on_delivery, timeout_s: float) -> None:
    """Hand a record over; where the producer's queue is full, wait until there is room."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=on_delivery, **place)
            return
        except BufferError:
            if time.monotonic() > deadline:
                raise WriteError(
                    f"topic {topic}: no acknowledgement for {timeout_s:.0f} s, and the queue of "
                    f"records to be sent is full"
                ) from None
            producer.poll(0.1)


class _Failures:
    """The records that were not taken, and why."""

    def __init__(self, topic: str):
        self._topic = topic
        self._failed: list[tuple[bytes | None, bytes | None, str]] = []
        self._reason = "no answer"

    def note(self, error) -> None:
        self._reason = error.str()

    def delivered(self, error, message) -> None:
        if error is not None:
            self._failed.append((message.key(), message.value(), error.str()))

    def check(self, count: int, unacknowledged: int, timeout_s: float) -> None:
        if self._failed:
            named = "; ".join(
                f"key {key!r}, value {_short(value)}: {reason}"
                for key, value, reason in self._failed[:NAMED_FAILURES]
            )
            raise WriteError(
                f"topic {self._topic}: {len(self._failed):,} of {count:,} records were not "
                f"written: {named}"
            )
        if unacknowledged:
            raise WriteError(
                f"topic {self._topic}: {unacknowledged:,} of {count:,} records were not "
                f"acknowledged within {timeout_s:.0f} s ({self._reason})"
            )


def _short(value: bytes | None, length: int = 40) -> str:
    if value is None or len(value) <= length:
        return repr(value)
    return f"{value[:length]!r}... ({len(value):,} bytes)"
