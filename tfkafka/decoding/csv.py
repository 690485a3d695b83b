"""Decoding of CSV records to float32 matrices, and explanations of what is wrong with a record.

polars parses a whole chunk as one CSV text. It rounds to the nearest float32, as
`tf.io.decode_csv` does: the results are equal bit by bit, except for numbers closer to 0 than
1.2e-38, which TensorFlow reads as 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded, Fault

QUOTED_LENGTH = 40
FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class CsvDecoder:
    """A decoder for values of `columns` comma-separated decimal numbers, without quotes.

    Args:
        columns: the number of columns in each value.
        label: "key" takes the label from the record's key, a number as text; None: no label.

    Example:
        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", decode=tfkafka.CsvDecoder(18, label="key")
        )
        for features, label in dataset.take(1):  # float32 [18], float32 []
            print(features, label)
    """

    columns: int
    label: Literal["key"] | None = None

    def __post_init__(self) -> None:
        if self.columns < 1:
            raise ValueError(f"CsvDecoder: columns is {self.columns}, must be at least 1")
        if self.label not in ("key", None):
            raise ValueError(f'CsvDecoder: label is {self.label!r}, must be "key" or None')

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """float32 [columns], and float32 [] where there is a label."""
        features, label = ArraySpec((self.columns,), FLOAT32), ArraySpec((), FLOAT32)
        return (features,) if self.label is None else (features, label)

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        values = chunk.values.entries
        features, bad = parse_rows(values, self.columns)
        reasons = {index: explain(values[index], self.columns) for index in bad}
        arrays: tuple[NDArray[np.float32], ...] = (features,)
        if self.label is not None:
            keys = chunk.keys.entries
            labels, bad_keys = parse_rows(keys, 1)
            for index in bad_keys:
                reasons.setdefault(index, f"label: {explain(keys[index], 1)}")
            arrays += (labels[:, 0],)
        if not reasons:
            return Decoded(arrays, np.arange(len(chunk)))
        kept = np.delete(np.arange(len(chunk)), sorted(reasons))
        faults = tuple(Fault(index, reasons[index]) for index in sorted(reasons))
        return Decoded(tuple(array[kept] for array in arrays), kept, faults)


def parse_rows(rows: NDArray[np.object_], columns: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return float32 [n, columns], and the indices of the rows that could not be parsed (zeros)."""
    matrix = _parse(rows, columns)
    if matrix is not None:
        return matrix, []
    matrix, bad = np.zeros((len(rows), columns), np.float32), []
    # The parser does not report which row it refused: halve until those rows are alone.
    pending = [(0, len(rows))]
    while pending:
        start, stop = pending.pop()
        part = _parse(rows[start:stop], columns)
        if part is not None:
            matrix[start:stop] = part
        elif stop - start == 1:
            bad.append(start)
        else:
            middle = (start + stop) // 2
            pending += [(start, middle), (middle, stop)]
    return matrix, sorted(bad)


def explain(row: bytes | None, columns: int) -> str:
    """Return what is wrong with a row that could not be parsed."""
    if row is None:
        return "is null"
    if not row.strip():
        return "is empty"
    fields = row.split(b",")
    if len(fields) != columns:
        return f"has {len(fields)} columns instead of {columns}"
    for number, field in enumerate(fields, 1):
        if not field.strip():
            return f"column {number} is empty"
        if _parse([field], 1) is None:
            return f"column {number} is not a number: {field[:QUOTED_LENGTH]!r}"
    return "is not comma-separated numbers"


def _parse(rows: Collection[bytes | None], columns: int) -> NDArray[np.float32] | None:
    """Return float32 [n, columns], or None if any row is not exactly `columns` numbers."""
    if not len(rows):
        return np.zeros((0, columns), np.float32)
    try:
        text = b"\n".join(rows)  # type: ignore[arg-type]  # None is caught
    except TypeError:
        return None
    # A line break in a value would be read as two records, and hide an empty one.
    if text.count(b"\n") != len(rows) - 1:
        return None
    schema = {str(column): polars.Float32 for column in range(columns)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = polars.read_csv(text, has_header=False, schema=schema, quote_char=None)
    except polars.exceptions.PolarsError:
        return None
    has_null = any(frame.null_count().row(0))
    return None if has_null or len(frame) != len(rows) else frame.to_numpy(order="c")
