"""Bounded reading of partitions as `tf.data.Dataset`: the same records in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange
from tfkafka.config import BROKER_TIMEOUT_MS, PREFETCH_BYTES, Limits
from tfkafka.data.chunked import ChunkedDataset, ChunkStream, shaped, source_options
from tfkafka.decoding.bad_records import Counts, Policy
from tfkafka.decoding.base import Decoder, check_decoder
from tfkafka.reading.bounded import bounded_reader
from tfkafka.reading.bounds import Bounds
from tfkafka.reading.jax_processes import own_shard
from tfkafka.reading.manifest import Manifest, Saved, describe_decoder
from tfkafka.reading.order import ORDER
from tfkafka.reading.padding import padded
from tfkafka.reading.progress import Place, ReadLog, Total
from tfkafka.reading.ranges import TopicRanges, identify
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.sharding import Shard, most_offsets

CHUNKS_AHEAD = 2


class KafkaDataset(ChunkedDataset):
    """The records [start, stop) of a topic, by default of all its partitions.

    Both ends are pinned when the dataset is created, so that every epoch sees the same records;
    `refresh()` pins them again. Nothing is committed, and no group is joined. Several partitions
    are interleaved in proportion to their lengths: the order is the same in every epoch and
    process.

    Elements are (message, key), scalar strings, "" where the record has null. With `decode` they
    are (features float32 [columns], label float32 []), or the features alone where the decoder has
    no label. With `batch_size` each part has a first axis of that length (the last batch may be
    shorter). With `metadata` a `Metadata` follows.

    Args:
        topic: the name of the topic.
        partitions: one number, or several different ones; None: all.
        start: the first offset; "earliest", the first record; "latest", the current end; a
            datetime with a time zone, for the first record at or after it; or a dict with one of
            these for each partition.
        stop: the exclusive end, given in the same ways. "latest", for a consumer that reads
            committed records only (the default), is before the first open transaction.
        last: the number of offsets before the end of each partition; replaces `start` and `stop`.
        servers: `HOST:PORT[,HOST:PORT]`; None: as in configuration, or else localhost:9092.
        configuration: librdkafka's settings, `["name=value", ...]` or a dict.
        metadata: whether elements end with their `Metadata`.
        decode: a decoder, for example `CsvDecoder(18, label="key")`.
        batch_size: the number of records in an element; None: one, without a batch axis.
        max_records: stop after this many records, of a shard too; None: after all.
        on_bad_record: "error", "skip" or "dead_letter": what to do if decode fails on a record.
        dead_letter_topic: the topic that bad records are written to.
        prefetch_bytes: approximate size of the records that are read ahead, in bytes.
        broker_timeout: ms without an answer from Kafka after which iteration raises.
        shard: (index, count) reads the part `index`, from 0, of `count` equal parts of the offsets:
            see `shards`. `start` and `stop` must be offsets, the same in each process. "jax" reads
            the part of this process of JAX, whose process 0 pins both ends for all of them: each
            has to make the dataset, and to call `refresh()`, at the same point of its program.

    Raises:
        ConfigurationError: a setting is unknown or refused.
        TypeError, ValueError: an argument is of a wrong type, or out of its range.
        TopicError: there is no such topic, partition or dead letter topic.
        OffsetError: start or stop is outside the partition.
        ReadError: no broker answers.

        Iteration raises `tf.errors.OpError` with topic, partition, offset and reason in its text;
        `error` then has the original exception.

    The number of elements is known once an iteration has reached the end, and for a dataset
    `from_manifest` whose manifest has counts: `len()` and `cardinality()` then return it. Before
    that it is unknown, because offsets may have gaps.

    Example:
        dataset = tfkafka.KafkaDataset(
            "susy-train",
            servers="localhost:9092",
            decode=tfkafka.CsvDecoder(18, label="key"),
            batch_size=64,
        )
        model.fit(dataset, epochs=10)
    """

    def __init__(
        self,
        topic: str,
        partitions: int | Sequence[int] | None = None,
        *,
        start: Bounds = "earliest",
        stop: Bounds = "latest",
        last: int | None = None,
        max_records: int | None = None,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        decode: Decoder | None = None,
        batch_size: int | None = None,
        metadata: bool = False,
        on_bad_record: Policy = "error",
        dead_letter_topic: str | None = None,
        prefetch_bytes: int = PREFETCH_BYTES,
        broker_timeout: int = BROKER_TIMEOUT_MS,
        shard: Shard | None = None,
    ):
        batch_size = arguments.optional(arguments.whole_number, "batch_size", batch_size, 1)
        self._reader = bounded_reader(
            topic,
            partitions,
            start=start,
            stop=stop,
            last=last,
            max_records=max_records,
            servers=servers,
            configuration=configuration,
            decode=decode,
            metadata=metadata,
            on_bad_record=on_bad_record,
            dead_letter_topic=dead_letter_topic,
            prefetch_bytes=prefetch_bytes,
            broker_timeout=broker_timeout,
            shard=shard,
        )
        self._batch_size = batch_size
        self._pinned: TopicRanges
        self._chosen: TopicRanges
        self._begin = Place()
        # Of a manifest, and of an earlier iteration.
        self._saved: Total | None = None
        self._expected: Total | None
        self._log: ReadLog
        self.refresh()
        self._taken = 0
        self._stream = ChunkStream(
            f"topic {topic}",
            self._reader.elements,
            lambda: self._reader.read(self._chosen, self._begin),
            self._reader.bad_records,
            self._begin_log,
            lambda: self._reader.why_empty(self._chosen, self._begin),
        )
        super().__init__(self._shaped(whole=False), batch_size or 1)

    @property
    def error(self) -> Exception | None:
        """The exception that ended the last iteration, or None."""
        return self._stream.error

    @property
    def counts(self) -> Counts:
        """Numbers of records of the last iteration: read, used, skipped, dead_lettered."""
        return self._stream.counts

    def refresh(self) -> None:
        """Pin both ends again: later iterations see the records that exist now.

        Example:
            dataset = tfkafka.KafkaDataset("clicks", servers="localhost:9092")
            tfkafka.write("localhost:9092", "clicks", ["one more"])
            dataset.refresh()
        """
        self._pinned = self._reader.pin()
        self._chosen = self._reader.part_of(self._pinned)
        self._expected = self._saved
        self._log = ReadLog(self._chosen.topic, self._begin, self._expected)

    @property
    def ranges(self) -> list[OffsetRange]:
        """The pinned offsets of each partition; of a shard, its part of them."""
        return list(self._chosen.ranges)

    def cardinality(self) -> tf.Tensor:
        """Return the number of elements, int64 []; -2 (unknown) where it is not known yet.

        Where it is known, Keras ends an epoch without asking for more.

        Example:
            dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092", batch_size=64)
            for messages, keys in dataset:
                pass
            print(len(dataset), "batches")
        """
        elements = None if self._total is None else self._total.elements
        if elements is None:
            return super().cardinality()
        return tf.constant(self._batches(elements), tf.int64)

    def chunks(self) -> tf.data.Dataset[Any]:
        """Return a dataset of whole chunks, whose first axis has any length but 0.

        Example:
            dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092")
            for messages, keys in dataset.chunks():
                print(messages.shape, keys.shape)
        """
        return self._shaped(whole=True)

    def padded(self) -> tf.data.Dataset[Any]:
        """Return batches of one static shape, as many as those of every other shard.

        Elements are (features, label, sample weight). Rows without a record are 0 and have weight
        0; all others have the decoder's weight, or 1. The number of steps is known beforehand: that
        of the shard with the most offsets if each of them had a record. So neither gaps nor bad
        records change it; after `refresh()` call this again.

        Raises ValueError where the dataset has no batch_size, no decoder with a label, or metadata,
        or is the rest of an iteration (`from_state`).

        Example:
            decode = tfkafka.CsvDecoder(18, label="key")
            dataset = tfkafka.KafkaDataset(
                "susy-train", servers="localhost:9092", decode=decode, batch_size=64
            )
            model.fit(dataset.padded(), epochs=2)
        """
        batch_size = self._refuse_unpadded()
        rows = most_offsets(self._pinned.ranges, self._reader.shard)
        if self._reader.max_records is not None:
            rows = min(rows, self._reader.max_records)
        return padded(self, batch_size, self._batches(rows))

    def manifest(self) -> dict[str, Any]:
        """Return a description of the records, for `json.dump`; `from_manifest` reads them again.

        It has the cluster, the topic and their ids, the ranges, order, isolation level, decoder and
        versions; and the counts of the last iteration, if that reached its end.

        Example:
            dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092")
            Path("susy.json").write_text(json.dumps(dataset.manifest()))
            same = tfkafka.KafkaDataset.from_manifest("susy.json")
        """
        return self._manifest().to_json()

    def state(self, records: int | None = None) -> dict[str, Any]:
        """Return the progress of the last iteration, for `json.dump`; `from_state` resumes there.

        Args:
            records: the number of records of this iteration that are used, not counting those that
                could not be decoded; None: as many as a Python loop over this dataset itself has
                taken. Where Keras or another dataset iterates, only the caller knows the number.

        Raises:
            ValueError: fewer were delivered; or it is None and no Python loop has taken any.

        Example:
            for step, (features, label) in enumerate(dataset):
                train(features, label)
                if step % 100 == 99:
                    Path("state.json").write_text(json.dumps(dataset.state()))
        """
        if records is None:
            if not self._taken:
                raise ValueError(
                    "no Python loop but Keras' own has taken a record of this dataset: give the "
                    "number of records that are used as records="
                )
            records = min(self._taken * (self._batch_size or 1), self._log.elements)
        else:
            records = arguments.whole_number("records", records)
        return replace(self._manifest(), place=self._log.after(records)).to_json()

    @classmethod
    def from_manifest(
        cls,
        manifest: Saved,
        *,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        decode: Decoder | None = None,
        shard: Shard | None = None,
    ) -> KafkaDataset:
        """Return a dataset of the same records, in the same order and equal to the bit.

        Bad records that were written to a dead letter topic are skipped. The records of a manifest
        that `tfkafka.online.learn` saved come in the order of this class.

        Args:
            manifest: the path of a file, or what `manifest()` returned.
            servers: `HOST:PORT[,HOST:PORT]`; None: as in the manifest.
            configuration: librdkafka's settings; a manifest has none.
            decode: the decoder, where it is not one of tfkafka's.
            shard: the part of the manifest's ranges to read, as for the class; None: the part that
                the manifest is of.

        Raises:
            ManifestError: it cannot be read, or the decoder is a different one.
            TopicError: the topic is gone, or was created again.
            OffsetError: records are gone.
            ReadError: no broker answers.

            Where records within the ranges are gone, for example by compaction, iteration raises
            at its end.

        Example:
            Path("susy.json").write_text(json.dumps(dataset.manifest()))
            same = tfkafka.KafkaDataset.from_manifest("susy.json")
        """
        saved = Manifest.of(manifest).of_shard(own_shard(shard))
        return cls._of(saved, servers, configuration, decode)

    @classmethod
    def from_state(
        cls,
        state: Saved,
        *,
        servers: str | Sequence[str] | None = None,
        configuration: config.Configuration = None,
        decode: Decoder | None = None,
    ) -> KafkaDataset:
        """Return a dataset of the records that follow, in the order of the whole iteration.

        Each iteration over it yields these records. Arguments and errors: see `from_manifest`.

        Example:
            Path("state.json").write_text(json.dumps(dataset.state(records=100)))
            rest = tfkafka.KafkaDataset.from_state("state.json")
        """
        saved = Manifest.of(state, "state")
        saved.refuse_no_state()
        return cls._of(saved, servers, configuration, decode)

    @classmethod
    def _of(
        cls,
        saved: Manifest,
        servers: str | Sequence[str] | None,
        configuration: config.Configuration,
        decode: Decoder | None,
    ) -> KafkaDataset:
        if decode is not None:
            check_decoder(decode)
        place = saved.place or Place()
        chosen = {**config.parse(configuration), "isolation.level": saved.isolation_level}
        servers = saved.servers if servers is None else servers
        settings = reader_settings(servers, chosen)
        saved.refuse_another_topic(identify(settings, Limits(), saved.topic))
        saved.refuse_unknown_order(ORDER)
        left = [each.since(place.next_offsets.get(each.source, each.start)) for each in saved.part]
        dataset = cls(
            saved.topic,
            [each.partition for each in left],
            start={each.partition: each.start for each in left},
            stop={each.partition: each.stop for each in left},
            max_records=saved.max_records,
            servers=servers,
            configuration=chosen,
            decode=saved.decode(decode),
            batch_size=saved.batch_size,
            metadata=saved.metadata,
            on_bad_record="error" if saved.on_bad_record == "error" else "skip",
        )
        dataset._begin_at(place, saved)
        return dataset

    def _begin_at(self, place: Place, saved: Manifest) -> None:
        pinned = TopicRanges(saved.identity, saved.ranges)
        self._reader = replace(self._reader, pin=lambda: pinned, shard=saved.shard)
        self._begin, self._stream.skip = place, place.skip
        self._saved = None if saved.counts is None else Total.of(saved.counts, place)
        self.refresh()
        if self._saved is not None and self._saved.elements is not None:
            # Datasets that are built on this one then know their number of elements, too.
            known = tf.data.experimental.assert_cardinality(self._batches(self._saved.elements))
            super().__init__(self._shaped(whole=False).apply(known), self._batch_size or 1)

    @property
    def _total(self) -> Total | None:
        """What a whole iteration has; None where none has reached its end."""
        return self._log.total or self._expected

    def _batches(self, elements: int) -> int:
        return -(-elements // (self._batch_size or 1))

    def _refuse_unpadded(self) -> int:
        """Return the size of batches. Raises ValueError where they cannot be padded."""
        elements = self._reader.elements
        if self._batch_size is None:
            reason = "the dataset has no batches: give batch_size="
        elif elements.decode is None or len(elements.decode.element_spec) < 2 or elements.metadata:
            reason = "only (features, label) has a weight: give decode= with a label, no metadata"
        elif self._begin != Place():
            reason = "it has the steps of a whole iteration: skip those of from_manifest instead"
        else:
            return self._batch_size
        raise ValueError(f"topic {self._reader.topic}: padded() cannot be had: {reason}")

    def __iter__(self) -> Iterator[Any]:
        self._taken = 0
        return self._loop(self._take)

    def _take(self) -> None:
        self._taken += 1

    def _begin_log(self) -> ReadLog:
        self._expected = self._total
        self._log = ReadLog(self._chosen.topic, self._begin, self._expected)
        return self._log

    def _manifest(self) -> Manifest:
        reader = self._reader
        return Manifest(
            servers=str(reader.settings["bootstrap.servers"]),
            identity=self._pinned.identity,
            ranges=self._pinned.ranges,
            shard=reader.shard,
            order=ORDER,
            isolation_level=config.isolation_level(reader.settings),
            max_records=reader.max_records,
            batch_size=self._batch_size,
            metadata=reader.elements.metadata,
            on_bad_record=reader.bad_records.policy,
            decoder=describe_decoder(reader.elements.decode),
            counts=self.counts.numbers() if self._log.is_whole else None,
        )

    def _shaped(self, whole: bool) -> tf.data.Dataset[Any]:
        chunks = self._stream.dataset().prefetch(CHUNKS_AHEAD)
        chunks = shaped(chunks, self._stream.elements, self._batch_size, whole)
        return chunks.with_options(source_options())
