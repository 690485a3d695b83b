"""Consumer groups as `tf.data.Dataset`: streams whose progress Kafka remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.config import BROKER_TIMEOUT_MS, FOREVER, PREFETCH_BYTES, Limits
from tfkafka.data.chunked import (
    ChunkedDataset,
    ChunkStream,
    shaped,
    source_options,
)
from tfkafka.data.elements import tensors
from tfkafka.data.membership import Membership
from tfkafka.decoding.bad_records import Counts, Policy
from tfkafka.decoding.base import Decoder
from tfkafka.metrics.metrics import Metrics
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.elements import Elements
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.starts import OnMissingOffsets

# A setting of librdkafka's producers; tensorflow-io uses it for the records of a mini dataset.
PRODUCERS_BATCH = "batch.num.messages"


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
