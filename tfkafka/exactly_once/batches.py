"""A group's records in batches, from the committed offsets; the caller commits them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.background import in_background
from tfkafka._util.silence import Silence
from tfkafka.chunk import Chunk, Positions, TopicPartition, concat, empty
from tfkafka.client.consumer import is_fenced
from tfkafka.client.identity import Identities
from tfkafka.client.leaving import GIVE_BACK_S
from tfkafka.client.lineage import Places
from tfkafka.client.transactions import PROGRESS_S
from tfkafka.config import Limits
from tfkafka.errors import AbortedError, FencedError, ReadError, UnusableError
from tfkafka.metrics.meter import Meter
from tfkafka.reading.group import GroupConsumer
from tfkafka.reading.starts import OnMissingOffsets, Reset

_POLL_S = 0.1
_LOOK_S = 0.01


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is full, and when the stream ends.

    Args:
        transaction_records: maximum number of records in a batch.
        transaction_wait: maximum ms that the first record of a batch waits for others.
        stream_timeout: ms of silence after which the stream ends; 0: it ends where the partitions
            ended when they were assigned; -1: never.
    """

    transaction_records: int
    transaction_wait: int
    stream_timeout: int

    def __post_init__(self) -> None:
        arguments.whole_number("transaction_records", self.transaction_records, 1)
        arguments.milliseconds("transaction_wait", self.transaction_wait, 0)
        arguments.stream_timeout("stream_timeout", self.stream_timeout)


