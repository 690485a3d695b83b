"""Decimal numbers as text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.base import Fault
from tfkafka.decoding.csv_rows import CsvColumn, CsvRows, column_title
from tfkafka.decoding.frames import Rows

FLOAT32 = np.dtype(np.float32)


def parse_rows(
    rows: Rows, columns: int, dtype: np.dtype[Any] = FLOAT32
) -> tuple[NDArray[Any], list[int]]:
    """Return dtype [n, columns], and the indices of the rows that could not be parsed (zeros).

    Raises ForkError in a child that was forked after polars had been used.
    """
    wanted = {number: CsvColumn(number, column_title(number), dtype) for number in range(columns)}
    frame, faults = CsvRows(columns, wanted).read(rows)
    return frame.to_numpy(order="c", writable=True), sorted(faults)


def parse_numbers(
    texts: Rows, dtype: np.dtype[Any], what: str, finite: bool | None = False
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return the numbers that texts are, [n], and the faults.

    Args:
        texts: the texts.
        dtype: the type of the numbers.
        what: what a text is, for reasons.
        finite: whether a number that is not finite is a fault.

    Raises ForkError in a child that was forked after polars had been used.
    """
    row = CsvRows(1, {0: CsvColumn(0, f"{what}:", dtype)}, title=f"{what}: ")
    frame, faults = row.read(texts)
    if finite:
        faults = row.not_finite(frame, texts) | faults
    return row.array(frame, 0), faults
