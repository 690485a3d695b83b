"""Writing records to topics, with back-pressure and every acknowledgement checked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Protocol

import numpy as np
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ClusterMetadata

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka.chunk import Chunk, Position
from tfkafka.client import codes
from tfkafka.client.cluster import Cluster
from tfkafka.client.diagnosis import Connection, NoConnection, fatal_error, with_right
from tfkafka.client.names import check_topic_name
from tfkafka.client.record_writer import RecordWriter, RefusedError
from tfkafka.client.records import Batch, Record
from tfkafka.client.undelivered import Undelivered
from tfkafka.errors import TopicError, WriteError

TIMEOUT_S = 120.0
DEAD_LETTER_S = 30.0
LOOK_S = 0.2
AGAIN_S = 0.05
CAUSE_S = 1.0
# The time-out of one question. Where nobody waits for its answer any more, the client tries to
# connect, and to log in, until then.
ASK_S = 10.0


class _Fault(Protocol):
    """A record of a chunk that could not be decoded."""

    @property
    def index(self) -> int: ...
    @property
    def reason(self) -> str: ...


class Producer:
    """A producer that checks every acknowledgement.

    Args:
        settings: the producer's settings; they take precedence over `config.WRITER_DEFAULTS`.
        timeout_s: how long acknowledgements may take.
        was_reached: see `Connection`.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        timeout_s: float = TIMEOUT_S,
        was_reached: bool = False,
    ):
        self._settings = config.WRITER_DEFAULTS | dict(settings) | config.WRITER_FIXED
        self._connection = Connection(self._settings, was_reached)
        self._timeout_s = timeout_s
        self._writer = RecordWriter(
            {**self._settings, "error_cb": self._connection.note},
            timeout_s,
            self._connection.check,
            notes_failures=True,
        )
        self._producer = self._writer.producer

    def connect(self, topic: str) -> None:
        """Raise WriteError at once where no broker answers, or the topic does not exist.

        The idempotent producer requests its id every 500 ms: an open connection saves one such
        interval.
        """
        check_topic_name(topic)
        try:
            found = self._metadata()
        except NoConnection as error:
            raise WriteError(f"topic {topic}: {error}", topic=topic) from error
        except (KafkaException, TimeoutError) as error:
            if isinstance(error, KafkaException) and error.args[0].fatal():
                reason = with_right(error.args[0], "WRITE", f"topic {topic}")
                raise WriteError(f"topic {topic}: {reason}", topic=topic) from error
            said = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise WriteError(
                f"topic {topic}: no answer from Kafka at {self._settings['bootstrap.servers']} for "
                f"{self._timeout_s * 1000:.0f} ms ({self._connection.reason(said)})",
                topic=topic,
            ) from error
        self._connection.answered(is_first=True)
        if topic not in found.topics:
            self._refuse_missing(topic)

    def send(self, topic: str, batches: Iterable[Batch], partition: int | None = None) -> int:
        """Write records; return their number once all are acknowledged.

        Raises WriteError, with the number of records not written and the first of those refused.
        """
        unacknowledged, count = 1, 0
        try:
            # What was dropped after an earlier call that failed does not count here.
            self._producer.poll(0)
            self._writer.undelivered()
            for batch in batches:
                count += self._writer.put(topic, batch, partition)
            unacknowledged = self._flush()
            # Before those that are dropped are among them.
            undelivered = self._writer.undelivered()
        except KafkaException as error:
            what = "not all records were acknowledged"
            if isinstance(error, RefusedError):
                number = count + error.number
                what = f"record {number} (from 0) was refused before it was sent"
            reason = with_right(self._cause(error.args[0]), "WRITE", f"topic {topic}")
            raise WriteError(f"topic {topic}: {what}: {reason}", topic=topic) from error
        except NoConnection as error:
            raise WriteError(f"topic {topic}: {error}", topic=topic) from error
        finally:
            if unacknowledged:
                # Records without acknowledgement must not delay the end of the process.
                with suppress(KafkaException):
                    self._producer.purge()
        self._check(topic, count, unacknowledged, *undelivered)
        return count

    def _metadata(self) -> ClusterMetadata:
        """Return the topics. Raises KafkaException, TimeoutError, or NoConnection."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            # For all topics: a request for one could create it where brokers create topics.
            answer: Future[ClusterMetadata] = in_background(
                partial(self._producer.list_topics, timeout=min(left_s, ASK_S))
            )
            try:
                return self._connection.wait(answer, left_s, self._producer.poll)
            except KafkaException as error:
                if error.args[0].code() not in codes.TRANSIENT or time.monotonic() > deadline:
                    raise
            self._producer.poll(AGAIN_S)
            self._connection.check()

    def _flush(self) -> int:
        """Wait for acknowledgements, and return how many are missing. Raises NoConnection."""
        deadline, left = time.monotonic() + self._timeout_s, len(self._producer)
        while left and (left_s := deadline - time.monotonic()) > 0:
            left = self._producer.flush(min(LOOK_S, left_s))
            if left:
                self._connection.check()
        if not left:
            self._connection.answered()
        return left

    def _cause(self, error: KafkaError) -> KafkaError:
        """Return what made the client unusable, if the error says only that it is."""
        deadline = time.monotonic() + CAUSE_S
        while error.code() == KafkaError._FATAL and time.monotonic() < deadline:
            error = fatal_error(self._producer, AGAIN_S) or error
        return error

    def _refuse_missing(self, topic: str) -> None:
        """Raise WriteError unless the topic is new, so that only some brokers know it yet."""
        cluster = Cluster(self._settings, int(self._timeout_s * 1000), WriteError)
        try:
            cluster.describe(topic)
        except TopicError as error:
            raise WriteError(str(error), topic=topic) from error

    def _check(
        self,
        topic: str,
        count: int,
        unacknowledged: int,
        failures: int,
        undelivered: Sequence[Undelivered],
    ) -> None:
        if failures:
            named = "; ".join(
                f"key {each.key}, value {each.value}: "
                f"{with_right(each.error, 'WRITE', f'topic {topic}')}"
                for each in undelivered
            )
            raise WriteError(
                f"topic {topic}: {failures:,} of {count:,} records were not written: {named}",
                topic=topic,
            )
        if unacknowledged:
            raise WriteError(
                f"topic {topic}: {unacknowledged:,} of {count:,} records were not acknowledged "
                f"within {self._timeout_s:.0f} s ({self._connection.reason()})",
                topic=topic,
            )


class DeadLetterWriter:
    """Writes records that cannot be decoded to a topic, each one once, with one producer.

    Args:
        settings: settings of the connection.
        topic: the topic to write to; see `dead_letters`.
    """

    def __init__(self, settings: Mapping[str, object], topic: str):
        self._settings = settings
        self._topic = topic
        self._producer: Producer | None = None
        self._done: set[Position] = set()

    def __call__(self, chunk: Chunk, faults: Sequence[_Fault]) -> None:
        """Write the records of these faults. Raises WriteError."""
        fresh = [fault for fault in faults if chunk.position(fault.index) not in self._done]
        if not fresh:
            return
        if self._producer is None:
            self._producer = Producer(self._settings, DEAD_LETTER_S, was_reached=True)
        try:
            self._producer.send(self._topic, [dead_letters(chunk, fresh)])
        except WriteError as error:
            # A late answer about these records must not be counted for others.
            self._producer = None
            raise WriteError(
                f"cannot write bad records, the first of them from "
                f"{chunk.position(fresh[0].index)}: {error}",
                **chunk.position(fresh[0].index)._asdict(),
            ) from error
        self._done.update(chunk.position(fault.index) for fault in fresh)


def dead_letters(chunk: Chunk, faults: Sequence[_Fault]) -> Iterator[Record]:
    """Yield the records of these faults as dead letters, with their own value, key and headers.

    The headers `tfkafka.reason`, `tfkafka.topic`, `tfkafka.partition` and `tfkafka.offset` are
    added.
    """
    bad = chunk.select(np.array([fault.index for fault in faults], np.int64))
    _, headers = bad.metadata
    for number, fault in enumerate(faults):
        topic, partition, offset = bad.position(number)
        reasons = [
            ("tfkafka.reason", fault.reason),
            ("tfkafka.topic", topic),
            ("tfkafka.partition", str(partition)),
            ("tfkafka.offset", str(offset)),
        ]
        yield bad.values.entries[number], bad.keys.entries[number], [*headers[number], *reasons]
