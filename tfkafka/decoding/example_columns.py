"""The features of serialised tf.train.Example, in whole columns.

`tf.io.parse_example` writes a line to stderr for each batch that it refuses and for each feature
that comes twice, and does not notice bytes after a list (seen in TensorFlow 2.16 and 2.21). So
records that are laid out as serialisers do it are read here, and all others one by one by
`tf.train.Example`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka import native
from tfkafka.chunk import Column
from tfkafka.decoding import example_native, wire
from tfkafka.decoding.sources import Field

# The lists that a feature may be, and the numbers of their fields.
BYTES, FLOATS, INTS = "bytes_list", "float_list", "int64_list"
_NUMBERS = {BYTES: 1, FLOATS: 2, INTS: 3}
_TAG_OF_ENTRIES = wire.tag(1)


@dataclass(frozen=True)
class Feature:
    """A feature of a column of records.

    Attributes:
        is_missing: bool [n], whether a record does not have the feature, or no value in it.
        values: float32, int64 or object (bytes), [m, size]: those of the other records.
    """

    is_missing: NDArray[np.bool_]
    values: NDArray[Any]


def kind_of(field: Field) -> str:
    """Return which list a feature must be."""
    if field.classes is not None:
        return BYTES
    return FLOATS if field.spec.dtype.kind == "f" else INTS


def read(values: Column, fields: Sequence[Field]) -> tuple[list[Feature], NDArray[np.bool_]]:
    """Return the features of all records, and bool [n]: whether they could be read.

    Where any could not, the features are of no use.
    """
    buffer = wire.padded(values.buffer)
    records = wire.Spans(values.offsets[:-1], values.offsets[1:])
    entries = wire.content(buffer, records, _TAG_OF_ENTRIES)
    entries[~entries.ends_with(records)] = wire.Spans.nowhere(1)
    # An Example without any feature.
    is_empty = (records.start == records.stop) & ~values.nulls
    entries[is_empty] = records[is_empty]
    names, library = [each.name.encode() for each in fields], native.library()
    found, is_read = (
        wire.map_values(buffer, entries, names)
        if library is None
        else example_native.map_values(library, buffer, entries, names)
    )
    features = []
    for field, name in zip(fields, names, strict=True):
        feature, is_right = _read_feature(buffer, found[name], field)
        features.append(feature)
        is_read &= is_right
    return features, is_read


def _read_feature(
    buffer: wire.Bytes, spans: wire.Spans, field: Field
) -> tuple[Feature, NDArray[np.bool_]]:
    """Return a feature, and bool [n]: whether it is plain and of the right kind and size."""
    kind = kind_of(field)
    lists = wire.content(buffer, spans, wire.tag(_NUMBERS[kind]))
    is_right = lists.ends_with(spans)
    is_missing = spans.start == spans.stop
    is_missing |= is_right & (lists.start == lists.stop)
    present = np.flatnonzero(is_right & ~is_missing)
    is_right[present], values = _READERS[kind](buffer, lists[present], field.size)
    return Feature(is_missing, values), is_right | is_missing


def _read_floats(
    buffer: wire.Bytes, lists: wire.Spans, size: int
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    packed = wire.content(buffer, lists, _TAG_OF_ENTRIES)
    is_right = packed.ends_with(lists) & (packed.stop - packed.start == 4 * size)
    return is_right, wire.slices(buffer, packed.start[is_right], 4 * size).view("<f4")


def _read_ints(
    buffer: wire.Bytes, lists: wire.Spans, size: int
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    packed = wire.content(buffer, lists, _TAG_OF_ENTRIES)
    is_right = packed.ends_with(lists)
    is_right[is_right], values = wire.numbers(buffer, packed[is_right], size)
    return is_right, values


def _read_texts(
    buffer: wire.Bytes, lists: wire.Spans, size: int
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    texts, rest, data = np.empty((size, len(lists.start)), object), lists, buffer.data
    for place in range(size):
        text = wire.content(buffer, rest, _TAG_OF_ENTRIES)
        bounds = zip(text.start.tolist(), text.stop.tolist(), strict=True)
        texts[place] = [bytes(data[start:stop]) for start, stop in bounds]
        rest = wire.Spans(text.stop, lists.stop)
    return rest.is_there & (rest.start == rest.stop), texts.T


_READERS = {BYTES: _read_texts, FLOATS: _read_floats, INTS: _read_ints}
