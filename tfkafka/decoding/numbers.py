"""Decimal numbers as text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.base import Fault
from tfkafka.decoding.csv_fields import CsvColumn, column_title
from tfkafka.decoding.csv_rows import CsvRows

FLOAT32 = np.dtype(np.float32)


def parse_rows(
    rows: Column, columns: int, dtype: np.dtype[Any] = FLOAT32
) -> tuple[NDArray[Any], list[int]]:
    """Return dtype [n, columns], and the indices of the rows that could not be parsed (zeros).

    Without the native library, raises ForkError in a child that was forked after polars had been
    used.
    """
    wanted = {number: CsvColumn(number, column_title(number), dtype) for number in range(columns)}
    matrix = np.empty((len(rows), columns), dtype)
    faults = CsvRows(columns, wanted).read(rows, dict(enumerate(matrix.T)))
    return matrix, sorted(faults)


def parse_numbers(
    texts: Column, dtype: np.dtype[Any], what: str, finite: bool | None = False
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return the numbers that texts are, [n], and the faults.

    Args:
        texts: the texts.
        dtype: the type of the numbers.
        what: what a text is, for reasons.
        finite: whether a number that is not finite is a fault.

    Without the native library, raises ForkError in a child that was forked after polars had been
    used.
    """
    numbers = np.empty(len(texts), dtype)
    row = CsvRows(1, {0: CsvColumn(0, f"{what}:", dtype)}, title=f"{what}: ")
    return numbers, row.read(texts, {0: numbers}, finite)
