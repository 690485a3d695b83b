"""The member of a group dataset: what it delivers, and what of that is committed when."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.text import of_topics
from tfkafka.chunk import Chunk, TopicPartition, concat, split
from tfkafka.config import Limits
from tfkafka.errors import TfkafkaError
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.reading.commits import OffsetTracker
from tfkafka.reading.member import GroupMember, why_empty
from tfkafka.reading.prefetch import Prepare, Prepared
from tfkafka.reading.starts import ON_MISSING_OFFSETS, OnMissingOffsets

# How long a mini dataset that is not full waits once all available records have been read.
QUIET_S = 1.0


class Membership:
    """The member of a group dataset, one at a time, and the records that it delivered."""

    def __init__(
        self,
        topics: list[str],
        settings: config.Settings,
        limits: Limits,
        stream_timeout: int,
        commit_in_flight: bool,
        auto_commit: bool,
        metadata: bool,
        prepare: Prepare = lambda chunk: None,
        on_missing: OnMissingOffsets = "error",
        meter: Meter = UNMETERED,
    ):
        self.topics = topics
        self._meter = meter
        arguments.choice("on_missing_offsets", on_missing, ON_MISSING_OFFSETS)
        self.auto_commit: bool = arguments.flag("auto_commit", auto_commit)
        self.tracker: OffsetTracker = OffsetTracker()
        self._is_held = False
        self._is_stopped = False
        self._settings = settings
        self._limits = limits
        self._stream_timeout = arguments.stream_timeout("stream_timeout", stream_timeout)
        # Whether records in use when a partition is lost are committed; else they are read again.
        self._commit_in_flight = commit_in_flight
        self._metadata, self._prepare, self._on_missing = metadata, prepare, on_missing
        self._member: GroupMember | None = None
        self._why_empty = ""

    @property
    def name(self) -> str:
        """The group and its topics, for warnings."""
        return f"group {self._settings['group.id']}, {of_topics(self.topics)}"

    def why_empty(self) -> str:
        """Return why the stream that ended last had no record; "" where it was stopped."""
        return self._why_empty

    def chunks(self) -> Generator[Prepared, None, None]:
        """Join the group, yield chunks until the stream ends, and leave.

        A chunk counts as used, and is committed, when the next one is requested. So a loop that
        breaks leaves its last chunk uncommitted. Without auto-commit the member stays in the group
        at the stream's end, for later commits.
        """
        self.leave()
        member = self._join()
        tracker, ended = self.tracker, False
        try:
            while (prepared := member.next_chunk()) is not None:
                with self._meter.stage("model"):
                    yield prepared
                if len(prepared.chunk):
                    self._commit_delivered(member, wait=False)
            # Before the look whether it is held: `release` looks in the other order.
            tracker.has_ended = True
            self._commit_delivered(member, wait=not member.is_urgent)
            self._why_empty = self._explain_end(member)
            ended = True
        finally:
            tracker.has_ended = ended
            if (self.auto_commit and not self._is_held) or not ended:
                member.close()
            member.unused.set()

    def mini_datasets(self, records: int) -> Generator[Prepared, None, None]:
        """Do the same in chunks of `records` records, or fewer when the stream goes quiet."""
        self.leave()
        member = self._join()
        try:
            for chunk in _regrouped(member, records):
                with self._meter.stage("model"):
                    yield Prepared(chunk)
                if self.auto_commit and len(chunk):
                    self.tracker.acknowledge_all()
                    member.commit(self.tracker.committable(), wait=True)
            self._why_empty = self._explain_end(member)
        except BaseException as error:
            # Anything else comes from a signal's handler.
            member.is_urgent = not isinstance(error, GeneratorExit | TfkafkaError)
            raise
        finally:
            member.close()
            member.unused.set()

    def begin(self, is_held: bool) -> None:
        """Note that a loop begins; where `is_held`, commit nothing of it before `release`."""
        self._is_held = is_held

    def release(self) -> None:
        """Commit what was delivered, as if the loop had not been held."""
        self._is_held = False
        if self.auto_commit and self.has_ended and self._member is not None:
            self._commit_delivered(self._member, wait=True)
            self.leave()

    def _commit_delivered(self, member: GroupMember, wait: bool) -> None:
        if self.auto_commit and not self._is_held:
            self.tracker.acknowledge_all()
            member.commit(self.tracker.committable(), wait)

    def deliver(self, chunk: Chunk, kept: Chunk) -> None:
        """Note a chunk that is delivered to the present member."""
        self.tracker.deliver(chunk, kept)
        if len(chunk):
            self._meter.count("batches")

    def end(self) -> None:
        """Do nothing: `chunks` commits at the end."""

    def refuse_before_first_iteration(self) -> None:
        """Raise ValueError where no iteration has begun: nothing was delivered."""
        if self._member is None:
            raise ValueError(
                f"{of_topics(self.topics)}: commit() was called before the first iteration: "
                f"it commits the records that an iteration has delivered"
            )

    def commit(self, wait: bool) -> None:
        """Commit the acknowledged records."""
        if self._member is not None:
            self._member.commit(self.tracker.committable(), wait)

    @property
    def has_ended(self) -> bool:
        """Whether the stream of this iteration has ended."""
        return self.tracker.has_ended

    @property
    def missing(self) -> int:
        """The number of records of this iteration that were gone before they were read."""
        return 0 if self._member is None else self._member.missing

    def lag(self, patience_s: float) -> Mapping[TopicPartition, int] | None:
        """Return how many offsets of each partition are not committed; None: unknown so soon."""
        return None if self._member is None else self._member.lag(patience_s)

    def stop(self) -> None:
        """End the stream of this iteration, and of all later ones."""
        self._is_stopped = True
        if self._member is not None:
            self._member.is_stopped = True

    def end_early(self) -> None:
        """End the stream of this iteration, as silence would."""
        if self._member is not None:
            self._member.is_urgent = self._member.is_stopped = True

    def leave(self) -> None:
        """Leave the group."""
        if self._member is not None:
            self._member.close()

    def _explain_end(self, member: GroupMember) -> str:
        """Say why a stream has no record; "" where it had one, or was stopped."""
        if member.is_stopped or member.has_delivered:
            return ""
        return why_empty(member.offsets(), config.begins_at_end(self._settings))

    def _join(self) -> GroupMember:
        self.tracker.following = OffsetTracker()
        self.tracker = self.tracker.following
        self._member = GroupMember(
            self.topics,
            self._settings,
            self._limits,
            self._stream_timeout,
            self._give_up,
            self._metadata,
            self._prepare,
            self._on_missing,
            self._meter,
        )
        if self._is_stopped:
            self._member.is_stopped = True
        return self._member

    def _give_up(self, partitions: list[TopicPartition]) -> None:
        """Commit for the last time before partitions go to another member."""
        if self.auto_commit and self._commit_in_flight and not self._is_held:
            self.tracker.acknowledge_all()
        if self._member is not None:
            self._member.commit(self.tracker.committable(), wait=True)
        self.tracker.forget(partitions)


def _regrouped(member: GroupMember, records: int) -> Iterator[Chunk]:
    """Yield chunks of `records` records, of partitions that are still the member's."""
    pending: list[Chunk] = []
    last = time.monotonic()

    def still_pending() -> list[Chunk]:
        return [chunk for chunk in map(member.current, pending) if len(chunk)]

    while (prepared := member.next_chunk()) is not None:
        chunk = prepared.chunk
        if len(chunk):
            last = time.monotonic()
            pending.append(chunk)
        pending = still_pending()
        while sum(map(len, pending)) >= records and not member.is_stopped:
            taken, pending = split(pending, records)
            yield concat(taken)
            pending = still_pending()
        if pending and member.is_quiet() and time.monotonic() - last > QUIET_S:
            yield concat(pending)
            pending = []
        elif not len(chunk):
            yield chunk
    if not member.is_stopped and (pending := still_pending()):
        yield concat(pending)
