"""Kafka as `tf.data.Dataset`: bounded reading of partitions, from the same first to the same last
record in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import tensorflow as tf

from tfkafka import config
from tfkafka._util import interrupts
from tfkafka.chunk import Chunk, OffsetRange
from tfkafka.client import create
from tfkafka.config import BROKER_TIMEOUT_MS, PREFETCH_BYTES, Limits
from tfkafka.data.elements import Elements
from tfkafka.decoding.bad_records import BadRecords, Counts
from tfkafka.decoding.base import Decoder
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.prefetch import Prepared, read_ahead
from tfkafka.reading.ranges import Bounds, Last, read, resolve

CHUNKS_AHEAD = 2
# Where no offsets are committed chunks may be large: they cost less a record.
CHUNK_RECORDS = 16_384
CHUNK_BYTES = 8 << 20


class ChunkedDataset(tf.data.Dataset):
    """A dataset over a Python generator of chunks; base of all datasets here.

    Attributes:
        error: the exception that ended the last iteration, or None. TensorFlow raises a
            `tf.errors.OpError` with its text in its place.
        counts: records of the last iteration: read, used, skipped, dead_lettered.
    """

    def __init__(self, pipeline: tf.data.Dataset):
        self._pipeline = pipeline
        super().__init__(pipeline._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._pipeline]

    @property
    def element_spec(self):
        return self._pipeline.element_spec


class Source:
    """Makes the chunks of a dataset into tensors, and remembers what went wrong.

    Args:
        chunks: begins an iteration.
        delivered: called with each chunk, and with those of its records that are elements, just
            before it is given to TensorFlow.
    """

    def __init__(
        self,
        elements: Elements,
        bad_records: BadRecords,
        chunks: Callable[[], Iterator[Prepared]],
        delivered: Callable[[Chunk, Chunk], None] = lambda _chunk, _kept: None,
    ):
        self.elements = elements
        self.bad_records = bad_records
        self.error: Exception | None = None
        self._chunks = chunks
        self._delivered = delivered

    def dataset(self) -> tf.data.Dataset:
        """Return a dataset of whole chunks; some are empty."""
        interrupts.watch()
        return tf.data.Dataset.from_generator(
            self.columns, output_signature=self.elements.signature()
        )

    def columns(self) -> Iterator[tuple]:
        """Yield the columns of one chunk after the other."""
        self.error = None
        self.bad_records.counts = Counts()
        try:
            # Closed here: what keeps an error keeps its frames too, and so an open consumer.
            with closing(self._chunks()) as chunks:
                for prepared in chunks:
                    columns, kept = self.elements.columns(prepared, self.bad_records)
                    self._delivered(prepared.chunk, kept)
                    yield columns
        except Exception as error:
            self.error = error
            raise


def shaped(
    chunks: tf.data.Dataset, elements: Elements, batch_size: int | None, whole: bool
) -> tf.data.Dataset:
    """Chunks as they are, cut into batches, or into single records."""
    if whole:
        chunks = chunks.filter(lambda *columns: tf.size(tf.nest.flatten(columns)[-1]) > 0)
    elif batch_size is None:
        chunks = chunks.unbatch()
    else:
        chunks = chunks.rebatch(batch_size)
    return chunks.map(lambda column: column) if len(elements.signature()) == 1 else chunks


def source_options() -> tf.data.Options:
    """Options for a source that may be silent for long; they hold for all that is built on it."""
    options = tf.data.Options()
    # Asking ahead would commit what is not used yet.
    options.experimental_optimization.inject_prefetch = False
    # The end of an iterator waits for the thread that tunes, in about half of the cases, and that
    # sleeps 5.12 s after an iterator of 3.4 s, 20 s after one of 10 s (seen with TensorFlow 2.16).
    # And tuning makes maps parallel, which then wait for a record that nobody wants any more.
    options.autotune.enabled = False
    return options


class KafkaDataset(ChunkedDataset):
    """Records [start, stop) of a topic, of all of its partitions if not said otherwise.

    Both ends are pinned when the dataset is made, so that every epoch sees the same records;
    `refresh()` pins them again. Nothing is committed, no group is joined. Several partitions are
    interleaved in proportion to their lengths: the order is the same in every epoch and process.

    Elements are (message, key), scalar strings, "" where a record has null; with `decode`
    (features float32 [columns], label float32 []), or the features alone where the decoder has no
    label; with `batch_size` each with a first axis of that length (the last batch may be shorter);
    with `metadata` followed by a `Metadata`.

    Args:
        topic: its name.
        partitions: None: all; a number, or several.
        start: the first offset; "earliest", the first record that there is; "latest", the present
            end; a datetime with a time zone, for the first record at or after it; or a dict with
            one of these for each partition.
        stop: the exclusive end, given in the same ways. "latest", for a consumer that reads
            committed records only (the default), is before the first open transaction.
        last: the last so many offsets of each partition, in place of `start` and `stop`.
        servers: `HOST:PORT[,HOST:PORT]`; None: as in configuration, else localhost:9092.
        configuration: librdkafka's settings, `["name=value", ...]` or a dict.
        metadata: whether elements end with their `Metadata`.
        decode: for example `CsvDecoder(18, label="key")`.
        batch_size: records of an element; None: one, without an axis.
        max_records: stop after this many; None: after all.
        on_bad_record: "error", "skip" or "dead_letter": what to do if decode fails on a record.
        dead_letter_topic: where bad records are written to.
        prefetch_bytes: bytes that Kafka's client reads ahead, about.
        broker_timeout: ms without an answer from Kafka after which iteration raises.

    Raises:
        ConfigurationError: an unknown setting. TopicError: no such topic or partition.
        OffsetError: start or stop are outside of what the partition has. ReadError: no broker.
        Iteration raises `tf.errors.OpError` whose text names topic, partition, offset and reason;
        the original exception is then at `error`.
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
        on_bad_record: str = "error",
        dead_letter_topic: str | None = None,
        prefetch_bytes: int = PREFETCH_BYTES,
        broker_timeout: int = BROKER_TIMEOUT_MS,
    ):
        chosen = [partitions] if isinstance(partitions, int) else partitions
        if last is not None:
            start = _last(last, start, stop)
        settings = config.consumer_settings(servers, configuration)
        limits = Limits(CHUNK_RECORDS, CHUNK_BYTES, prefetch_bytes, broker_timeout)
        if max_records is not None and max_records < 0:
            raise ValueError(f"max_records is {max_records}, must be at least 0")
        create.check(settings)
        bad_records = bad_records_policy(on_bad_record, dead_letter_topic, settings)
        self._pin = lambda: resolve(settings, limits, topic, chosen, start, stop)
        self._batch_size = batch_size
        self.ranges: list[OffsetRange] = self._pin()
        elements = Elements(decode, metadata)
        has_metadata = metadata or dead_letter_topic is not None

        def chunks() -> Iterator[Chunk]:
            return read(self.ranges, settings, limits, max_records, metadata=has_metadata)

        self._source = Source(
            elements,
            bad_records,
            # Decoded by who takes it: so records are read and decoded at the same time.
            lambda: read_ahead(chunks, limits.buffer_bytes),
        )
        super().__init__(self._shaped(whole=False))

    @property
    def error(self) -> Exception | None:
        return self._source.error

    @property
    def counts(self) -> Counts:
        return self._source.bad_records.counts

    def refresh(self) -> None:
        """Pin both ends again: later iterations see the records of now."""
        self.ranges = self._pin()

    def chunks(self) -> tf.data.Dataset:
        """The same with whole chunks as elements: a first axis of any length but 0."""
        return self._shaped(whole=True)

    def _shaped(self, whole: bool) -> tf.data.Dataset:
        chunks = self._source.dataset().prefetch(CHUNKS_AHEAD)
        chunks = shaped(chunks, self._source.elements, self._batch_size, whole)
        return chunks.with_options(source_options())


def _last(last: int, start: Bounds, stop: Bounds) -> Last:
    if last < 0:
        raise ValueError(f"last is {last}, must be at least 0")
    if (start, stop) != ("earliest", "latest"):
        raise ValueError("last takes the place of start and stop: give either")
    return Last(last)
