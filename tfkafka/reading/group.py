"""A member of a consumer group: its assignment, its progress, and the end of its stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from tfkafka import config
from tfkafka.chunk import Chunk, Positions, TopicPartition
from tfkafka.client.cluster import Cluster
from tfkafka.client.consumer import Consumer, Polled, may_be_sent_again
from tfkafka.client.identity import Identities, TopicGuard, topics_before_offsets
from tfkafka.client.lineage import Committed, Lineage
from tfkafka.client.members import members
from tfkafka.config import FOREVER, Limits
from tfkafka.errors import CommitError, ReadError
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.reading.lag import PATIENCE_S, Lag
from tfkafka.reading.others import Others
from tfkafka.reading.starts import Ends, Reset, Start, continued, existing, starting_offsets

# How long the first request for a group's offsets may take; each further one takes twice as long.
ASK_S = 2.0
_AGAIN_S = 0.1
Answer = TypeVar("Answer")


@dataclass
class _Progress:
    """How far an assigned partition has been read.

    Attributes:
        generation: the generation in which it was assigned.
        goal: its end at that time; None where that does not matter.
        reached: the next offset.
        at_end: whether all its records have been read.
        committed: the offset that was committed last, or where reading began.
    """

    generation: int
    goal: int | None
    reached: int
    at_end: bool = False
    committed: int = field(init=False)

    def __post_init__(self) -> None:
        self.committed = self.reached

    def is_done(self) -> bool:
        return self.goal is not None and (self.at_end or self.reached >= self.goal)


class GroupConsumer:
    """A consumer of a group. It has no thread: its user must call `poll` all the time.

    Code that uses records in another thread calls `current` for those that are still this member's.

    Args:
        topics: the topics to subscribe to.
        settings: the consumer's settings, with `group.id`.
        stream_timeout: ms of unbroken silence after which the stream ends; 0: it ends where the
            partitions ended when they were assigned; -1: never.
        before_revoke: called with the partitions that are about to be lost, while offsets can
            still be committed.
        after_loss: called with the partitions once they are lost or revoked.
        metadata: whether chunks have timestamps and headers.
        on_commit: see `Consumer`.
        reset: where to begin a partition without an offset that exists.
        known: the identities of topics that are known so far; new ones are added.
        patience_s: how long the group's offsets may be unavailable because of an open transaction
            of a dead member, or because the group has no coordinator; at least as long as a broker
            may be away.
        was_reached: whether the cluster has answered this program before, so that a broker that
            does not answer is taken for one that restarts.
        meter: counts assignments.

    Attributes:
        assignments: the number of times that partitions were assigned.
        lineage: the identities of the topics, and the leaders' epochs of the records that are read.
        lock: held while the assignment changes.
        missing: the number of records that were gone before they were read, where `reset` allows
            to continue.

    Methods raise ReadError, OffsetError or TopicError.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: Mapping[str, object],
        limits: Limits,
        stream_timeout: int,
        reset: Reset,
        *,
        before_revoke: Callable[[list[TopicPartition]], None] = lambda _partitions: None,
        after_loss: Callable[[list[TopicPartition]], None] = lambda _partitions: None,
        metadata: bool = False,
        on_commit: Callable[[CommitError | None, Positions], None] | None = None,
        patience_s: float = 30.0,
        known: Identities | None = None,
        was_reached: bool = False,
        meter: Meter = UNMETERED,
    ):
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self.assignments: int = 0
        self.missing: int = 0
        known = known or Identities()
        self.lineage: Lineage = Lineage(known)
        self.consumer: Consumer = Consumer(
            settings,
            limits,
            topics,
            metadata=metadata,
            on_commit=on_commit,
            was_reached=was_reached,
            lineage=self.lineage,
        )
        # It is asked only once the consumer has been answered.
        self._cluster = Cluster(settings, limits.broker_timeout, was_reached=True)
        self.guard: TopicGuard = TopicGuard(self._cluster, known)
        self._stream_timeout = stream_timeout
        self._before_revoke = before_revoke
        self._after_loss = after_loss
        self._reset = reset
        self._patience_s = max(patience_s, limits.broker_timeout / 1000)
        self._is_cooperative = config.is_cooperative(settings)
        self._starts: dict[TopicPartition, int] = {}
        self._generation = 0
        self._progress: dict[TopicPartition, _Progress] = {}
        self._lost_in_poll: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._is_assigned = False
        self._meter = meter
        self._lag = Lag(self.end_offsets, self._positions)
        self._kept: dict[TopicPartition, int] = {}
        self._topics = list(topics)
        self._name = str(settings["group.id"])
        self._member_id = ""
        self._others = Others(self._others_have_all)

    def join(self) -> None:
        """Subscribe; partitions are assigned while polling."""
        self.consumer.subscribe(self._on_assign, self._on_revoke, self._on_lost)

    def poll(self, timeout_s: float, at_most: int | None = None) -> Polled:
        """Wait at most `timeout_s` for records of this member's partitions.

        They count as read only after `advance`.
        """
        self._lost_in_poll = set()
        self.guard.watch({source.topic for source in self._progress})
        with topics_before_offsets(self.guard):
            polled = self.consumer.poll(timeout_s, at_most)
            if self._is_cooperative and not self._progress:
                self._member_id = self.consumer.member_id()
            begun_again = self._continue_after(polled)
        chunk = polled.chunk.without(begun_again) if begun_again else polled.chunk
        ends = {source: o for source, o in polled.ends.items() if source not in begun_again}
        if dropped := set(self._lost_in_poll):
            # It is unknown which records are from before the loss, and which from after it.
            if again := [source for source in dropped if source in self._progress]:
                again = again if self._is_cooperative else list(self._progress)
                dropped.update(again)
                self._read_again(again)
            chunk = chunk.without(dropped)
            ends = {source: offset for source, offset in ends.items() if source not in dropped}
        return Polled(chunk.of_generation(self._generation), ends)

    def advance(self, polled: Polled) -> None:
        """Note that these records and ends have been read."""
        with self.lock:
            for source, offset in {**polled.chunk.next_offsets, **polled.ends}.items():
                if source in self._progress:
                    progress = self._progress[source]
                    progress.reached, progress.at_end = offset, source in polled.ends

    def current(self, chunk: Chunk) -> Chunk:
        """Return the records whose partitions were not lost since the records were read.

        A partition that was lost and assigned again counts as lost: another member may have read
        and committed its records in between.
        """
        with self.lock:
            stale = [
                source
                for source in chunk.sources
                if source not in self._progress
                or self._progress[source].generation > chunk.generation
            ]
        return chunk.without(stale) if stale else chunk

    def mine(self, positions: Positions) -> dict[TopicPartition, int]:
        """Return the positions whose partitions are assigned."""
        return {source: o for source, o in positions.items() if source in self._progress}

    def reached(self) -> dict[TopicPartition, int]:
        """Return the next offset of each assigned partition."""
        return {source: progress.reached for source, progress in self._progress.items()}

    def commit(self, positions: Positions) -> None:
        """Commit and wait without polling, also while the group has no coordinator.

        Raises CommitError where the broker refuses the offsets, or nobody has taken them for
        `patience_s`.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self.consumer.commit(positions)
            except CommitError as failure:
                if not may_be_sent_again(failure) or time.monotonic() > deadline:
                    raise
            time.sleep(_AGAIN_S)

    def note_committed(self, positions: Positions) -> None:
        """Note that these offsets have been committed."""
        with self.lock:
            for source, offset in self.mine(positions).items():
                self._progress[source].committed = offset

    def keep_positions(self) -> None:
        """Let `lag` go on with what is committed now: the group is about to be left."""
        self._kept = self._positions()

    def lag(self, patience_s: float = PATIENCE_S) -> dict[TopicPartition, int] | None:
        """Return how many offsets of each assigned partition are not committed yet.

        Any thread may ask. None where Kafka does not answer within `patience_s`.
        """
        return self._lag.ask(patience_s)

    def trouble(self) -> str | None:
        """Return that Kafka does not answer, or None. Any thread may ask."""
        consumer = self.consumer
        if consumer.is_alive():
            return None
        return f"no answer from Kafka at {consumer.servers} for {consumer.unheard_s():.0f} s"

    def _positions(self) -> dict[TopicPartition, int]:
        with self.lock:
            return self._kept or {
                source: progress.committed for source, progress in self._progress.items()
            }

    @property
    def is_assigned(self) -> bool:
        """Whether the member has its assignment, which may be empty; False while it joins."""
        return self._is_assigned

    def is_at_end(self) -> bool:
        """Return whether every assigned partition has been read to its end.

        Also where a cooperative member has none, since others have all.
        """
        # It may be told so by no callback, and has an id before it has joined.
        if self._spare_s() is not None:
            return self.consumer.is_alive()
        return self._is_assigned and all(p.at_end for p in self._progress.values())

    def is_over(self, silence_s: float) -> bool:
        """Return whether the stream has ended, after `silence_s` without a record."""
        if self._stream_timeout == FOREVER:
            return False
        spare_s = self._spare_s()
        if self._is_cooperative and not self._progress:
            return spare_s is not None and spare_s * 1000 >= self._stream_timeout
        if not self._is_assigned:
            return False
        if self._stream_timeout == 0:
            return all(progress.is_done() for progress in self._progress.values())
        # The silence of a broker that is away does not end the stream.
        is_silent = silence_s * 1000 >= self._stream_timeout
        return is_silent and self.consumer.is_alive() and self.is_at_end()

    def _spare_s(self) -> float | None:
        """Return for how many seconds a cooperative member has had none, since others have all."""
        if not self._is_cooperative:
            return None
        if self._progress:
            self._others.forget()
            return None
        return self._others.for_s()

    def pause(self) -> None:
        """Stop fetching; polling keeps the membership. Records already fetched are thrown away."""
        if fresh := self._progress.keys() - self._paused:
            self.consumer.pause(fresh)
            self._paused |= fresh

    def resume(self) -> None:
        """Fetch again."""
        if self._paused:
            self.consumer.resume(self._paused)
            self._paused = set()

    def rewind(self) -> None:
        """Forget what was read and not committed: continue at the committed offsets."""
        self._read_again(list(self._progress))

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where these partitions end now."""
        return _of_each_topic(self._cluster.end_offsets, partitions)

    def _others_have_all(self) -> bool:
        """Ask whether other members have all partitions, while this one is a member with none."""
        found = members(self._cluster, self._name)
        theirs = set().union(*found.values())
        topics = {topic for topic in self._topics if not topic.startswith("^")}
        # They may have other topics too, which were deleted, or which this one may not see.
        topics |= {s.topic for s in theirs if config.is_read(s.topic, self._topics) is not False}
        wanted = {TopicPartition(t, p) for t in topics for p in self._cluster.partitions(t)}
        return found.get(self._member_id) == set() and wanted <= theirs

    def _on_assign(self, partitions: list[TopicPartition]) -> None:
        starts, ends = self._begin(partitions)
        with self.lock:
            self._generation += 1
            self.assignments += 1
            for source, start in starts.items():
                end = ends.readable[source]
                goal = end if self._stream_timeout == 0 else None
                self._progress[source] = _Progress(self._generation, goal, start, start >= end)
            self._starts |= starts
            self._is_assigned = True
        self._meter.count("rebalances")
        if self._is_cooperative:
            self.consumer.start_more_at(starts)
        else:
            self.consumer.start_at(starts)

    def _begin(self, partitions: list[TopicPartition]) -> tuple[dict[TopicPartition, int], Ends]:
        """Return where these partitions begin, and their ends; commit where the group begins.

        So a partition without a committed offset is a new one from then on.
        """
        all_partitions = [
            TopicPartition(topic, partition)
            for topic in {source.topic for source in partitions}
            for partition in self.guard.learn(topic).partitions
        ]
        # Whether the group has an offset of another partition says which ones are new, except where
        # all begin at the earliest record. Those of no more than needed: one may be in an open
        # transaction of this member's, and then the answer waits for it.
        is_earliest = self._reset.new_group == "earliest"
        known_offsets = self._committed(partitions if is_earliest else all_partitions)
        committed = _offsets(known_offsets)
        chosen = set(partitions)
        if self._reset.new_group == "latest":
            # Other new members would take their partitions for new ones, and read all records.
            known = {source.topic for source in committed}
            chosen |= {source for source in all_partitions if source.topic not in known}
        ends = self._ends(chosen, committed)
        starts = starting_offsets(chosen, committed, ends, self._reset)
        self._begin_at(starts, known_offsets, ends)
        self.commit({s: each.offset for s, each in starts.items() if s not in committed})
        return {source: starts[source].offset for source in partitions}, ends

    def _begin_at(
        self,
        starts: Mapping[TopicPartition, Start],
        committed: Mapping[TopicPartition, Committed],
        ends: Ends,
    ) -> None:
        """Note what is known of the records before these starts, and count those that are gone."""
        self.missing += sum(start.missing for start in starts.values())
        for source, start in starts.items():
            found = committed.get(source)
            is_committed = found is not None and found.offset == start.offset
            epoch = found.leader_epoch if found and is_committed else ends.epochs[source]
            self.lineage.begin(source, start.offset, epoch)

    def _ends(self, partitions: Collection[TopicPartition], offsets: Positions) -> Ends:
        first = _of_each_topic(self._cluster.first_offsets, partitions)
        found = _of_each_topic(self._cluster.ends, partitions)
        readable = {source: end.offset for source, end in found.items()}
        epochs = {source: end.leader_epoch for source, end in found.items()}
        beyond = [source for source, end in readable.items() if offsets.get(source, 0) > end]
        written = readable | _of_each_topic(self._cluster.high_watermarks, beyond)
        # Else these may be the ends of a topic that was created again meanwhile.
        self.guard.confirm({source.topic for source in partitions})
        return Ends(first, readable, written, epochs)

    def _on_revoke(self, partitions: list[TopicPartition]) -> None:
        self._before_revoke(partitions)
        self._on_lost(partitions)

    def _on_lost(self, partitions: list[TopicPartition]) -> None:
        # librdkafka would remember the pause, and not fetch after the partition is assigned again.
        if paused := self._paused.intersection(partitions):
            self.consumer.resume(paused)
            self._paused -= paused
        with self.lock:
            self._generation += 1
            self._lost_in_poll.update(partitions)
            for source in partitions:
                self._progress.pop(source, None)
            if not self._progress:
                # False until the next assignment, which may be empty: with no partitions,
                # `is_at_end` would be true.
                self._is_assigned = False
        self._after_loss(partitions)

    def _continue_after(self, polled: Polled) -> list[TopicPartition]:
        """Continue where records are gone, and return the partitions that are read again.

        Raises OffsetError where that is not wanted.
        """
        missing, truncated = self.mine(polled.missing), self.mine(polled.truncated)
        if not missing and not truncated:
            return []
        reached = self.reached() | self.mine(polled.chunk.next_offsets)
        stopped = missing | {source: reached[source] for source in truncated}
        self.guard.confirm({source.topic for source in stopped})
        ends = self._ends(stopped, stopped)
        starts = {s: existing(s, offset, ends, self._reset) for s, offset in missing.items()}
        for source, diverged in truncated.items():
            starts[source] = continued(source, reached[source], diverged, ends, self._reset)
        again = {s: each.offset for s, each in starts.items() if each.offset < reached[s]}
        if again:
            self._begin_again(again)
        self._begin_at(starts, {}, ends)
        self._start_again(reached | {source: start.offset for source, start in starts.items()})
        return list(again)

    def _begin_again(self, positions: Positions) -> None:
        """Go back to earlier offsets, which other records have now: those of before are lost."""
        self._before_revoke(list(positions))
        self._rewind_to(positions)
        self._after_loss(list(positions))

    def _read_again(self, partitions: list[TopicPartition]) -> None:
        """Continue at the committed offsets, or where this member began."""
        committed = self._committed(partitions)
        for source, found in committed.items():
            self.lineage.begin(source, *found)
        positions = {s: self._starts[s] for s in partitions} | _offsets(committed)
        self._rewind_to(positions)
        self._start_again(positions)

    def _rewind_to(self, positions: Positions) -> None:
        with self.lock:
            self._generation += 1
            for source, offset in positions.items():
                goal = self._progress[source].goal
                self._progress[source] = _Progress(self._generation, goal, offset)

    def _start_again(self, positions: Positions) -> None:
        if self._is_cooperative:
            self.consumer.start_again_at(positions)
        else:
            self.consumer.start_at(positions)
        self._paused -= set(positions)

    def _committed(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Committed]:
        deadline = time.monotonic() + self._patience_s
        ask_s = ASK_S
        while True:
            offsets, reason = self.consumer.committed(partitions, ask_s)
            if reason is None:
                return offsets
            if time.monotonic() > deadline:
                raise ReadError(f"the group's offsets cannot be read: {reason}")
            ask_s *= 2


def _offsets(committed: Mapping[TopicPartition, Committed]) -> dict[TopicPartition, int]:
    return {source: found.offset for source, found in committed.items()}


def _of_each_topic(
    ask: Callable[[str, list[int]], dict[int, Answer]], partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, Answer]:
    """Return the answers for partitions of several topics."""
    numbers: dict[str, list[int]] = {}
    for source in partitions:
        numbers.setdefault(source.topic, []).append(source.partition)
    return {
        TopicPartition(topic, partition): answer
        for topic, mine in numbers.items()
        for partition, answer in ask(topic, mine).items()
    }
