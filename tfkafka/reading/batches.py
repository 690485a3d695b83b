"""Records as NumPy arrays, for training without tf.data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self

import numpy as np

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange
from tfkafka.config import BROKER_TIMEOUT_MS, PREFETCH_BYTES
from tfkafka.decoding.bad_records import Counts, Policy
from tfkafka.decoding.base import Decoder
from tfkafka.reading.bounded import BoundedReader, bounded_reader
from tfkafka.reading.bounds import Bounds
from tfkafka.reading.elements import Columns, Metadata
from tfkafka.reading.ranges import TopicRanges
from tfkafka.reading.sharding import Shard

_log = logging.getLogger(__name__)


def read(
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
) -> Batches:
    """Read the records [start, stop) of a topic as NumPy arrays, without TensorFlow.

    Records and their order are those of `KafkaDataset`, and so are the arguments, but for
    batch_size. Both ends are pinned by the call, which returns an iterator over the records. It can
    be used once.

    Each batch is a tuple (features, label) or (features, label, sample weight) of arrays, as
    `decode` says; the features alone where it has no label; and (values, keys), object [n] of
    bytes, without `decode`. With `metadata` a `Metadata` of arrays follows.

    Args:
        batch_size: the number of records in each batch but the last, which may have fewer; None:
            as many as come together, at most 16,384.

    Returns:
        An iterator, which is a context manager too. Its end, `close()` and an error close its
        client. It has `ranges` and `counts`, as `KafkaDataset` does.

    Raises:
        ConfigurationError, TypeError, ValueError, TopicError, OffsetError, ReadError: see
            `KafkaDataset`. Iteration raises tfkafka's own errors as well, for example
            BadRecordError.

    Example:
        decode = tfkafka.CsvDecoder(18, label="key")
        with tfkafka.read(
            "susy-train", servers="localhost:9092", decode=decode, batch_size=64
        ) as batches:
            for features, labels in batches:
                print(features.shape, labels.mean())
    """
    size = arguments.optional(arguments.whole_number, "batch_size", batch_size, 1)
    reader = bounded_reader(
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
    return Batches(reader, reader.part_of(reader.pin()), size)


class Batches(Iterator[Any]):
    """The batches of one pass over the records: see `read`.

    Attributes:
        ranges: the pinned offsets of each partition; of a shard, its part of them.
        counts: the numbers of records so far: read, used, skipped, dead_lettered.
    """

    def __init__(self, reader: BoundedReader, chosen: TopicRanges, batch_size: int | None):
        self.ranges: list[OffsetRange] = list(chosen.ranges)
        self.counts: Counts = reader.bad_records.counts
        # It knows nothing of this object: whoever drops that, closes the client at once.
        self._batches = _batches(_columns(reader, chosen), batch_size)

    def __next__(self) -> Any:
        columns = next(self._batches)
        return columns if len(columns) > 1 else columns[0]

    def close(self) -> None:
        """End the iteration, and close its client."""
        self._batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _columns(
    reader: BoundedReader, chosen: TopicRanges
) -> Generator[tuple[Columns, int], None, None]:
    """Yield the columns of one chunk after another, and their length, which is not 0."""
    counts = reader.bad_records.counts
    try:
        with closing(reader.read(chosen)) as chunks:
            for prepared in chunks:
                columns, kept = reader.elements.columns(prepared, reader.bad_records)
                if len(kept):
                    yield columns, len(kept)
        if not counts.read and (reason := reader.why_empty(chosen)):
            _log.warning("topic %s: there was no record: %s", reader.topic, reason)
    finally:
        if summary := counts.summary():
            _log.warning("topic %s: %s", reader.topic, summary)


def _batches(
    chunks: Generator[tuple[Columns, int], None, None], size: int | None
) -> Generator[Columns, None, None]:
    """Yield batches of `size` rows, the last of which may have fewer; None: the chunks."""
    with closing(chunks):
        if size is None:
            yield from (columns for columns, _ in chunks)
        else:
            yield from rebatched(chunks, size)


def rebatched(chunks: Iterable[tuple[Columns, int]], size: int) -> Iterator[Columns]:
    """Yield the same rows in batches of `size`, the last of which may have fewer.

    Args:
        chunks: columns and their number of rows.
    """
    parts: list[Columns] = []
    wanted = size
    for columns, rows in chunks:
        begin = 0
        while rows - begin >= wanted:
            yield _joined([*parts, _rows(columns, begin, begin + wanted)])
            parts, begin, wanted = [], begin + wanted, size
        if begin < rows:
            parts.append(_rows(columns, begin, rows))
            wanted -= rows - begin
    if parts:
        yield _joined(parts)


def _rows(columns: Columns, begin: int, end: int) -> Columns:
    return _map(lambda array: array[begin:end], [columns])


def _joined(parts: Sequence[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else _map(lambda *arrays: np.concatenate(arrays), parts)


def _map(function: Callable[..., Any], several: Sequence[Columns]) -> Columns:
    """Return in the same structure what a function returns for the arrays at the same place."""

    def mapped(*parts: Any) -> Any:
        if isinstance(parts[0], Metadata):
            return Metadata(*map(function, *parts))
        if isinstance(parts[0], Mapping):
            return {name: function(*(part[name] for part in parts)) for name in parts[0]}
        return function(*parts)

    return tuple(map(mapped, *several))
