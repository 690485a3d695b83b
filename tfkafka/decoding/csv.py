"""Decoding of CSV records to float32 matrices, and explanations of what is wrong with a record.

polars parses a whole chunk as one CSV text. It rounds to the nearest float32, as
`tf.io.decode_csv` does: the results are equal bit by bit, except for numbers closer to 0 than
1.2e-38, which TensorFlow reads as 0. Rows with quotes or blanks are rewritten without them first,
but only where polars has refused a chunk as it is. What `tf.io.decode_csv` accepts is accepted,
except for hexadecimal numbers and, with TensorFlow 2.21, nan with a number: nan(1).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded, Fault
from tfkafka.decoding.polars_threads import refuse_lost_threads

QUOTED_LENGTH = 40
LARGEST_COLUMNS = 2**31 - 1
FLOAT32 = np.dtype(np.float32)
_LINE_ENDS, _BLANKS = b"\r\n", b" \t\v\f"
_TO_TIDY = re.compile(rb'["\s]')
# A quoted field has no comma and no quote inside: it is a number. TensorFlow ignores line ends
# before a quote, and refuses blanks there.
_QUOTED = re.compile(rb'(\A|,)[\r\n]*"([^",]*)"(?=,|\Z)')


@dataclass(frozen=True)
class CsvDecoder:
    """A decoder for values of `columns` comma-separated decimal numbers.

    Numbers may be in double quotes, with blanks around them, and a line end may follow the last.

    Args:
        columns: the number of columns in each value.
        label: "key" takes the label from the record's key, a number as text; None: no label.
        finite: True: a record with nan, inf or a number too large for float32 cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.

    Example:
        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", decode=tfkafka.CsvDecoder(18, label="key")
        )
        for features, label in dataset.take(1):  # float32 [18], float32 []
            print(features, label)
    """

    columns: int
    label: Literal["key"] | None = None
    finite: bool | None = None

    def __post_init__(self) -> None:
        columns = arguments.whole_number("CsvDecoder: columns", self.columns, 1, LARGEST_COLUMNS)
        # As an int, which a manifest can hold, also where it was one of NumPy's.
        object.__setattr__(self, "columns", columns)
        arguments.choice("CsvDecoder: label", self.label, ("key", None))
        arguments.optional(arguments.flag, "CsvDecoder: finite", self.finite)

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """float32 [columns], and float32 [] where there is a label."""
        features, label = ArraySpec((self.columns,), FLOAT32), ArraySpec((), FLOAT32)
        return (features,) if self.label is None else (features, label)

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        features, faults = self._parsed(chunk.values.entries, self.columns)
        arrays: tuple[NDArray[np.float32], ...] = (features,)
        if self.label is not None:
            labels, label_faults = self._parsed(chunk.keys.entries, 1, "label: ")
            arrays += (labels[:, 0],)
            faults = label_faults | faults
        if not faults:
            return Decoded(arrays, np.arange(len(chunk)))
        kept = np.delete(np.arange(len(chunk)), sorted(faults))
        found = tuple(faults[index] for index in sorted(faults))
        return Decoded(tuple(array[kept] for array in arrays), kept, found)

    def _parsed(
        self, rows: NDArray[np.object_], columns: int, what: str = ""
    ) -> tuple[NDArray[np.float32], dict[int, Fault]]:
        """Return float32 [n, columns], and the faults by the indices of their rows."""
        matrix, bad = parse_rows(rows, columns)
        faults = {}
        for index in bad:
            reason, field = explain(rows[index], columns)
            faults[index] = _fault(index, what + reason, field)
        if self.finite and not (is_finite := np.isfinite(matrix)).all():
            for index in np.flatnonzero(~is_finite.all(axis=1)).tolist():
                column = int(np.argmin(is_finite[index]))
                field = _tidied(rows[index]).split(b",")[column]
                reason = f"{what}column {column + 1} is not finite as float32"
                faults[index] = _fault(index, reason, field)
        return matrix, faults


def parse_rows(rows: NDArray[np.object_], columns: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return float32 [n, columns], and the indices of the rows that could not be parsed (zeros).

    Raises ForkError in a child that was forked after polars had been used.
    """
    refuse_lost_threads("CsvDecoder")
    matrix = _parse(rows, columns)
    if matrix is not None:
        return matrix, []
    return _parse_each([row if row is None else _tidied(row) for row in rows], columns)


def _parse_each(
    rows: Sequence[bytes | None], columns: int
) -> tuple[NDArray[np.float32], list[int]]:
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


def explain(row: bytes | None, columns: int) -> tuple[str, bytes]:
    """Return what is wrong with a row that could not be parsed, and the field that is wrong."""
    if row is None:
        return "is null", b""
    fields = _tidied(row).split(b",")
    if fields == [b""]:
        return "is empty", b""
    if len(fields) != columns:
        return f"has {len(fields)} columns instead of {columns}", b""
    for number, field in enumerate(fields, 1):
        if not field:
            return f"column {number} is empty", b""
        if _parse([field], 1) is None:
            return f"column {number} is not a number", field
    return "is not comma-separated numbers", b""


def _fault(index: int, kind: str, field: bytes) -> Fault:
    return Fault(index, f"{kind}: {field[:QUOTED_LENGTH]!r}" if field else kind, kind)


def _tidied(row: bytes) -> bytes:
    """Return a row without the quotes, blanks and line ends around its numbers."""
    if not _TO_TIDY.search(row):
        return row
    bare = _QUOTED.sub(lambda found: found[1] + found[2].strip(), row.strip(_LINE_ENDS))
    return b",".join(field.lstrip(_LINE_ENDS).strip(_BLANKS) for field in bare.split(b","))


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
