"""A Kafka consumer that polls chunks, classifies errors, and detects that no broker answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    KafkaError,
    KafkaException,
)

from tfkafka import config
from tfkafka._util.text import of_topics, only
from tfkafka.chunk import Chunk, OffsetRange, Positions, TopicPartition
from tfkafka.client import codes, plugin
from tfkafka.client.diagnosis import Connection, with_right
from tfkafka.client.fill import Event, Filler, PythonFiller
from tfkafka.client.leaving import give_back
from tfkafka.client.lineage import Committed, Lineage, Places
from tfkafka.client.liveness import Liveness, probe_timeout_s
from tfkafka.client.names import check_topic_name
from tfkafka.client.native_fill import NativeFiller
from tfkafka.client.validation import Validation
from tfkafka.errors import CommitError, OffsetError, ReadError, TopicError

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "Consumer",
    "Polled",
    "is_fenced",
]

FIRST_RECORDS = 256
GROWTH = 4

# How librdkafka says that a member subscribes to a missing topic; the partition means nothing.
_NOT_THERE = "Subscribed topic not available: "

OnPartitions = Callable[[list[TopicPartition]], None]


@dataclass(frozen=True)
class Polled:
    """The result of one call of `Consumer.poll`.

    Attributes:
        chunk: the records.
        ends: the partitions whose end was reached, with the offset of that end.
        missing: the partitions that the broker has no next record of: reading stopped there. The
            offset is the requested one.
        truncated: the partitions whose leader has other records before the next one, with the
            offset up to which they are the same: reading stopped there.
    """

    chunk: Chunk
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    missing: dict[TopicPartition, int] = field(default_factory=dict)
    truncated: dict[TopicPartition, int] = field(default_factory=dict)


class Consumer:
    """A consumer of confluent-kafka with its broker's last error. Use it from one thread only.

    It begins only at offsets that it is given, and never chooses another one by itself. Its methods
    raise ReadError where reading cannot continue, and ConfigurationError where librdkafka refuses a
    setting.

    Args:
        settings: the consumer's settings.
        limits: how much a chunk holds, and how long a broker may be away.
        topics: the topics to read; their existence is checked while no records arrive.
        metadata: whether chunks have timestamps and headers.
        alone: the only partition that is read, where there is one.
        on_commit: called during `poll` with the answer to each `commit_soon`, in order: an error
            or None, and the positions that the broker accepted.
        was_reached: see `Connection`.
        lineage: the identities of the topics, for commits; the leaders' epochs of the records that
            are read are noted there.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        limits: config.Limits,
        topics: Iterable[str],
        *,
        metadata: bool = False,
        alone: TopicPartition | None = None,
        on_commit: Callable[[CommitError | None, Positions], None] | None = None,
        was_reached: bool = False,
        lineage: Lineage | None = None,
    ):
        self._topics = list(topics)
        for topic in self._topics:
            if not topic.startswith("^"):  # a pattern
                check_topic_name(topic)
        self._limits = limits
        settings = config.with_read_ahead(config.CONSUMER_DEFAULTS | dict(settings), limits)
        # A frozen broker keeps connections open: give up on it before the caller does.
        patience_ms = max(limits.broker_timeout, 1000 * probe_timeout_s(settings) + 1000)
        settings.setdefault("socket.timeout.ms", int(min(60_000, patience_ms)))
        self._group = str(settings.get("group.id", ""))
        self._is_member = False
        self._is_static = "group.instance.id" in settings
        self._is_closing = False
        self._connection = Connection(settings, was_reached)
        if config.has_new_protocol(settings):
            self._connection.require_new_groups()
        settings |= config.CONSUMER_FIXED
        if on_commit is not None:
            settings["on_commit"] = lambda error, partitions: on_commit(*_answer(error, partitions))
        self._lineage = lineage or Lineage()
        self._consumer, self._filler = _make(
            settings, self._connection.note, metadata, alone, self._lineage
        )
        self._validation = Validation(self._consumer, self._lineage)
        self._liveness = Liveness(
            self._consumer, settings, self._topics, limits.broker_timeout, self._connection
        )
        self.servers: str = str(settings["bootstrap.servers"])
        self._size = FIRST_RECORDS

    def poll(self, timeout_s: float, at_most: int | None = None) -> Polled:
        """Wait at most `timeout_s` for a record, then take those that follow at once.

        Calls the callbacks of `subscribe` and `on_commit`, and raises what they raise.
        """
        size = self._size if at_most is None else max(1, min(self._size, at_most))
        with self._explained():
            self._validation.ask()
            filled = self._filler.fill(timeout_s, size, self._limits.chunk_bytes)
        if not len(filled.chunk) and not filled.events:
            self._liveness.check()
            return Polled(filled.chunk)
        self._liveness.go_on()
        if len(filled.chunk) or any(_is_answer(event) for event in filled.events):
            self._connection.answered()
        if len(filled.chunk):
            self._adapt(filled.chunk)
        ends: dict[TopicPartition, int] = {}
        missing: dict[TopicPartition, int] = {}
        truncated: dict[TopicPartition, int] = {}
        for event in filled.events:
            if not self._is_early(event):
                self._judge(event, ends, missing, truncated)
        chunk = self._validation.without_waiting(filled.chunk)
        # More records may have arrived after an end.
        read = chunk.next_offsets
        ends = {source: end for source, end in ends.items() if end >= read.get(source, 0)}
        return Polled(chunk, ends, missing, truncated)

    def assign(self, ranges: Iterable[OffsetRange]) -> None:
        """Read from the beginnings of these ranges, without a group."""
        self.start_at({each.source: each.start for each in ranges})

    def start_at(self, positions: Positions) -> None:
        """Read only these partitions, from these offsets."""
        self._liveness.note_existing(source.topic for source in positions)
        with self._explained():
            self._filler.expect(positions)
            self._consumer.assign(self._lineage.to_read(positions))
            self._validation.drop_all()
            self._validation.add(positions)

    def start_more_at(self, positions: Positions) -> None:
        """Read these partitions too, from these offsets."""
        self._liveness.note_existing(source.topic for source in positions)
        with self._explained():
            self._filler.expect(positions)
            self._consumer.incremental_assign(self._lineage.to_read(positions))
            self._validation.add(positions)

    def start_again_at(self, positions: Positions) -> None:
        """Read some of the partitions from other offsets; the others go on as they are."""
        self.leave_out(positions)
        self.start_more_at(positions)

    def leave_out(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop reading these partitions."""
        partitions = list(partitions)
        self._validation.drop(partitions)
        with self._explained():
            self._consumer.incremental_unassign(_anywhere(partitions))

    def subscribe(
        self, on_assign: OnPartitions, on_revoke: OnPartitions, on_lost: OnPartitions
    ) -> None:
        """Join the group. Offsets can still be committed in `on_revoke`, but not in `on_lost`."""

        def assigned(
            _consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]
        ) -> None:
            for each in partitions:
                if each.error is not None:
                    reason = f"topic {each.topic}: {each.error.str()}"
                    raise TopicError(reason, topic=each.topic)
            self._connection.answered()  # the group's coordinator
            # One that arrives now is given back at once. Who asked the group for its offsets would
            # wait for the time-out: a consumer that closes answers nothing.
            if not self._is_closing:
                on_assign(_sources(partitions))

        def gone(on_gone: OnPartitions) -> Callable[[object, Places], None]:
            def called(_consumer: object, places: Places) -> None:
                partitions = _sources(places)
                self._validation.drop(partitions)
                on_gone(partitions)

            return called

        self._is_member = True
        with self._explained():
            self._consumer.subscribe(
                self._topics,
                on_assign=assigned,
                on_revoke=gone(on_revoke),
                on_lost=gone(on_lost),
            )

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop fetching these. Records already fetched are thrown away, and fetched again later."""
        with self._explained():
            self._consumer.pause(_anywhere(partitions))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch these partitions again."""
        with self._explained():
            self._consumer.resume(_anywhere(partitions))

    def committed(
        self, partitions: Iterable[TopicPartition], timeout_s: float
    ) -> tuple[dict[TopicPartition, Committed], str | None]:
        """Return the group's offsets, and why some could not be read, or None.

        Partitions without a committed offset are left out, and those whose offset was committed
        for an earlier topic of the same name.
        """
        places = _anywhere(partitions)
        if not places:
            return {}, None
        try:
            found = self._consumer.committed(places, timeout=timeout_s)
        except KafkaException as error:
            if error.args[0].code() in codes.REFUSED:
                reason = f"group {self._group}: {self._with_right(error.args[0], None)}"
                raise ReadError(reason) from error
            return {}, error.args[0].str()
        reasons = [p.error.str() for p in found if p.error is not None]
        offsets = self._lineage.committed(p for p in found if p.error is None)
        return offsets, reasons[0] if reasons else None

    def commit_soon(self, positions: Positions) -> None:
        """Send offsets; `on_commit` is called with the answer while polling."""
        with self._explained():
            self._consumer.commit(offsets=self._lineage.to_commit(positions), asynchronous=True)

    def commit(self, positions: Positions) -> None:
        """Commit offsets and wait for the answer.

        Raises CommitError where the broker refuses them. A lost membership is no error: the records
        are delivered again, to the member that has the partition now.
        """
        if not positions:
            return
        places = self._lineage.to_commit(positions)
        try:
            failure, _ = _answer(None, self._consumer.commit(offsets=places, asynchronous=False))
        except KafkaException as error:
            failure, _ = _answer(error.args[0], places)
        if failure is not None:
            raise failure

    def group_metadata(self) -> object:
        """Return what proves to a transaction that offsets come from a current group member.

        Two answers are equal where the group has not changed meanwhile.
        """
        return self._consumer.consumer_group_metadata()

    def member_id(self) -> str:
        """Return this member's id, or "" until the broker has sent it."""
        return self._consumer.memberid() or ""

    def close(self, leave: bool = False) -> None:
        """Leave the group, if there is one, and close the connections.

        A member with a group.instance.id stays in the group unless `leave`.
        """
        self._is_closing = True
        with self._explained():
            try:
                if self._is_member:
                    give_back(self._consumer, stays=self._is_static and not leave)
            finally:
                self._filler.close()
                self._consumer.close()

    def go_on(self) -> None:
        """Restart the broker's time-out: nobody has polled, so its silence means nothing."""
        self._liveness.go_on()

    def is_alive(self) -> bool:
        """Return whether a broker answered as recently as it must while no records arrive."""
        return self._liveness.is_alive()

    def failure(self, what: str) -> ReadError:
        """Return the error to raise where no broker has answered for too long."""
        return self._liveness.failure(what)

    def unheard_s(self) -> float:
        """Return for how many seconds no broker has answered."""
        return self._liveness.unheard_s()

    def _is_early(self, event: Event) -> bool:
        """Return whether an event says nothing, since its partition's start is not validated yet.

        librdkafka stops reading where it has found an offset out of range, and lets nobody seek
        there: what it has compared by itself counts, and any other such partition starts again.
        """
        source, code = event.source, event.error.code()
        if source is None or not self._validation.is_waiting(source):
            return False
        if code == KafkaError._PARTITION_EOF:
            return True
        if code not in codes.OUT_OF_RANGE:
            return False
        start = self._validation.drop([source])[source]
        is_compared = codes.has_no_epochs(event.error) or codes.diverged_at(event.error) is not None
        if not is_compared:
            self.start_again_at({source: start})
        return not is_compared

    def _judge(
        self,
        event: Event,
        ends: dict[TopicPartition, int],
        missing: dict[TopicPartition, int],
        truncated: dict[TopicPartition, int],
    ) -> None:
        """Add the event to one of the three; note a transient error; raise any other."""
        code = event.error.code()
        reason = self._with_right(event.error, event.source.topic if event.source else None)
        if code == KafkaError._PARTITION_EOF and event.source and event.offset is not None:
            ends[event.source] = event.offset
            return
        if event.source and codes.has_no_epochs(event.error):
            self._lineage.ignore(event.source)
        diverged = codes.diverged_at(event.error)
        if event.source and diverged is not None:
            truncated[event.source] = diverged
            return
        if code in codes.OUT_OF_RANGE and event.source and event.offset is not None:
            missing[event.source] = event.offset
            return
        if code in codes.TRANSIENT:
            self._connection.note(event.error)
            return
        if code == KafkaError.GROUP_AUTHORIZATION_FAILED and not self._is_member:
            # librdkafka looks for the coordinator of every group.id; nothing here needs it.
            return
        if reason.startswith(_NOT_THERE) and event.source is not None:
            name = event.source.topic
            if code in codes.MISSING and not name.startswith("^") and self._liveness.appears(name):
                return
            raise self._liveness.missing(name) from KafkaException(event.error)
        if code in codes.MISSING:
            reason = f"topic or partition does not exist ({reason})"
        # An error of the whole client has no topic and no partition.
        topic, partition = event.source or (None, None)
        where = str(event.source or of_topics(self._topics))
        if event.offset is not None:
            where += f", offset {event.offset}"
        kind = OffsetError if code in codes.OUT_OF_RANGE else ReadError
        error = kind(f"{where}: {reason}", topic=topic, partition=partition, offset=event.offset)
        raise error from KafkaException(event.error)

    def _with_right(self, error: KafkaError, topic: str | None) -> str:
        is_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        resource = (
            f"group {self._group}" if is_group else of_topics([topic] if topic else self._topics)
        )
        return with_right(error, "READ", resource)

    def _adapt(self, chunk: Chunk) -> None:
        """Ask next time for as many records as fit into chunk_bytes, judged by this chunk.

        The number grows at most GROWTH times: the first records are wanted soon.
        """
        mean = max(1, chunk.nbytes // len(chunk))
        fitting = min(self._limits.chunk_records, self._limits.chunk_bytes // mean)
        self._size = max(1, min(fitting, GROWTH * self._size))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert exceptions of confluent-kafka: none may leave this package."""
        try:
            yield
        except KafkaException as error:
            reason = f"{of_topics(self._topics)}: {self._with_right(error.args[0], None)}"
            raise ReadError(reason, topic=only(self._topics)) from error


def _make(
    settings: Mapping[str, object],
    on_error: Callable[[KafkaError], None],
    metadata: bool,
    alone: TopicPartition | None,
    lineage: Lineage,
) -> tuple[confluent_kafka.Consumer, Filler]:
    """Return a client, and what takes its records."""
    settings = {**settings, "error_cb": on_error}
    consumer, client = plugin.make_client(confluent_kafka.Consumer, settings)
    if client is None:
        return consumer, PythonFiller(consumer, metadata, alone, lineage)
    return consumer, NativeFiller(consumer, client, metadata, lineage, on_error)


def _is_answer(event: Event) -> bool:
    """Return whether a broker has sent this: librdkafka's own codes are negative."""
    code = event.error.code()
    return code > 0 or code == KafkaError._PARTITION_EOF


def is_fenced(error: BaseException) -> bool:
    """Return whether a newer member of the same name may have taken over, so reading failed."""
    return codes.is_fencing(error)


def may_be_sent_again(failure: CommitError) -> bool:
    """Return whether a commit failed because its group has no coordinator at the moment."""
    return codes.is_without_coordinator(failure)


def _answer(
    error: KafkaError | None, partitions: list[confluent_kafka.TopicPartition]
) -> tuple[CommitError | None, dict[TopicPartition, int]]:
    """Return what a commit's answer means: an error to raise, and the positions accepted.

    A lost membership is no error: the records are delivered again, to the member that has the
    partition now.
    """
    for partition in partitions:
        reason = error or partition.error
        if reason and reason.code() not in codes.LOST_MEMBERSHIP:
            failure = CommitError(
                f"{_source(partition)}: offset {partition.offset} could not be committed: "
                f"{reason.str()}",
                **_source(partition)._asdict(),
                offset=partition.offset,
            )
            failure.__cause__ = KafkaException(reason)
            return failure, {}
    return None, {} if error else {_source(p): p.offset for p in partitions if p.error is None}


def _source(partition: confluent_kafka.TopicPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def _sources(partitions: list[confluent_kafka.TopicPartition]) -> list[TopicPartition]:
    return [_source(partition) for partition in partitions]


def _anywhere(partitions: Iterable[TopicPartition]) -> Places:
    """Return partitions without an offset."""
    return [confluent_kafka.TopicPartition(*source, OFFSET_INVALID) for source in partitions]
