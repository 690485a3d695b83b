"""Decimal numbers as text: rows of comma-separated ones, and what is wrong with a row.

polars parses a whole chunk as one CSV text. It rounds to the nearest float32, as
`tf.io.decode_csv` does: the results are equal bit by bit, except for numbers closer to 0 than
1.2e-38, which TensorFlow reads as 0. Rows with quotes or blanks are rewritten without them first,
but only where polars has refused a chunk as it is. What `tf.io.decode_csv` accepts is accepted,
except for hexadecimal numbers and, with TensorFlow 2.21, nan with a number: nan(1).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.decoding.halving import halve
from tfkafka.decoding.polars_threads import refuse_lost_threads

FLOAT32 = np.dtype(np.float32)
# The types that text is parsed as.
TYPES = {
    "float32": polars.Float32,
    "float64": polars.Float64,
    "int32": polars.Int32,
    "int64": polars.Int64,
}
_LINE_ENDS, _BLANKS = b"\r\n", b" \t\v\f"
_TO_TIDY = re.compile(rb'["\s]')
# A quoted field has no comma and no quote inside: it is a number. TensorFlow ignores line ends
# before a quote, and refuses blanks there.
_QUOTED = re.compile(rb'(\A|,)[\r\n]*"([^",]*)"(?=,|\Z)')


def parse_rows(
    rows: NDArray[np.object_], columns: int, dtype: np.dtype[Any] = FLOAT32
) -> tuple[NDArray[Any], list[int]]:
    """Return dtype [n, columns], and the indices of the rows that could not be parsed (zeros).

    Raises ForkError in a child that was forked after polars had been used.
    """
    refuse_lost_threads("CsvDecoder")
    matrix = _parse(rows, columns, dtype)
    if matrix is not None:
        return matrix, []
    tidied = [row if row is None else tidy(row) for row in rows]
    matrix = np.zeros((len(rows), columns), dtype)

    def parse(start: int, stop: int) -> bool:
        part = _parse(tidied[start:stop], columns, dtype)
        if part is not None:
            matrix[start:stop] = part
        return part is not None

    return matrix, halve(len(rows), parse)


def explain(row: bytes | None, columns: int, dtype: np.dtype[Any] = FLOAT32) -> tuple[str, bytes]:
    """Return what is wrong with a row that could not be parsed, and the field that is wrong."""
    if row is None:
        return "is null", b""
    fields = tidy(row).split(b",")
    if fields == [b""]:
        return "is empty", b""
    if len(fields) != columns:
        return f"has {len(fields)} columns instead of {columns}", b""
    for number, field in enumerate(fields, 1):
        if not field:
            return f"column {number} is empty", b""
        if _parse([field], 1, dtype) is None:
            return f"column {number} is not a number", field
    return "is not comma-separated numbers", b""


def tidy(row: bytes) -> bytes:
    """Return a row without the quotes, blanks and line ends around its numbers."""
    if not _TO_TIDY.search(row):
        return row
    bare = _QUOTED.sub(lambda found: found[1] + found[2].strip(), row.strip(_LINE_ENDS))
    return b",".join(field.lstrip(_LINE_ENDS).strip(_BLANKS) for field in bare.split(b","))


def _parse(
    rows: Collection[bytes | None], columns: int, dtype: np.dtype[Any]
) -> NDArray[Any] | None:
    """Return dtype [n, columns], or None if any row is not exactly `columns` numbers."""
    if not len(rows):
        return np.zeros((0, columns), dtype)
    try:
        text = b"\n".join(rows)  # type: ignore[arg-type]  # None is caught
    except TypeError:
        return None
    # A line break in a value would be read as two records, and hide an empty one.
    if text.count(b"\n") != len(rows) - 1:
        return None
    schema = {str(column): TYPES[dtype.name] for column in range(columns)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = polars.read_csv(text, has_header=False, schema=schema, quote_char=None)
    except polars.exceptions.PolarsError:
        return None
    has_null = any(frame.null_count().row(0))
    return None if has_null or len(frame) != len(rows) else frame.to_numpy(order="c")
