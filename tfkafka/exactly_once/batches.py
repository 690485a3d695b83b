"""A group's records in batches, from the committed offsets on, for whoever commits them itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from tfkafka._util.background import in_background
from tfkafka.client.transactions import CLIENT, PROGRESS_S, is_fencing
from tfkafka.errors import (
    ConfigurationError,
    FencedError,
    ReadError,
    TfkafkaError,
    TopicError,
    UnusableError,
)
from tfkafka.intake import FOR_EVER, Intake, Limits
from tfkafka.offsets import FIXED
from tfkafka.records import Chunk

_LEAST = (("transaction_records", 1), ("transaction_wait", 0), ("stream_timeout", FOR_EVER))
_POLL_S = 0.1
_ASK_S = 2.0
_LEAVE_S = 5.0
_FIXED = {
    **FIXED,
    # Also means: committed offsets are read only once no transaction on them is open.
    "isolation.level": "read_committed",
    # A record that was deleted before it was read is an error, and no silent skip.
    "auto.offset.reset": "error",
    # All partitions are given back before others are assigned: nothing in work outlasts that.
    "partition.assignment.strategy": "range",
    "group.protocol": "classic",
}


@dataclass(frozen=True)
class Extent:
    """How much a batch is, and when the stream ends.

    Args:
        transaction_records: of a batch at most.
        transaction_wait: ms that the first record of a batch waits for others at most.
        stream_timeout: ms of silence after which the stream ends; 0: it ends where the partitions
            ended when they were assigned; -1: never.
    """

    transaction_records: int
    transaction_wait: int
    stream_timeout: int

    def __post_init__(self) -> None:
        for name, least in _LEAST:
            if getattr(self, name) < least:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)}, must be at least {least}"
                )


class BatchReader:
    """A member of a group. For one thread, which must call `next_batch` or `idle` all the time.

    Args:
        settings: of the consumer, with `group.id`.
        before_revoke: called when partitions are taken away; what it does is done before another
            member gets them. What was read of them and is not committed must be forgotten.
        patience_s: how long a transaction of a dead member may keep the committed offsets.

    Methods raise UnusableError where only a new client can go on, FencedError where another member
    has this one's `group.instance.id`, ReadError, OffsetError or TopicError.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: Mapping[str, object],
        extent: Extent,
        limits: Limits,
        before_revoke: Callable[[], None],
        patience_s: float,
    ):
        self._extent = extent
        self._before_revoke = before_revoke
        self._patience_s = patience_s
        self._progress: dict[tuple[str, int], _Progress] = {}
        self._messages: list[Message] = []
        self._first_s = self._silence_s = 0.0
        self._checked_s = time.monotonic()
        self._was_assigned = self._is_paused = False
        self.member_id = ""
        self.rebalances = self._changes = 0
        self._intake = Intake({**CLIENT, **settings, **_FIXED}, limits, list(topics))
        self._intake.consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )  # fmt: skip

    def next_batch(self) -> Chunk | None:
        """A full batch, or what its time allowed; an empty one now and then; None at the end."""
        if self._is_paused:
            self._intake.consumer.resume(self._intake.consumer.assignment())
            self._is_paused = False
        began = time.monotonic()
        missing = self._extent.transaction_records - len(self._messages)
        count = self._take(_POLL_S, missing)
        now = time.monotonic()
        if count:
            self._silence_s, self._checked_s = 0.0, now
        elif self._was_assigned:
            self._silence_s += now - began
            self._refuse_stuck(now)
        is_over = not count and self._is_over()
        waited_ms = (now - self._first_s) * 1000
        if self._messages and (
            count == missing or waited_ms >= self._extent.transaction_wait or is_over
        ):
            chunk, self._messages = Chunk(self._messages), []
            return chunk
        return None if is_over and not self._messages else Chunk([])

    def idle(self) -> None:
        """Remain a member while no batch is wanted."""
        if not self._is_paused:
            self._intake.consumer.pause(self._intake.consumer.assignment())
            self._is_paused = True
        self._take(_POLL_S, 1)

    def is_idle(self) -> bool:
        """Whether the broker answers and has no further records."""
        is_read = self._was_assigned and not self._messages
        return is_read and self._at_end() and self._intake.is_alive()

    def rewind(self) -> None:
        """Forget what was read and not committed: go on at the committed offsets."""
        self._assign(self._intake.consumer, self._intake.consumer.assignment())

    def membership(self):
        """What proves to a transaction that its offsets come from the group's present member."""
        return self._intake.consumer.consumer_group_metadata()

    def is_assigned(self) -> bool:
        """Whether it holds partitions, as far as it knows; not while it joins."""
        return self._was_assigned

    def membership_id(self) -> str:
        """This member's id, as soon as the broker has told it; "" before."""
        return self._intake.consumer.memberid() or ""

    def leave(self) -> None:
        """Leave the group, so that others get the partitions at once."""
        consumer = self._intake.consumer

        def leave() -> None:
            # A member with a group.instance.id says good-bye on unsubscribing alone.
            consumer.unsubscribe()
            deadline = time.monotonic() + _LEAVE_S
            while self._progress and time.monotonic() < deadline:
                consumer.poll(_POLL_S)
            consumer.close()

        wait([in_background(leave)], 2 * _LEAVE_S)

    def discard(self) -> None:
        """Let go of the consumer without waiting for the broker."""
        self._before_revoke = lambda: None
        in_background(self._intake.consumer.close)

    def _take(self, timeout_s: float, at_most: int) -> int:
        changes = self._changes
        try:
            taken = self._intake.take(timeout_s, at_most)
        except KafkaException as exception:
            raise _failure(exception) from exception
        except ReadError as error:
            if isinstance(error.__cause__, KafkaException) and is_fencing(error.__cause__.args[0]):
                raise _failure(error.__cause__) from error
            raise
        if changes != self._changes:
            # What came before partitions changed hands must not count, or it would count twice;
            # and what came after that cannot be told from it.
            if self._was_assigned and (taken.records or taken.ends):
                self.rewind()
            return 0
        if taken.records and not self._messages:
            self._first_s = time.monotonic()
        self._messages += taken.records
        for key, offset in Chunk(taken.records).next_offsets.items():
            self._progress[key].reach(offset, at_end=False)
        for topic, partition, offset in taken.ends:
            if (topic, partition) in self._progress:
                self._progress[topic, partition].reach(offset, at_end=True)
        return len(taken.records)

    def _is_over(self) -> bool:
        if self._extent.stream_timeout == FOR_EVER or not self._was_assigned:
            return False
        if self._extent.stream_timeout == 0:
            return all(progress.reached >= progress.goal for progress in self._progress.values())
        # Silence of a broker that is away is no end of the stream.
        is_silent = self._silence_s * 1000 >= self._extent.stream_timeout
        return is_silent and self._at_end() and self._intake.is_alive()

    def _at_end(self) -> bool:
        return all(progress.at_end for progress in self._progress.values())

    def _refuse_stuck(self, now: float) -> None:
        """Raise where the broker has records, and this client does not get them."""
        if now - self._checked_s < PROGRESS_S:
            return
        for key, progress in self._progress.items():
            end = self._end(self._intake.consumer, TopicPartition(*key))
            if progress.reached < end and self._silence_s >= 2 * PROGRESS_S:
                raise UnusableError(
                    f"topic {key[0]}, partition {key[1]}: nothing for {self._silence_s:.0f} s, "
                    f"although it has records {progress.reached} to {end}"
                )
        self._checked_s = time.monotonic()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        failed = [p for p in partitions if p.error is not None]
        if failed:
            raise TopicError(f"topic {failed[0].topic}: {failed[0].error.str()}")
        self.rebalances += 1
        self._changes += 1
        self._assign(consumer, partitions)
        self._was_assigned = True
        self.member_id = self.membership_id()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # librdkafka would remember the pause, and not fetch when the partition is assigned again.
        consumer.resume(partitions)
        self._is_paused = self._was_assigned = False
        self._messages, self._progress = [], {}
        self._changes += 1
        self._before_revoke()

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Read on behind the committed offsets, or from the beginning where there are none."""
        self._messages, self._progress, self._is_paused = [], {}, False
        self._silence_s, self._checked_s = 0.0, time.monotonic()
        places = self._committed(consumer, partitions)
        for place in places:
            end = self._end(consumer, place)
            self._progress[place.topic, place.partition] = _Progress(place.offset, end)
        consumer.assign(places)

    def _committed(
        self, consumer: Consumer, partitions: list[TopicPartition]
    ) -> list[TopicPartition]:
        deadline = time.monotonic() + self._patience_s
        while partitions:
            try:
                found = consumer.committed(partitions, timeout=_ASK_S)
                reasons = [p.error for p in found if p.error is not None]
            except KafkaException as exception:
                reasons = [exception.args[0]]
            if not reasons:
                for partition in found:
                    if partition.offset < 0:
                        partition.offset = OFFSET_BEGINNING
                return found
            if time.monotonic() > deadline:
                raise UnusableError(f"the group's offsets cannot be read: {reasons[0].str()}")
        return []

    @staticmethod
    def _end(consumer: Consumer, partition: TopicPartition) -> int:
        try:
            return consumer.get_watermark_offsets(partition, timeout=_ASK_S)[1]
        except KafkaException as exception:
            raise UnusableError(
                f"topic {partition.topic}, partition {partition.partition}: no end: "
                f"{exception.args[0].str()}"
            ) from exception


def _failure(exception: KafkaException) -> TfkafkaError:
    error = exception.args[0]
    kind = FencedError if is_fencing(error) else UnusableError
    return kind(f"reading: {error.str()}")


@dataclass
class _Progress:
    """How far a partition has been read, and where it ended when it was assigned."""

    reached: int
    goal: int
    at_end: bool = False

    def reach(self, offset: int, at_end: bool) -> None:
        self.reached, self.at_end = offset, at_end
