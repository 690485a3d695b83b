"""A member of a consumer group that keeps its membership while the model is slow.

Only one thread polls. It reads ahead into a bounded buffer. While the buffer is full, the thread
pauses the partitions and continues to poll, so that `max.poll.interval.ms` is kept.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

from tfkafka import config
from tfkafka._util.disposal import wait_until_destroyed
from tfkafka._util.silence import Silence
from tfkafka._util.text import of_topics, only
from tfkafka.chunk import Chunk, Positions, TopicPartition, empty
from tfkafka.client.outsiders import commit_as_outsider, committed_as_outsider
from tfkafka.config import Limits
from tfkafka.errors import CommitError, ReadError, TopicError
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.reading.commits import Committer
from tfkafka.reading.group import ASK_S, GroupConsumer
from tfkafka.reading.prefetch import CLOSE_S, URGENT_S, Prefetch, Prepare, Prepared
from tfkafka.reading.starts import OnMissingOffsets, Reset

POLL_S = 0.05
# While a commit waits for the check of its topics.
SOON_S = 0.002
HEARTBEAT_S = 0.2
EXIT_S = 2.0
NAMED_PARTITIONS = 5
DEFAULT_MAX_POLL_INTERVAL_MS = 300_000
_open: weakref.WeakSet[GroupMember] = weakref.WeakSet()


class GroupMember:
    """Joins a group, and delivers the records of its assigned partitions.

    The caller of `next_chunk` sets `unused` after its last call. It sets `is_urgent` where a signal
    ends the stream: `close` then waits for a moment only, and the group is left in the background.

    Args:
        topics: the topics to subscribe to.
        settings: the consumer's settings, with `group.id`.
        stream_timeout: ms of unbroken silence since the assignment after which the stream ends,
            not counting time between calls of `next_chunk`; 0: it ends where the partitions ended
            when they were assigned; -1: never.
        before_revoke: called with the partitions that are about to be lost, while offsets can
            still be committed.
        metadata: whether chunks have timestamps and headers.
        prepare: called with each chunk in the polling thread, while the model works.
        on_missing: what to do where an offset no longer exists.
        meter: counts what the member does.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: Mapping[str, object],
        limits: Limits,
        stream_timeout: int,
        before_revoke: Callable[[list[TopicPartition]], None],
        metadata: bool = False,
        prepare: Prepare = lambda chunk: None,
        on_missing: OnMissingOffsets = "error",
        meter: Meter = UNMETERED,
    ):
        self._topics = list(topics)
        self._settings = settings
        self._before_revoke = before_revoke
        self._prepare = prepare
        interval_ms = config.whole_number(
            settings, "max.poll.interval.ms", DEFAULT_MAX_POLL_INTERVAL_MS
        )
        self._patience_s = min(1.0, interval_ms / 4000)
        self._committer = Committer(
            self._note_commit, self._want_again, limits.broker_timeout / 1000
        )
        self._group = GroupConsumer(
            topics,
            settings,
            limits,
            stream_timeout,
            Reset.of(settings, on_missing),
            before_revoke=self._revoke,
            after_loss=self._forget,
            metadata=metadata,
            on_commit=self._committer.on_commit,
            meter=meter,
        )
        self._meter = meter
        self._meter.observe(self._group)
        self._buffer = Prefetch(self._run, limits.buffer_bytes, "tfkafka-poll", self._leave)
        self._silence = Silence()
        self._silent_in = 0
        self._to_commit: dict[TopicPartition, int] = {}
        self._answers: list[Future[None]] = []
        self._left = False
        self.has_delivered: bool = False
        self.unused: threading.Event = threading.Event()
        self.is_stopped: bool = False
        self.is_urgent: bool = False
        _open.add(self)
        self._buffer.start()

    def next_chunk(self) -> Prepared | None:
        """Return the next records; an empty chunk if none have arrived; None at the end.

        The end is that of the stream, or comes soon after `is_stopped` is set.

        Raises the error that ended the polling thread: ReadError, OffsetError or TopicError. Raises
        ReadError after `close`.
        """
        try:
            with self._meter.stage("wait"):
                prepared = self._wait_for_chunk()
        except Exception as error:
            self._meter.failed(str(error))
            raise
        if prepared is not None and (len(prepared.chunk) or self.is_quiet()):
            self._meter.progressed()
        return prepared

    def _wait_for_chunk(self) -> Prepared | None:
        began = time.monotonic()
        with self._buffer.changed:
            while self.is_stopped or (prepared := self._take()) is None:
                if self.is_stopped:
                    return None
                if self._buffer.is_closing:
                    raise ReadError(
                        f"{of_topics(self._topics)}: the group was left while it was being "
                        f"read: the dataset was closed, or iterated again",
                        topic=only(self._topics),
                    )
                if self._buffer.is_empty() and self._group.is_over(self._silence_s()):
                    return None
                before = time.monotonic()
                self._buffer.changed.wait(POLL_S)
                if self._group.is_assigned:
                    self._silence.waited(time.monotonic() - before)
                # Also where a chunk waits for the check of its topics.
                if time.monotonic() - began > HEARTBEAT_S:
                    return Prepared(empty())
            self._silence.end()
            self.has_delivered = True
            return prepared

    def is_quiet(self) -> bool:
        """Return whether all available records have been delivered."""
        with self._buffer.changed:
            return self._buffer.is_empty() and self._group.is_at_end()

    @property
    def missing(self) -> int:
        """The number of records that were gone before they were read."""
        return self._group.missing

    def lag(self, patience_s: float) -> dict[TopicPartition, int] | None:
        """Return how many offsets of each partition are not committed; None: unknown so soon."""
        return self._group.lag(patience_s)

    def offsets(self) -> dict[TopicPartition, tuple[int | None, int]] | None:
        """Return the committed offset and the end of each assigned partition; None: unknown."""
        try:
            ends = self._group.end_offsets(self._group.reached())
        except (ReadError, TopicError):
            return None
        committed, reason = committed_as_outsider(self._settings, ends, ASK_S)
        if reason is not None:
            return None
        return {
            source: (committed[source].offset if source in committed else None, end)
            for source, end in ends.items()
        }

    def current(self, chunk: Chunk) -> Chunk:
        """Return the records whose partitions are still this member's."""
        return self._group.current(chunk)

    def commit(self, positions: Positions, wait: bool) -> None:
        """Commit the positions of this member's partitions; `wait` for the broker's answer.

        Raises CommitError where the broker refuses them; without `wait`, `next_chunk` raises it. A
        lost membership is no error: the records are delivered again, to the member that has the
        partition now.
        """
        if self._buffer.is_own_thread():
            mine = self._group.mine(positions)
            self._group.guard.confirm(_topics(mine))
            self._group.commit(mine)
            self._committer.accept(mine)
            return
        answer: Future[None] = Future()
        with self._buffer.changed:
            is_outside = self._left
            if not is_outside:
                self._to_commit |= positions
                self._answers += [answer] if wait else []
                self._buffer.changed.notify_all()
        if is_outside:
            self._group.guard.confirm(_topics(positions))
            commit_as_outsider(self._settings, positions, self._group.lineage)
            self._note_commit(positions)
        elif wait:
            answer.result()

    def close(self) -> None:
        """Leave the group. Safe to call twice."""
        if self._buffer.close(URGENT_S if self.is_urgent else CLOSE_S):
            _open.discard(self)

    def _take(self) -> Prepared | None:
        """Return the next chunk with a record of this member's partitions, or None."""
        while (prepared := self._buffer.take()) is not None:
            chunk = self.current(prepared.chunk)
            if len(chunk) == len(prepared.chunk):
                return prepared
            if len(chunk):
                return Prepared(chunk, self._prepare(chunk))
        return None

    def _silence_s(self) -> float:
        if self._silent_in != self._group.assignments:
            self._silent_in = self._group.assignments
            self._silence.end()
        return self._silence.seconds

    def _run(self, buffer: Prefetch) -> None:
        self._group.join()
        while not buffer.is_closing:
            if buffer.has_room():
                self._group.resume()
                self._poll(buffer)
            else:
                self._wait_for_room(buffer)
        self._finish_commits()

    def _leave(self) -> None:
        with self._buffer.changed:
            self._committer.give_up(self._answers, self._buffer.error)
            self._answers = []
        try:
            self._group.keep_positions()
            # Partitions are revoked here. Where reading has failed the broker may be away, or the
            # topic another one: records that cannot be committed are then delivered again.
            with contextlib.suppress(CommitError, ReadError, TopicError):
                self._group.consumer.close()
        finally:
            self._group.guard.close()
            self._meter.forget(self._group)
            with self._buffer.changed:
                self._left = True
                self._committer.give_up(self._answers, self._buffer.error)

    def _poll(self, buffer: Prefetch) -> None:
        self._committer.send_confirmed(self._group.consumer)
        self._hold_commits()
        polled = self._group.poll(SOON_S if self._committer.is_holding() else POLL_S)
        check = self._group.guard.ask(_topics(polled.chunk.sources))
        prepared = Prepared(polled.chunk, self._prepare(polled.chunk), check)
        with self._buffer.changed:
            # Under one lock: between the two calls the stream would seem to be over.
            if len(polled.chunk):
                buffer.put(prepared)
            self._group.advance(polled)
            self._buffer.changed.notify_all()

    def _wait_for_room(self, buffer: Prefetch) -> None:
        """Wait a moment; where that was not enough, pause the partitions and continue to poll."""
        if buffer.wait_for_room(self._patience_s, self._is_awaited):
            if self._is_awaited() and not buffer.has_room():
                # A caller that waits for the answer makes no room, and the buffer takes no more.
                self._group.guard.confirm()
                self._committer.send_and_wait(self._group.consumer, *self._wanted_commits())
            if not self._committer.lacks_coordinator():
                return
        # Pausing throws away what librdkafka has fetched: do so only where the model is slow, or
        # where a commit may have to be sent again for longer than a member may not poll.
        while not (buffer.has_room() or buffer.is_closing):
            self._group.pause()
            self._poll(buffer)

    def _is_awaited(self) -> bool:
        """Return whether a caller waits for the answer to a commit."""
        return bool(self._answers) or self._committer.is_awaited()

    def _hold_commits(self) -> None:
        """Commit what was requested as soon as its topics are confirmed."""
        positions, answers = self._wanted_commits()
        if positions or answers:
            check = self._group.guard.ask(_topics(positions))
            self._committer.hold(positions, answers, check)

    def _wanted_commits(self) -> tuple[Positions, list[Future[None]]]:
        """Return the commits requested for this member's partitions, and their futures."""
        with self._buffer.changed:
            positions, self._to_commit = self._to_commit, {}
            answers, self._answers = self._answers, []
        return self._group.mine(positions), answers

    def _want_again(self, positions: Positions, answers: list[Future[None]]) -> None:
        with self._buffer.changed:
            self._to_commit = {**positions, **self._to_commit}
            self._answers += answers

    def _forget(self, partitions: list[TopicPartition]) -> None:
        """Commit nothing more of lost partitions, also where they are assigned again."""
        with self._buffer.changed:
            for partition in partitions:
                self._to_commit.pop(partition, None)
        self._committer.forget(partitions)

    def _note_commit(self, accepted: Positions) -> None:
        if accepted:
            self._group.note_committed(accepted)
            self._meter.count("commits")
            self._meter.progressed()

    def _finish_commits(self) -> None:
        """Wait for the answers to all commits. Raises ReadError where the broker is away."""
        self._hold_commits()
        while self._committer.is_holding() or self._committer.is_waiting():
            self._group.poll(SOON_S if self._committer.is_holding() else POLL_S)
            self._committer.send_confirmed(self._group.consumer)
            self._hold_commits()

    def _revoke(self, partitions: list[TopicPartition]) -> None:
        # On closing, all partitions are revoked: their offsets have been committed before.
        if not self._buffer.is_closing:
            self._before_revoke(partitions)


