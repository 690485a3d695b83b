"""The way of records into a producer's queue, with back-pressure: native, or by Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypedDict

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from tfkafka.client import plugin
from tfkafka.client.native_produce import NativeProducer, producing_of
from tfkafka.client.records import Batch, Headers, Record, Records, Text
from tfkafka.client.undelivered import Undelivered, quoted
from tfkafka.errors import WriteError

NAMED_FAILURES = 3
POLL_EVERY = 4096
# Where only failures are reported, an acknowledgement does not end the waiting for room.
ROOM_S = 0.01

OnDelivery = Callable[[KafkaError | None, Message], None]


class RefusedError(KafkaException):
    """A record was refused before it was sent; `number` counts from 0."""

    def __init__(self, reason: KafkaError, number: int):
        super().__init__(reason)
        self.number = number


class _Options(TypedDict, total=False):
    """More arguments of `confluent_kafka.Producer.produce`."""

    on_delivery: OnDelivery
    partition: int


class RecordWriter:
    """A producer of confluent-kafka, and the way of records into its queue.

    Args:
        settings: the producer's settings.
        timeout_s: how long the queue may be full; None: forever.
        check: called while the queue is full; raises what ends the waiting.
        notes_failures: whether `undelivered` is wanted.

    Attributes:
        producer: confluent-kafka's.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        timeout_s: float | None = None,
        check: Callable[[], None] = lambda: None,
        notes_failures: bool = False,
    ):
        self.producer, client = plugin.make_client(confluent_kafka.Producer, settings)
        self._native = None if client is None else NativeProducer(self.producer, client)
        self._timeout_s = timeout_s
        self._check = check
        self._undelivered: list[Undelivered] = []
        # The native library notes failures by itself.
        calls_back = notes_failures and self._native is None
        self._options: _Options = {"on_delivery": self._delivered} if calls_back else {}

    def put(self, topic: str, batch: Batch, partition: int | None = None) -> int:
        """Put records into the queue, and return their number.

        Args:
            topic: the topic.
            batch: columns, or records one after another.
            partition: the partition of all records; None: chosen by the key.

        Raises:
            RefusedError: a record was refused; those before it are in the queue.
            KafkaException: the client cannot be used.
            WriteError: the queue stayed full.
        """
        if self._native is not None and isinstance(batch, Records):
            return self._put_columns(self._native, topic, batch, partition)
        return self._put_each(topic, batch, partition)

    def undelivered(self) -> tuple[int, list[Undelivered]]:
        """Return how many records were not written since the last call, and the first of them."""
        if self._native is not None:
            return self._native.undelivered()
        found, self._undelivered = self._undelivered, []
        return len(found), found[:NAMED_FAILURES]

    def _put_columns(
        self, native: NativeProducer, topic: str, records: Records, partition: int | None
    ) -> int:
        producing, since_s = producing_of(records, partition), time.monotonic()
        while True:
            before = producing.taken
            native.produce(topic, producing)
            if not producing.code:
                return producing.taken
            if producing.code != KafkaError._QUEUE_FULL:
                raise RefusedError(_refusal(producing.code), producing.taken)
            if producing.taken > before:
                since_s = time.monotonic()
            else:
                self._refuse_full(topic, since_s)
            self.producer.poll(ROOM_S)

    def _put_each(self, topic: str, records: Iterable[Record], partition: int | None) -> int:
        options: _Options = (
            self._options if partition is None else {**self._options, "partition": partition}
        )
        produce, count = self.producer.produce, 0
        for value, key, headers in records:
            try:
                if count and not count % POLL_EVERY:
                    self.producer.poll(0)
                try:
                    produce(topic, value, key, headers=headers, **options)
                except BufferError:
                    self._wait(topic, value, key, headers, options)
            except KafkaException as error:
                raise RefusedError(error.args[0], count) from error
            count += 1
        return count

    def _wait(
        self, topic: str, value: Text, key: Text, headers: Headers, options: _Options
    ) -> None:
        since_s = time.monotonic()
        while True:
            self.producer.poll(ROOM_S)
            try:
                self.producer.produce(topic, value, key, headers=headers, **options)
                return
            except BufferError:
                self._refuse_full(topic, since_s)

    def _refuse_full(self, topic: str, since_s: float) -> None:
        """Raise where waiting for room in the queue must end."""
        self._check()
        if self._timeout_s is not None and time.monotonic() - since_s > self._timeout_s:
            raise WriteError(
                f"topic {topic}: no acknowledgement for {self._timeout_s:.0f} s, and the "
                f"queue of records to be sent is full",
                topic=topic,
            )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            key, value = (_quoted(each) for each in (message.key(), message.value()))
            self._undelivered.append(Undelivered(key, value, error))


def _refusal(code: int) -> KafkaError:
    """Return the error that confluent-kafka raises for this code."""
    return KafkaError(code, f"Unable to produce message: {KafkaError(code).str()}")


def _quoted(text: bytes | None) -> str:
    return quoted(b"", -1) if text is None else quoted(text, len(text))
