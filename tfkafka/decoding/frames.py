"""Rows of comma-separated fields as polars frames.

polars parses a whole chunk as one CSV text. It rounds to the nearest float32, as
`tf.io.decode_csv` does: the results are equal bit by bit, except for numbers closer to 0 than
1.2e-38, which TensorFlow reads as 0.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import polars
from numpy.typing import NDArray

# The types that text is parsed as.
TYPES = {
    "float32": polars.Float32,
    "float64": polars.Float64,
    "int32": polars.Int32,
    "int64": polars.Int64,
}
Rows = NDArray[np.object_] | Sequence[bytes | None]
Schema = Mapping[str, polars.DataType | type[polars.DataType]]
# polars skips a byte order mark at the beginning, and decompresses what begins as gzip, zlib and
# Zstandard do: no number does.
_NO_TEXT = (b"\xef\xbb\xbf", b"\x1f\x8b", b"x\x01", b"x^", b"x\x9c", b"x\xda", b"\x28\xb5\x2f\xfd")
# A quoted field without a comma, a quote or a line end inside.
_QUOTED = re.compile(rb'"(?:(?<=[,\n]")|(?<=\A"))([^",\r\n]*)"(?=[,\n])')


def read_rows(rows: Rows, schema: Schema) -> polars.DataFrame | None:
    """Return the fields of rows, if nothing is odd about any of them; an empty field is null.

    Args:
        rows: the rows.
        schema: the names and types of their columns.

    Returns:
        None if any row has other columns than these, or a field is not of its type; also for
        blanks after a number, and quotes around a comma, a quote or a line end.
    """
    if not len(rows):
        return polars.DataFrame(schema=schema)
    try:
        text = b"\n".join([*rows, b""])
    except TypeError:
        return None
    # A line break in a value would be read as two records, and hide an empty one.
    if text.count(b"\n") != len(rows) or text.startswith(_NO_TEXT):
        return None
    if b'"' in text:
        text = _QUOTED.sub(rb"\1", text)
    # polars takes other quotes and carriage returns for a part of a text, not of a number.
    if b'"' in text or (b"\r" in text and text.count(b"\r") != text.count(b"\r\n")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = polars.read_csv(text, has_header=False, schema=schema, quote_char=None)
    except polars.exceptions.PolarsError:
        return None
    return None if len(frame) != len(rows) or _is_short(rows, frame) else frame


def _is_short(rows: Rows, frame: polars.DataFrame) -> bool:
    """Return whether any row has too few fields: polars takes them for null."""
    last = frame.to_series(-1)
    if not last.null_count():
        return False
    commas = frame.width - 1
    return any((rows[at] or b"").count(b",") != commas for at in last.is_null().arg_true())
