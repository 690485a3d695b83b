"""Takes messages from one consumer: records, ends of partitions and errors, told apart."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import methodcaller

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from tfkafka import config
from tfkafka.client import create
from tfkafka.errors import OffsetError, ReadError

CHUNK_RECORDS = 4096
CHUNK_BYTES = 4 << 20
PREFETCH_BYTES = 32 << 20
BROKER_TIMEOUT_MS = 30_000
# A stream_timeout of a stream that never ends.
FOR_EVER = -1
PROBE_AFTER_S = 1.0
# A broker answers in turn: behind a fetch that waits for records, its `fetch.wait.max.ms` long.
FETCH_WAIT_MS = 500
PROBE_MARGIN_S = 0.4
# How long a chunk that is not full yet may wait for more records.
LINGER_S = 0.01
SAMPLE_EVERY = 16
FIRST_RECORDS = 256
GROWTH = 4
PIECE_RECORDS = 1024

_ERROR = methodcaller("error")
_TRANSIENT = {
    KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE,
    KafkaError._TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NETWORK_EXCEPTION,
}  # fmt: skip
MISSING = {
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_ID,
}  # fmt: skip
_OUT_OF_RANGE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
# What librdkafka tells of a broker that is away, while it goes on trying by itself.
_FATAL_EVENTS = {
    KafkaError._AUTHENTICATION, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL,
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How much is read ahead, and how long a broker may be away.

    Args:
        chunk_records: records of a chunk at most.
        chunk_bytes: bytes of the values of a chunk, about; a chunk has one record at least.
        prefetch_bytes: bytes that Kafka's client holds ready, about.
        broker_timeout: ms without any answer of a broker after which reading fails.
    """

    chunk_records: int = CHUNK_RECORDS
    chunk_bytes: int = CHUNK_BYTES
    prefetch_bytes: int = PREFETCH_BYTES
    broker_timeout: int = BROKER_TIMEOUT_MS

    def __post_init__(self) -> None:
        for name in ("chunk_records", "chunk_bytes", "prefetch_bytes", "broker_timeout"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")


@dataclass(frozen=True)
class Taken:
    """What one call of `Intake.take` got.

    Attributes:
        records: records.
        ends: (topic, partition, offset) of partitions whose end was reached.
    """

    records: list[Message]
    ends: list[tuple[str, int, int]]


class Intake:
    """A consumer, and what its broker said last.

    Raises ReadError from its methods where reading cannot go on.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        limits: Limits,
        topics: list[str],
        **callbacks,
    ):
        wait_ms = int(settings.get("fetch.wait.max.ms", FETCH_WAIT_MS))
        self.probe_timeout_s = wait_ms / 1000 + PROBE_MARGIN_S
        ahead = max(1, min(limits.prefetch_bytes >> 10, 2_097_151))
        defaults = {
            "bootstrap.servers": config.DEFAULT_SERVERS,
            "log_level": 0,
            # The client asks a broker again so soon after its queue was full; the default of 1 s
            # halves the speed of a fast reader.
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": ahead,
            # A broker that is frozen keeps connections open: give up on it before the caller does.
            "socket.timeout.ms": int(
                min(60_000, max(limits.broker_timeout, 1000 * self.probe_timeout_s + 1000))
            ),
        }
        fixed = {"enable.partition.eof": True, "error_cb": self._note}
        self.consumer = create.make_client(Consumer, {**defaults, **settings, **fixed, **callbacks})
        self._limits = limits
        self._topics = topics
        self.servers = {**defaults, **settings}["bootstrap.servers"]
        self._fatal: KafkaError | None = None
        self._reason = "no answer"
        self._heard = time.monotonic()
        self._probed = self._heard
        self._size = FIRST_RECORDS
        self._in_hand: list[Message] = []

    def take(self, timeout_s: float, at_most: int | None = None) -> Taken:
        """Wait for a record, `timeout_s` at most, then take what follows at once."""
        size = self._size if at_most is None else max(1, min(self._size, at_most))
        first = self.consumer.poll(timeout_s)
        if first is None:
            self._silent()
            return Taken([], [])
        self._in_hand = [first]
        if first.error() is None:
            with _collector_paused():
                self._consume(size)
        messages = self._in_hand
        self._heard = self._probed = time.monotonic()
        records, faults = messages, []
        if any(map(_ERROR, messages)):
            records = [message for message in messages if message.error() is None]
            faults = [message for message in messages if message.error() is not None]
        if records:
            self._adapt(records)
        return Taken(records, [end for end in map(self._judge, faults) if end])

    def _consume(self, size: int) -> None:
        """Fill `_in_hand` to this size with what is there.

        A few at a time: a new message is then made of memory that is still in the processor's
        cache, and another thread gets Python's lock now and then.
        """
        while (wanted := min(PIECE_RECORDS, size - len(self._in_hand))) > 0:
            piece = self.consumer.consume(wanted, LINGER_S)
            self._in_hand += piece
            if len(piece) < wanted:
                return

    def forget(self, partitions: set[tuple[str, int]]) -> None:
        """These partitions were lost while `take` was waiting: what it has of them comes again.

        To be called by the consumer's callbacks. What librdkafka itself holds it has dropped then.
        """
        self._in_hand = [m for m in self._in_hand if (m.topic(), m.partition()) not in partitions]

    def go_on(self) -> None:
        """Nobody has listened since the last call of `take`: that was no silence of the broker."""
        self._heard = self._probed = time.monotonic()

    def unheard_s(self) -> float:
        """Seconds since a broker last sent anything or answered a question."""
        return time.monotonic() - self._heard

    def is_alive(self) -> bool:
        """Whether a broker was heard, as late as it can be while there are no records."""
        return self.unheard_s() < 2 * (PROBE_AFTER_S + self.probe_timeout_s)

    def failure(self, what: str) -> ReadError:
        """The error to raise where there was silence for too long."""
        return ReadError(
            f"{what}: no answer from Kafka at {self.servers} for "
            f"{self._limits.broker_timeout} ms ({self._reason})"
        )

    def check(self) -> None:
        """Raise if a broker has refused this client, or none has answered for too long."""
        if self._fatal is not None:
            reason = f"topic {self._names()}: {self._fatal.str()}"
            raise ReadError(reason) from KafkaException(self._fatal)
        if self.unheard_s() * 1000 > self._limits.broker_timeout:
            raise self.failure(f"topic {self._names()}")

    def _silent(self) -> None:
        """Silence may mean that there are no records, or no broker, or no topic: ask."""
        now = time.monotonic()
        if now - self._probed >= PROBE_AFTER_S:
            self._probed = now
            for topic in self._topics:
                self._probe(topic)
        self.check()

    def _probe(self, topic: str) -> None:
        try:
            metadata = self.consumer.list_topics(topic, timeout=self.probe_timeout_s).topics[topic]
        except KafkaException as error:
            if error.args[0].code() not in _TRANSIENT:
                raise ReadError(f"topic {topic}: {error.args[0].str()}") from error
            self._reason = error.args[0].str()
            return
        self._heard = time.monotonic()
        if metadata.error is not None and metadata.error.code() in MISSING:
            raise ReadError(f"topic {topic} is not there any more: it was deleted while reading")

    def _judge(self, message: Message) -> tuple[str, int, int] | None:
        """The end of a partition that this message tells, or None for a passing error."""
        error, topic, partition = message.error(), message.topic(), message.partition()
        if error.code() == KafkaError._PARTITION_EOF:
            return topic, partition, message.offset()
        where = f"topic {topic}, partition {partition}, offset {message.offset()}"
        if error.code() in _OUT_OF_RANGE:
            raise OffsetError(
                f"{where}: the broker has no such record, it was deleted since ({error.str()})"
            )
        if error.code() in _TRANSIENT:
            self._reason = error.str()
            return None
        if error.code() in MISSING:
            raise ReadError(f"{where}: topic or partition is not there ({error.str()})")
        raise ReadError(f"{where}: {error.str()}") from KafkaException(error)

    def _note(self, error: KafkaError) -> None:
        self._reason = error.str()
        if error.fatal() or error.code() in _FATAL_EVENTS:
            self._fatal = error

    def _adapt(self, records: list[Message]) -> None:
        """Ask next time for as many records as fit chunk_bytes, going by these.

        But for not many times as many as now: the first ones are wanted soon.
        """
        sample = records[::SAMPLE_EVERY]
        mean = max(1, sum(map(len, sample)) // len(sample))
        fitting = min(self._limits.chunk_records, self._limits.chunk_bytes // mean)
        self._size = max(1, min(fitting, GROWTH * self._size))

    def _names(self) -> str:
        return ", ".join(self._topics)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's garbage collector, which would look for cycles after every 700 messages.

    They have none; looking takes as long as reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