def _topics(sources: Iterable[TopicPartition]) -> set[str]:
    return {source.topic for source in sources}


def why_empty(
    offsets: Mapping[TopicPartition, tuple[int | None, int]] | None, begins_at_end: bool
) -> str:
    """Return why a group's stream ended without a record, and what to do.

    Args:
        offsets: the committed offset and the end of each assigned partition; None: unknown.
        begins_at_end: whether a new group begins at the end.
    """
    if offsets is not None and not offsets:
        return (
            "this member has no partition: the group has more members than the topic has partitions"
        )
    known = list((offsets or {}).items())
    named = [
        f"{source}: committed {'nothing' if committed is None else committed}, ends at {end}"
        for source, (committed, end) in known[:NAMED_PARTITIONS]
    ]
    if len(known) > NAMED_PARTITIONS:
        named.append(f"{len(known) - NAMED_PARTITIONS} more partitions")
    positions = f"{'; '.join(named)}; " if named else ""
    new = "a new group begins at the end unless auto.offset.reset=earliest, and " * begins_at_end
    return (
        f"{positions}{new}a group reads each record once: to read them again, use another group_id "
        f"with auto.offset.reset=earliest; for several epochs, use KafkaDataset"
    )


# A forked child has none of the threads that would leave.
os.register_at_fork(after_in_child=_open.clear)


@atexit.register
def _leave_all_groups() -> None:
    members = list(_open)
    for member in members:
        member.close()
    # A TensorFlow thread that calls Python while the interpreter ends never returns, and TensorFlow
    # waits for it. So release what an uncaught exception holds before that.
    sys.last_traceback = sys.last_value = None
    gc.collect()
    wait_until_destroyed(EXIT_S)
    for member in members:
        member.unused.wait(EXIT_S)
