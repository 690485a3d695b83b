"""A member of a consumer group, whose membership lasts however slow the model is.

One thread alone polls. It reads ahead into a buffer bounded in bytes; while that is full the
partitions are paused and it polls on, so that `max.poll.interval.ms` is kept.
"""

from __future__ import annotations

import atexit
import gc
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from tfkafka._util.interrupts import Interrupts
from tfkafka.errors import ReadError, TopicError
from tfkafka.intake import FOR_EVER, Intake, Limits
from tfkafka.ledger import Positions
from tfkafka.offsets import FIXED, Committer, commit_and_wait, commit_as_outsider
from tfkafka.records import Chunk

POLL_S = 0.05
HEARTBEAT_S = 0.2
CLOSE_S = 15.0
EXIT_S = 2.0
DEFAULT_MAX_POLL_INTERVAL_MS = 300_000
_open: weakref.WeakSet[GroupSession] = weakref.WeakSet()


class GroupSession:
    """Joins a group, and gives out the records of the partitions that it is assigned.

    Whoever calls `next_chunk` sets `unused` when it won't do so any more.

    Args:
        topics: subscribed to.
        settings: of the consumer, with `group.id`.
        stream_timeout: ms of unbroken silence since the assignment after which the stream ends,
            not counting time between calls of `next_chunk`; 0: it ends where the partitions ended
            when they were assigned; -1: never.
        before_revoke: called with the partitions that are about to be lost, while offsets can
            still be committed.
        prepare: done to each chunk in the polling thread, beside the model.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: Mapping[str, object],
        limits: Limits,
        stream_timeout: int,
        before_revoke: Callable[[list[tuple[str, int]]], None],
        prepare: Callable[[Chunk], Chunk] = lambda chunk: chunk,
    ):
        # Half of what may be read ahead is in librdkafka's queue, half in the buffer.
        halved = Limits(
            limits.chunk_records, limits.chunk_bytes, max(1, limits.prefetch_bytes // 2),
            limits.broker_timeout,
        )  # fmt: skip
        self._settings = settings
        self._capacity = halved.prefetch_bytes
        self._stream_timeout = stream_timeout
        self._before_revoke = before_revoke
        self._prepare = prepare
        self._topics = list(topics)
        interval = int(settings.get("max.poll.interval.ms", DEFAULT_MAX_POLL_INTERVAL_MS))
        self._patience_s = min(1.0, interval / 4000)
        self._changed = threading.Condition(threading.RLock())
        self._buffer: deque[Chunk] = deque()
        self._buffered = 0
        self._assigned: dict[tuple[str, int], _Progress] = {}
        self._paused: list[TopicPartition] = []
        self._was_assigned = False
        self._silence_s = 0.0
        self._error: Exception | None = None
        self._closing = False
        self._left = False
        self.unused = threading.Event()
        self._committer = Committer()
        self._to_commit: Positions = {}
        self._answers: list[Future[None]] = []
        self._interrupts = Interrupts()
        self._intake = Intake(
            {**settings, **FIXED, "on_commit": self._committer.on_commit}, halved, self._topics
        )
        self._thread = threading.Thread(target=self._run, name="tfkafka-poll", daemon=True)
        _open.add(self)
        self._thread.start()

    def next_chunk(self) -> Chunk | None:
        """The next records; an empty chunk if there are none for now; None at the stream's end.

        Raises whatever ended the polling thread: ReadError, OffsetError, TopicError; and ReadError
        after `close`.
        """
        began = time.monotonic()
        with self._changed:
            while not self._buffer:
                if self._error is not None:
                    raise self._error
                if self._closing:
                    raise ReadError(
                        f"topic {', '.join(self._topics)}: the group was left while it was being "
                        f"read: the dataset was closed, or iterated anew"
                    )
                if self._is_over():
                    return None
                before = time.monotonic()
                self._changed.wait(POLL_S)
                if self._was_assigned:
                    self._silence_s += time.monotonic() - before
                if time.monotonic() - began > HEARTBEAT_S and not self._buffer:
                    self._interrupts.check()
                    return Chunk([])
            self._silence_s = 0.0
            chunk = self._buffer.popleft()
            self._buffered -= chunk.size
            self._changed.notify_all()
            return chunk

    def is_quiet(self) -> bool:
        """Whether all that is there has been given out."""
        with self._changed:
            return not self._buffer and self._was_assigned and self._at_end()

    def commit(self, positions: Positions, wait: bool) -> None:
        """Commit, for the partitions that are still this member's; `wait` for the broker's answer.

        Raises CommitError where the broker refuses for another reason than that the membership
        was lost; then the records come again, to the member that has the partition now. Without
        `wait` the error comes from `next_chunk`.
        """
        if threading.current_thread() is self._thread:
            mine = {key: offset for key, offset in positions.items() if key in self._assigned}
            commit_and_wait(self._intake.consumer, mine)
            return
        answer: Future[None] = Future()
        with self._changed:
            outside = self._left
            if not outside:
                self._to_commit |= positions
                self._answers += [answer] if wait else []
                self._changed.notify_all()
        if outside:
            commit_as_outsider(self._settings, positions)
        elif wait:
            answer.result()

    def close(self) -> None:
        """Leave the group. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)
        _open.discard(self)

    def _run(self) -> None:
        try:
            self._intake.consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )  # fmt: skip
            while not self._closing:
                if self._has_room():
                    self._serve_commits()
                    self._store(POLL_S)
                else:
                    self._wait_for_room()
            self._finish_commits()
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
        finally:
            with self._changed:
                self._committer.give_up(self._answers)
                self._answers = []
            self._intake.consumer.close()
            with self._changed:
                self._left = True
                self._committer.give_up(self._answers)

    def _serve_commits(self) -> None:
        """Send what was asked for, for the partitions that are still this member's."""
        self._committer.send(self._intake.consumer, *self._wanted_commits())

    def _wanted_commits(self) -> tuple[Positions, list[Future[None]]]:
        with self._changed:
            positions, self._to_commit = self._to_commit, {}
            answers, self._answers = self._answers, []
        mine = {key: offset for key, offset in positions.items() if key in self._assigned}
        return mine, answers

    def _finish_commits(self) -> None:
        """Wait for the answers to all commits; raises ReadError where the broker is away."""
        self._serve_commits()
        while self._committer.is_waiting():
            self._intake.take(POLL_S)

    def _store(self, timeout_s: float) -> None:
        taken = self._intake.take(timeout_s)
        chunk = self._prepare(Chunk(taken.records))
        with self._changed:
            for key, offset in chunk.next_offsets.items():
                if key in self._assigned:
                    self._assigned[key].records_until(offset)
            for topic, partition, _ in taken.ends:
                if (topic, partition) in self._assigned:
                    self._assigned[topic, partition].end_reached()
            if len(chunk):
                self._buffer.append(chunk)
                self._buffered += chunk.size
            if len(chunk) or taken.ends:
                self._changed.notify_all()

    def _is_awaited(self) -> bool:
        """Whether somebody waits for the answer to a commit."""
        return bool(self._answers) or self._committer.is_awaited()

    def _has_room(self) -> bool:
        return self._buffered < self._capacity

    def _wait_for_room(self) -> None:
        """Wait a moment; where that was not enough, pause the partitions and poll on."""
        with self._changed:
            is_done = self._changed.wait_for(
                lambda: self._has_room() or self._closing or self._is_awaited(), self._patience_s
            )
        if self._is_awaited() and not self._has_room():
            # Whoever waits for the answer makes no room, and nothing more may be polled.
            self._committer.send_and_wait(self._intake.consumer, *self._wanted_commits())
        if is_done:
            return
        # Pausing throws away what librdkafka has fetched: only for a model that is slow anyway.
        consumer = self._intake.consumer
        while not (self._has_room() or self._closing):
            fresh = [p for p in consumer.assignment() if p not in self._paused]
            consumer.pause(fresh)
            self._paused += fresh
            self._serve_commits()
            self._store(POLL_S)
        consumer.resume(self._paused)
        self._paused = []

    def _is_over(self) -> bool:
        if self._stream_timeout == FOR_EVER or not self._was_assigned:
            return False
        if self._stream_timeout == 0:
            return all(progress.done for progress in self._assigned.values())
        # Silence of a broker that is away is no end of the stream.
        silent = self._silence_s * 1000 >= self._stream_timeout
        return silent and self._intake.is_alive() and self._at_end()

    def _at_end(self) -> bool:
        return all(progress.at_end for progress in self._assigned.values())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        failed = [p for p in partitions if p.error is not None]
        if failed:
            raise TopicError(f"topic {failed[0].topic}: {failed[0].error.str()}")
        goals = {}
        if self._stream_timeout == 0:
            goals = {
                (p.topic, p.partition): consumer.get_watermark_offsets(p, timeout=10)[1]
                for p in partitions
            }
        with self._changed:
            for p in partitions:
                key = (p.topic, p.partition)
                self._assigned[key] = _Progress(goals.get(key))
            self._was_assigned = True
            self._silence_s = 0.0
            self._changed.notify_all()

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # On closing all is given back: what may be committed was committed before that.
        if not self._closing:
            self._before_revoke([(p.topic, p.partition) for p in partitions])
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # librdkafka would remember the pause, and not fetch when the partition is assigned again.
        consumer.resume([p for p in self._paused if p in partitions])
        self._paused = [p for p in self._paused if p not in partitions]
        lost = {(p.topic, p.partition) for p in partitions}
        self._intake.forget(lost)
        with self._changed:
            for key in lost & self._assigned.keys():
                del self._assigned[key]
                self._committer.taken.pop(key, None)
            if not self._assigned:
                # Until the next assignment, of none perhaps: without partitions none has an end.
                self._was_assigned = False
            self._buffer = deque(filter(len, (_without(chunk, lost) for chunk in self._buffer)))
            self._buffered = sum(chunk.size for chunk in self._buffer)


class _Progress:
    """How far reading of an assigned partition is."""

    def __init__(self, goal: int | None):
        self.goal = goal
        self.at_end = False
        self.done = goal == 0

    def records_until(self, offset: int) -> None:
        self.at_end = False
        self.done |= self.goal is not None and offset >= self.goal

    def end_reached(self) -> None:
        self.at_end = self.done = True


def _without(chunk: Chunk, lost: set[tuple[str, int]]) -> Chunk:
    pairs = zip(chunk.topics, chunk.partitions.tolist(), strict=True)
    kept = np.fromiter((pair not in lost for pair in pairs), np.bool_, len(chunk))
    return chunk if kept.all() else chunk.select(np.flatnonzero(kept))


@atexit.register
def _leave_all_groups() -> None:
    sessions = list(_open)
    for session in sessions:
        session.close()
    # A thread of TensorFlow that wants to run Python while the interpreter ends never comes back,
    # and TensorFlow waits for it: so what an uncaught exception holds is let go of before that.
    sys.last_traceback = sys.last_value = None
    gc.collect()
    for session in sessions:
        session.unused.wait(EXIT_S)
