"""What a dataset's elements are made of: a chunk of records, as columns for TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfkafka.decoding.bad_records import Poison
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.records import Chunk, is_null, without_null


class Metadata(NamedTuple):
    """Where a record comes from.

    Attributes:
        topic: string.
        partition: int32.
        offset: int64.
        timestamp: int64, ms since 1970 (UTC), -1 where the record has none.
        headers: string, to be read with `headers_of`.
        null_message: bool, True for a tombstone, whose message is "".
        null_key: bool.
    """

    topic: tf.Tensor
    partition: tf.Tensor
    offset: tf.Tensor
    timestamp: tf.Tensor
    headers: tf.Tensor
    null_message: tf.Tensor
    null_key: tf.Tensor


_METADATA_TYPES = Metadata(
    tf.string, tf.int32, tf.int64, tf.int64, tf.string, tf.bool, tf.bool
)  # fmt: skip


def headers_of(text: bytes | str) -> list[tuple[str, bytes | None]]:
    """A record's headers from the field `headers` of its metadata."""
    return [
        (name, None if value is None else value.encode("latin-1"))
        for name, value in json.loads(text)
    ]


@dataclass(frozen=True)
class Layout:
    """How chunks become elements.

    Args:
        decode: None for (message, key) strings; a decoder for (features, label), or for features
            alone where it has no label.
        metadata: append `Metadata`.
    """

    decode: CsvDecoder | None = None
    metadata: bool = False

    def signature(self) -> tuple:
        """Of a whole chunk: vectors, or a matrix of features, of any length."""
        if self.decode is None:
            columns = (_vector(tf.string), _vector(tf.string))
        else:
            columns = (tf.TensorSpec([None, self.decode.columns], tf.float32),)
            if self.decode.label is not None:
                columns += (_vector(tf.float32),)
        if self.metadata:
            columns = (*columns, Metadata(*map(_vector, _METADATA_TYPES)))
        return columns

    def tensors(self, columns: tuple):
        """The columns as tensors; a single one is no tuple."""
        tensors = tf.nest.map_structure(tf.convert_to_tensor, columns)
        return tensors if len(tensors) > 1 else tensors[0]

    def prepare(self, chunk: Chunk) -> Chunk:
        """The chunk with what takes long done already, for `columns`."""
        return chunk if self.decode is None else Chunk(chunk.messages, self.decode.decode(chunk))

    def columns(self, chunk: Chunk, poison: Poison) -> tuple[tuple, Chunk]:
        """The chunk's columns, as `signature` says, and the records that are in them."""
        if self.decode is None:
            poison.handle(chunk, ())
            columns = (_strings(without_null(chunk.values)), _strings(without_null(chunk.keys)))
        else:
            decoded = chunk.decoded or self.decode.decode(chunk)
            poison.handle(chunk, decoded.faults)
            if decoded.faults:
                chunk = chunk.select(decoded.kept)
            columns = (decoded.features,)
            if decoded.labels is not None:
                columns += (decoded.labels,)
        if self.metadata:
            columns = (*columns, _metadata(chunk))
        return columns, chunk


def _vector(dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec([None], dtype)


def _strings(entries: list) -> np.ndarray:
    return np.array(entries, dtype=object)


def _metadata(chunk: Chunk) -> Metadata:
    return Metadata(
        _strings(chunk.topics),
        chunk.partitions,
        chunk.offsets,
        chunk.timestamps,
        _strings([_headers_text(headers) for headers in chunk.headers]),
        is_null(chunk.values),
        is_null(chunk.keys),
    )


def _headers_text(headers: Sequence[tuple[str, bytes | None]]) -> str:
    if not headers:
        return "[]"
    return json.dumps(
        [(name, None if value is None else value.decode("latin-1")) for name, value in headers]
    )
