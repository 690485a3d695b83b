"""Bounded readers: their arguments, checked, and the records that these stand for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.config import BROKER_TIMEOUT_MS, PREFETCH_BYTES, Limits
from tfkafka.decoding.bad_records import BadRecords, Policy
from tfkafka.decoding.base import Decoder
from tfkafka.reading.bounds import Bounds, Last
from tfkafka.reading.dead_letters import bad_records_policy
from tfkafka.reading.elements import Elements
from tfkafka.reading.jax_processes import own_shard, ranges_of_first_process
from tfkafka.reading.prefetch import Prepared, read_ahead
from tfkafka.reading.progress import Place
from tfkafka.reading.ranges import TopicRanges, read, resolve, why_empty
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.sharding import Shard, part_of, refuse_moving_bounds

# Where no offsets are committed, chunks may be large: they cost less per record.
CHUNK_RECORDS = 16_384
CHUNK_BYTES = 8 << 20
WHOLE = Place()


@dataclass(frozen=True)
class BoundedReader:
    """How the records of a topic are read between pinned offsets.

    Attributes:
        topic: the name of the topic.
        settings, limits: how Kafka is read.
        elements: how chunks become columns.
        bad_records: the policy for records that cannot be decoded.
        pin: returns the offsets that the arguments stand for now; raises as `resolve`.
        max_records: the number of records after which reading stops; None: after all.
        shard: the index of the part of these offsets to read, and the number of parts.
    """

    topic: str
    settings: config.Settings
    limits: Limits
    elements: Elements
    bad_records: BadRecords
    pin: Callable[[], TopicRanges]
    max_records: int | None
    shard: tuple[int, int] | None

    def part_of(self, pinned: TopicRanges) -> TopicRanges:
        """Return the shard's part of pinned offsets."""
        return replace(pinned, ranges=part_of(pinned.ranges, self.shard))

    def read(self, chosen: TopicRanges, begin: Place = WHOLE) -> Generator[Prepared, None, None]:
        """Yield the chunks of the ranges from a place on; a separate thread reads ahead."""

        def chunks() -> Generator[Chunk, None, None]:
            wanted = self.max_records
            return read(
                chosen,
                self.settings,
                self.limits,
                None if wanted is None else wanted - begin.read,
                metadata=self.elements.needs_metadata or self.bad_records.dead_letters is not None,
                reached=begin.next_offsets,
            )

        # The thread that takes a chunk decodes it: records are read and decoded at the same time.
        return read_ahead(chunks, self.limits.buffer_bytes)

    def why_empty(self, chosen: TopicRanges, begin: Place = WHOLE) -> str:
        """Return why there was no record: see `ranges.why_empty`."""
        return why_empty(chosen.ranges, begin.next_offsets, self.max_records)


def bounded_reader(
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
    metadata: bool = False,
    on_bad_record: Policy = "error",
    dead_letter_topic: str | None = None,
    prefetch_bytes: int = PREFETCH_BYTES,
    broker_timeout: int = BROKER_TIMEOUT_MS,
    shard: Shard | None = None,
) -> BoundedReader:
    """Check the arguments of `KafkaDataset`, and return the reader that they describe.

    Raises what `KafkaDataset` raises before it asks for offsets.
    """
    arguments.text("topic", topic)
    chosen = arguments.optional(arguments.partitions, "partitions", partitions)
    if last is not None:
        start = _last(last, start, stop)
    most = arguments.optional(arguments.whole_number, "max_records", max_records)
    part = own_shard(shard)
    limits = Limits(CHUNK_RECORDS, CHUNK_BYTES, prefetch_bytes, broker_timeout)
    elements = Elements(decode, metadata)
    settings = reader_settings(servers, configuration)
    bad_records = bad_records_policy(on_bad_record, dead_letter_topic, settings, limits, [topic])

    def pin() -> TopicRanges:
        return resolve(settings, limits, topic, chosen, start, stop)

    if isinstance(shard, str):  # "jax"
        pin = partial(ranges_of_first_process, pin)
    elif part is not None:
        refuse_moving_bounds(part, start, stop)
    return BoundedReader(topic, settings, limits, elements, bad_records, pin, most, part)


def _last(last: int, start: Bounds, stop: Bounds) -> Last:
    number = arguments.whole_number("last", last)
    if (start, stop) != ("earliest", "latest"):
        raise ValueError("last replaces start and stop: give one or the other")
    return Last(number)