class BatchReader:
    """A member of a group. Use it from one thread, which must call `next_batch` or `idle` often.

    Args:
        topics: the topics to subscribe to.
        settings: the consumer's settings, with `group.id`.
        batch_limits: when a batch is full, and when the stream ends.
        limits: how much is read ahead, and how long a broker may be away.
        finish: called when partitions are revoked, before another member gets them: returns once
            no transaction is open. One that begins later must ask `current` which records it has.
        patience_s: how long a transaction of a dead member may block the committed offsets.
        metadata: whether chunks have timestamps and headers.
        on_missing: what to do where an offset no longer exists.
        known: the identities of topics that are known so far; new ones are added.
        meter: counts assignments.

    Methods raise UnusableError where only a new client can continue, FencedError where another
    member has this one's `group.instance.id`, and ReadError, OffsetError or TopicError.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: Mapping[str, object],
        batch_limits: BatchLimits,
        limits: Limits,
        finish: Callable[[], None],
        patience_s: float,
        metadata: bool,
        on_missing: OnMissingOffsets,
        known: Identities,
        meter: Meter,
    ):
        self._batch_limits = batch_limits
        self._finish = finish
        self._leaving: list[TopicPartition] = []
        # Noted in the thread that polls: in confluent-kafka 2.16 another one waits for the poll,
        # and for a callback that itself waits for the open transaction.
        self._membership: object = None
        self._is_asked = threading.Event()
        self._is_left = False
        self._chunks: list[Chunk] = []
        self._assignments = 0
        self._first_s = 0.0
        self._silence = Silence()
        self._checked_s = time.monotonic()
        self.member_id: str = ""
        self._group = GroupConsumer(
            topics,
            config.exactly_once_settings(settings),
            limits,
            batch_limits.stream_timeout,
            Reset("earliest", on_missing),
            before_revoke=self._before_revoke,
            after_loss=self._after_loss,
            metadata=metadata,
            patience_s=patience_s,
            known=known,
            was_reached=True,  # when the job's topics were looked up
            meter=meter,
        )
        self._meter = meter
        meter.observe(self._group)
        self._group.join()

    @property
    def rebalances(self) -> int:
        """The number of times that partitions were assigned."""
        return self._group.assignments

    @property
    def missing(self) -> int:
        """The number of records that were gone before they were read."""
        return self._group.missing

    def next_batch(self) -> Chunk | None:
        """Return a batch, full or out of time; an empty one while it fills; None at the end."""
        self._group.resume()
        began_s = time.monotonic()
        missing = self._batch_limits.transaction_records - sum(map(len, self._chunks))
        count = self._take(missing)
        now = time.monotonic()
        if count:
            self._hear(now)
        elif self._group.is_assigned:
            self._silence.waited(now - began_s)
            self._refuse_stuck(now)
        is_over = not count and self._group.is_over(self._silence.seconds)
        waited_ms = (now - self._first_s) * 1000
        if self._chunks and (
            count == missing or waited_ms >= self._batch_limits.transaction_wait or is_over
        ):
            # All of them are current, also those of partitions that were assigned last.
            batch = concat(self._chunks).of_generation(self._chunks[-1].generation)
            self._chunks = []
            self._note_membership()
            return batch
        return None if is_over and not self._chunks else empty()

    def idle(self) -> None:
        """Keep the membership while no batch is wanted."""
        self._group.pause()
        self._take(1)

    def is_idle(self) -> bool:
        """Return whether the broker answers and has no more records."""
        return not self._chunks and self._group.is_at_end() and self._group.consumer.is_alive()

    def rewind(self) -> None:
        """Forget what was read and not committed: continue at the committed offsets."""
        self._chunks = []
        self._hear(time.monotonic())
        with _fencing_explained():
            self._group.rewind()

    def confirm(self, topics: Iterable[str]) -> None:
        """Raise TopicError where one of these topics was deleted and created again."""
        self._group.guard.confirm(topics)

    def current(self, chunk: Chunk) -> Chunk:
        """Return the records that a transaction may have: their partitions stay this member's."""
        chunk = self._group.current(chunk)
        return chunk.without(self._leaving) if self._leaving else chunk

    def prove(self, chunk: Chunk) -> object:
        """Return what proves to a transaction that a batch comes from a current group member.

        Raises AbortedError where one of its partitions is lost.
        """
        # The broker compares only the member's generation, or its epoch, with its own, whoever has
        # the partitions. So first this, then the partitions: where they are lost after that, the
        # membership is out of date, and refused.
        membership = self._membership
        if len(self._group.current(chunk)) < len(chunk):
            raise AbortedError("a partition of the transaction was lost while it was open")
        return membership

    def membership_changes(self, since: object, chunk: Chunk, deadline_s: float) -> bool:
        """Wait until the membership is another than `since`, or a partition of a batch is lost.

        Returns False where that has not happened at `deadline_s`, a time of the monotonic clock.
        """
        while self._membership == since and len(self.current(chunk)) == len(chunk):
            if time.monotonic() > deadline_s:
                return False
            self._is_asked.set()
            time.sleep(_LOOK_S)
        return True

    def places(self, positions: Positions) -> Places:
        """Return offsets for a transaction: see `Lineage.to_commit`."""
        return self._group.lineage.to_commit(positions)

    def note_committed(self, positions: Positions) -> None:
        """Note that these offsets have been committed."""
        self._group.note_committed(positions)

    def is_assigned(self) -> bool:
        """Return whether the member has its assignment; False while it joins."""
        return self._group.is_assigned

    def membership_id(self) -> str:
        """Return this member's id, or "" until the broker has sent it."""
        return self._group.consumer.member_id()

    def leave(self) -> None:
        """Leave the group, so that others get the partitions at once."""
        self._is_left = True
        consumer = self._group.consumer
        self._meter.forget(self._group)

        def leave() -> None:
            try:
                consumer.close(leave=True)
            finally:
                self._group.guard.close()

        wait([in_background(leave)], 2 * GIVE_BACK_S)

    def discard(self) -> None:
        """Drop the consumer without waiting for the broker."""
        self._is_left = True
        self._finish = lambda: None
        self._meter.forget(self._group)
        self._group.guard.close()
        in_background(self._group.consumer.close)

    def _note_membership(self) -> None:
        self._is_asked.clear()
        self._membership = self._group.consumer.group_metadata()

    def _before_revoke(self, partitions: list[TopicPartition]) -> None:
        self._leaving = partitions
        if not self._is_left:
            self._note_membership()
        self._finish()

    def _after_loss(self, _partitions: list[TopicPartition]) -> None:
        self._leaving = []
        self._finish()

    def _take(self, at_most: int) -> int:
        with _fencing_explained():
            polled = self._group.poll(_POLL_S, at_most)
        self._group.advance(polled)
        if self._is_asked.is_set():
            self._note_membership()
        # Records of lost partitions leave the batch: they are delivered again.
        self._chunks = [c for c in map(self._group.current, self._chunks) if len(c)]
        if self._assignments != self._group.assignments:
            self._assignments = self._group.assignments
            self._hear(time.monotonic())
            self.member_id = self.membership_id()
        if len(polled.chunk):
            self._first_s = self._first_s if self._chunks else time.monotonic()
            self._chunks.append(polled.chunk)
        return len(polled.chunk)

    def _hear(self, now: float) -> None:
        self._silence.end()
        self._checked_s = now

    def _refuse_stuck(self, now: float) -> None:
        """Raise UnusableError where the broker has records that this client does not receive."""
        if now - self._checked_s < PROGRESS_S:
            return
        reached = self._group.reached()
        ends = self._group.end_offsets(reached)
        for source, offset in reached.items():
            if offset < ends[source] and self._silence.seconds >= 2 * PROGRESS_S:
                raise UnusableError(
                    f"{source}: nothing for {self._silence.seconds:.0f} s, although it has records "
                    f"{offset} to {ends[source]}",
                    **source._asdict(),
                    offset=offset,
                )
        self._checked_s = time.monotonic()


@contextmanager
def _fencing_explained() -> Iterator[None]:
    """Raise FencedError instead of the ReadError of a member that was replaced."""
    try:
        yield
    except ReadError as error:
        if is_fenced(error):
            raise FencedError(f"reading: {error}", topic=error.topic) from error
        raise
