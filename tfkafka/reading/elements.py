"""The elements of datasets: chunks of records as columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk, Column
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.base import (
    Arrays,
    Decoded,
    Decoder,
    check_decoder,
    decode_checked,
    needs_headers,
)
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.reading.prefetch import Prepared


class Metadata(NamedTuple):
    """The origin, timestamp and headers of a record, or of several: tensors, or NumPy arrays.

    Attributes:
        topic: string.
        partition: int32.
        offset: int64.
        timestamp: int64, ms since 1970 (UTC), -1 where the record has none.
        headers: string; read it with `headers_of`.
        null_message: bool, True for a tombstone, whose message is "".
        null_key: bool, True where the key is null.

    Example:
        dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092", metadata=True)
        for message, key, where in dataset.take(1):
            print(where.topic.numpy(), where.partition.numpy(), where.offset.numpy())
    """

    topic: Any
    partition: Any
    offset: Any
    timestamp: Any
    headers: Any
    null_message: Any
    null_key: Any


# The arrays of a chunk, whose first axes are its records; a `Metadata` may be the last of them.
Columns = tuple[Arrays | Metadata, ...]


def headers_of(text: bytes | str) -> list[tuple[str, bytes | None]]:
    """Return a record's headers, read from the field `headers` of its metadata.

    Example:
        dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092", metadata=True)
        for message, key, where in dataset.take(1):
            print(tfkafka.headers_of(where.headers.numpy()))
    """
    what = "the field headers of a Metadata, as text or bytes"
    arguments.instance("text", text, (str, bytes), what)
    try:
        return [
            (name, None if value is None else value.encode("latin-1"))
            for name, value in json.loads(text)
        ]
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"text is {arguments.shown(text)}, must be {what}") from None


@dataclass(frozen=True)
class Elements:
    """How chunks become elements.

    Args:
        decode: None for (message, key) strings; a decoder for its arrays.
        metadata: append `Metadata`.
        meter: counts the seconds of decoding.
    """

    decode: Decoder | None = None
    metadata: bool = False
    meter: Meter = UNMETERED

    def __post_init__(self) -> None:
        if self.decode is not None:
            check_decoder(self.decode)
        arguments.flag("metadata", self.metadata)

    @property
    def needs_metadata(self) -> bool:
        """Whether chunks must have timestamps and headers."""
        return self.metadata or needs_headers(self.decode)

    def prepare(self, chunk: Chunk) -> Decoded | None:
        """Decode a chunk, which takes long; None where there is no decoder."""
        return None if self.decode is None else self._decoded(self.decode, chunk)

    def _decoded(self, decode: Decoder, chunk: Chunk) -> Decoded:
        with self.meter.stage("decode"):
            return decode_checked(decode, chunk)

    def columns(self, prepared: Prepared, bad_records: BadRecords) -> tuple[Columns, Chunk]:
        """Return the chunk's columns, and the records that are in them."""
        chunk, decoded = prepared.chunk, prepared.result
        columns: Columns
        if self.decode is None:
            bad_records.handle(chunk, ())
            columns = (_strings(chunk.values), _strings(chunk.keys))
        else:
            decoded = decoded or self._decoded(self.decode, chunk)
            bad_records.handle(chunk, decoded.faults, decoded.absent)
            columns, chunk = decoded.arrays, decoded.records(chunk)
        return ((*columns, _metadata(chunk)) if self.metadata else columns), chunk


def _strings(column: Column) -> NDArray[np.object_]:
    """Return object [n], b"" in place of null: TensorFlow's strings have no null."""
    entries, nulls = column.entries, column.has_nulls
    return np.array([entry or b"" for entry in entries], np.object_) if nulls else entries


def _metadata(chunk: Chunk) -> Metadata:
    timestamps, headers = chunk.metadata
    texts = np.array([_headers_text(each) for each in headers], np.object_)
    return Metadata(
        chunk.topics,
        chunk.partitions,
        chunk.offsets,
        timestamps,
        texts,
        chunk.values.nulls,
        chunk.keys.nulls,
    )


def _headers_text(headers: Sequence[tuple[str, bytes | None]]) -> str:
    if not headers:
        return "[]"
    return json.dumps(
        [(name, None if value is None else value.decode("latin-1")) for name, value in headers]
    )
