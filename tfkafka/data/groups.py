"""Consumer groups as `tf.data.Dataset`: streams whose progress Kafka remembers."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import Chunk, TopicPartition, concat, split
from tfkafka.config import BROKER_TIMEOUT_MS, FOREVER, PREFETCH_BYTES, Limits
from tfkafka.data.chunked import (
    ChunkedDataset,
    ChunkStream,
    shaped,
    source_options,
)
from tfkafka.data.elements import tensors
from tfkafka.decoding.bad_records import Counts, Policy
from tfkafka.decoding.base import Decoder
from tfkafka.errors import TfkafkaError
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.metrics.metrics import Metrics
from tfkafka.reading.commits import OffsetTracker
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.elements import Elements
from tfkafka.reading.member import GroupMember, why_empty
from tfkafka.reading.prefetch import Prepare, Prepared
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.starts import ON_MISSING_OFFSETS, OnMissingOffsets

# A setting of librdkafka's producers; tensorflow-io uses it for the records of a mini dataset.
PRODUCERS_BATCH = "batch.num.messages"
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
        self.has_ended: bool = False
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
        return f"group {self._settings['group.id']}, topic {', '.join(self.topics)}"

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
        ended = False
        try:
            while (prepared := member.next_chunk()) is not None:
                with self._meter.stage("model"):
                    yield prepared
                if len(prepared.chunk):
                    self._commit_delivered(member, wait=False)
            # Before the look whether it is held: `release` looks in the other order.
            self.has_ended = True
            self._commit_delivered(member, wait=not member.is_urgent)
            self._why_empty = self._explain_end(member)
            ended = True
        finally:
            self.has_ended = ended
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
                f"topic {', '.join(self.topics)}: commit() was called before the first iteration: "
                f"it commits the records that an iteration has delivered"
            )

    def commit(self, wait: bool) -> None:
        """Commit the acknowledged records."""
        if self._member is not None:
            self._member.commit(self.tracker.committable(), wait)

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
        self.tracker = OffsetTracker()
        self.has_ended = False
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


class GroupDataset(ChunkedDataset):
    """The common part of KafkaGroupDataset and KafkaMiniBatchDataset."""

    _membership: Membership
    _metrics: Metrics
    _stream: ChunkStream

    @property
    def error(self) -> Exception | None:
        """The exception that ended the last iteration, or None."""
        return self._stream.error

    @property
    def counts(self) -> Counts:
        """Numbers of records of the last iteration: see `Counts`."""
        return replace(self._stream.counts, missing=self._membership.missing)

    @property
    def metrics_port(self) -> int | None:
        """The port that metrics are served on; None: they are not."""
        return self._metrics.port

    def stop(self) -> None:
        """End the stream, from any thread: iteration ends as at the end of the stream.

        In a silent stream that takes less than a second. Elements that tf.data already holds are
        still delivered. Records that were read ahead are not committed; the next reader of the
        group gets them again. A stopped stream stays stopped: create another one to continue.
        """
        self._membership.stop()

    def close(self) -> None:
        """Leave the group now; records that are not committed are delivered again.

        Metrics are no longer served. A `with` block calls it at its end, also where `fit` or its
        like raised: TensorFlow's iterator would keep the membership until Python's garbage
        collector finds it.
        """
        self._membership.leave()
        self._metrics.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()


class KafkaGroupDataset(GroupDataset):
    """A consumer group's share of topics, from the group's committed offsets.

    The stream ends after `stream_timeout` ms without a record; late records are delivered. A
    member of the group reads while the dataset is iterated, one iteration at a time. It leaves
    when iteration ends, breaks or fails, and at exit.

    When is a record committed? tf.data reads ahead: by at least one element, by hundreds after a
    shuffle. So a delivered record has not been trained on yet.

    - By default a chunk (up to 4,096 records) is committed when tf.data requests the next one.
      A crash can then lose records of earlier chunks that tf.data holds in shuffle, batch and
      prefetch buffers. With several members it can also lose the chunk in use when partitions
      move. A loop that breaks leaves its last chunk uncommitted.
    - With `CommitCallback`, or with `auto_commit=False` and `commit()`, a record is committed
      after its use: a crash repeats records, and loses none.

    Elements, and all arguments that are not listed here, are those of `KafkaDataset`.

    Args:
        topics: a name, or a list of names.
        group_id: the consumer group.
        stream_timeout: ms of unbroken silence, since partitions were assigned, after which the
            stream ends, not counting the time that the model takes; 0: it ends where the
            partitions ended when they were assigned; -1: never.
        configuration: with `auto.offset.reset=earliest` a new group begins at the first record;
            Kafka's default is latest. A partition that is added to a topic later is always read
            from its first record.
        auto_commit: whether delivered records are committed without a call of `commit`.
        on_missing_offsets: "error", or "earliest": what to do where records were deleted before
            they were read, so that a committed or current offset no longer exists; "earliest"
            counts them in `counts.missing`, logs them, and continues at the first record that the
            partition has.
        metrics_port: a port of 127.0.0.1, or `HOST:PORT`, where Prometheus reads metrics at
            `/metrics` and a monitor the health at `/healthz`, from now until `close`; 0: a free
            port; None: nothing is counted.

    Example:
        stream = tfkafka.KafkaGroupDataset(
            "susy-test",
            "my-group",
            servers="localhost:9092",
            configuration={"auto.offset.reset": "earliest"},
            decode=tfkafka.CsvDecoder(18, label="key"),
            batch_size=64,
        )
        model.evaluate(stream, callbacks=[tfkafka.CommitCallback(stream)])
    """

    def __init__(
        self,
        topics: str | Sequence[str],
        group_id: str,
        servers: str | Sequence[str] | None = None,
        stream_timeout: int = 0,
        configuration: config.Configuration = None,
        *,
        metadata: bool = False,
        decode: Decoder | None = None,
        batch_size: int | None = None,
        auto_commit: bool = True,
        on_bad_record: Policy = "error",
        dead_letter_topic: str | None = None,
        on_missing_offsets: OnMissingOffsets = "error",
        prefetch_bytes: int = PREFETCH_BYTES,
        broker_timeout: int = BROKER_TIMEOUT_MS,
        metrics_port: int | str | None = None,
    ):
        names = arguments.texts("topics", topics)
        limits = Limits(prefetch_bytes=prefetch_bytes, broker_timeout=broker_timeout)
        self._metrics = Metrics(metrics_port)
        meter = self._metrics.meter
        elements = Elements(decode, metadata, meter)
        batch_size = arguments.optional(arguments.whole_number, "batch_size", batch_size, 1)
        settings = _group_settings(servers, configuration, group_id)
        has_metadata = elements.needs_metadata or dead_letter_topic is not None
        self._membership = Membership(
            names,
            settings,
            limits,
            stream_timeout,
            True,
            auto_commit,
            has_metadata,
            elements.prepare,
            on_missing_offsets,
            meter,
        )
        policy = bad_records_policy(on_bad_record, dead_letter_topic, settings, limits, names)
        self._stream = ChunkStream(
            self._membership.name,
            elements,
            self._membership.chunks,
            replace(policy, total=meter.counts),
            lambda: self._membership,
            self._membership.why_empty,
            self._membership.end_early,
            self._membership,
        )
        self.batch_size: int | None = batch_size
        super().__init__(self._shaped(batch_size, whole=False), batch_size or 1)
        self._metrics.open()

    def chunks(self) -> tf.data.Dataset[Any]:
        """Return a dataset of whole chunks, whose first axis has any length but 0."""
        return self._shaped(None, whole=True)

    def _shaped(self, batch_size: int | None, whole: bool) -> tf.data.Dataset[Any]:
        chunks = shaped(self._stream.dataset(), self._stream.elements, batch_size, whole)
        return chunks.with_options(source_options())

    def commit(self, records: int | None = None) -> None:
        """Commit the first `records` records of this iteration; None: all delivered ones.

        Returns when the broker has accepted the offsets. After the end of the stream the member
        then leaves the group.

        Raises:
            ValueError: fewer records were delivered, or no iteration has begun.
            CommitError: the broker refuses the offsets.
        """
        number = arguments.optional(arguments.whole_number, "records", records)
        self._membership.refuse_before_first_iteration()
        if number is None:
            self._membership.tracker.acknowledge_all()
        else:
            self._membership.tracker.refuse_more_than_delivered("records", number)
            self._membership.tracker.acknowledge_first(number)
        self._membership.commit(wait=True)
        if self._membership.has_ended:
            self._membership.leave()


class KafkaMiniBatchDataset(GroupDataset):
    """A consumer group's share of topics in mini datasets, for online learning.

    Each element is a `tf.data.Dataset` of known length. It has `records` records (10,000 by
    default), or fewer where none arrived for 1 s after all had been read. In a Python loop mini
    dataset n is committed when n + 1 is requested: a crash repeats a mini dataset, and loses none.
    A loop that breaks leaves its last one uncommitted, unless `commit()` is called.

    The other arguments are those of `KafkaGroupDataset`, without batch_size. stream_timeout is -1
    by default: the stream never ends.

    Example:
        online = tfkafka.KafkaMiniBatchDataset(
            "susy-train",
            "online",
            servers="localhost:9092",
            stream_timeout=2_000,
            configuration={"auto.offset.reset": "earliest"},
            decode=tfkafka.CsvDecoder(18, label="key"),
        )
        for mini_dataset in online:
            model.fit(mini_dataset.shuffle(10_000).batch(64))
    """

    def __init__(
        self,
        topics: str | Sequence[str],
        group_id: str,
        servers: str | Sequence[str] | None = None,
        stream_timeout: int = FOREVER,
        configuration: config.Configuration = None,
        *,
        records: int = 10_000,
        metadata: bool = False,
        decode: Decoder | None = None,
        auto_commit: bool = True,
        on_bad_record: Policy = "error",
        dead_letter_topic: str | None = None,
        on_missing_offsets: OnMissingOffsets = "error",
        prefetch_bytes: int = PREFETCH_BYTES,
        broker_timeout: int = BROKER_TIMEOUT_MS,
        metrics_port: int | str | None = None,
    ):
        names = arguments.texts("topics", topics)
        limits = Limits(prefetch_bytes=prefetch_bytes, broker_timeout=broker_timeout)
        self._metrics = Metrics(metrics_port)
        meter = self._metrics.meter
        elements = Elements(decode, metadata, meter)
        records = arguments.whole_number("records", records, 1)
        settings = _group_settings(servers, configuration, group_id)
        config.refuse(
            settings,
            PRODUCERS_BATCH,
            "is a setting of producers: give the records of a mini dataset as records=",
        )
        has_metadata = elements.needs_metadata or dead_letter_topic is not None
        self._membership = Membership(
            names,
            settings,
            limits,
            stream_timeout,
            False,
            auto_commit,
            has_metadata,
            on_missing=on_missing_offsets,
            meter=meter,
        )
        policy = bad_records_policy(on_bad_record, dead_letter_topic, settings, limits, names)
        self._stream = ChunkStream(
            self._membership.name,
            elements,
            lambda: self._membership.mini_datasets(records),
            replace(policy, total=meter.counts),
            lambda: self._membership,
            self._membership.why_empty,
            self._membership.end_early,
        )
        chunks = shaped(self._stream.dataset(), self._stream.elements, None, True)
        super().__init__(chunks.map(_mini_dataset).with_options(source_options()))
        self._metrics.open()

    def __iter__(self) -> Iterator[tf.data.Dataset[Any]]:
        """Yield one mini dataset at a time to a Python loop, without reading ahead in tf.data."""
        for columns in self._stream.columns():
            dataset = tf.data.Dataset.from_tensor_slices(tensors(columns))
            if len(dataset):
                yield dataset

    def commit(self) -> None:
        """Commit all delivered mini datasets, including the current one.

        Returns when the broker has accepted the offsets. Raises CommitError where it refuses them,
        and ValueError where no iteration has begun.
        """
        self._membership.refuse_before_first_iteration()
        self._membership.tracker.acknowledge_all()
        self._membership.commit(wait=True)


def _group_settings(
    servers: str | Sequence[str] | None, configuration: config.Configuration, group_id: str
) -> config.Settings:
    fixed = {"group.id": arguments.text("group_id", group_id)}
    return reader_settings(servers, configuration, fixed)


def _mini_dataset(*columns: tf.Tensor) -> tf.data.Dataset[Any]:
    return tf.data.Dataset.from_tensor_slices(columns if len(columns) > 1 else columns[0])
