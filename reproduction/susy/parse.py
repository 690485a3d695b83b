"""From lines of CSV to a checked data frame: pandas for the speed, a second look for the blame."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pandas as pd

from reproduction.susy.errors import SusyDataError
from reproduction.susy.schema import COLUMNS, FIRST_100_000, LABEL
from reproduction.susy.unpack import Block

_FORMAT = "SUSY.csv has 19 numbers a line, separated by commas, and no header"


def parse(block: Block, where: str) -> pd.DataFrame:
    """The block's rows: shape (lines, 19), float64, each number as exact as its text.

    Raises SusyDataError, with the first line at fault, for another number of columns, text in a
    number, an empty or not finite number, and a label other than 0 and 1.
    """
    try:
        # The default converter is off by one unit in the last place now and then.
        frame = pd.read_csv(
            io.BytesIO(block.text),
            header=None,
            dtype=np.float64,
            float_precision="round_trip",
            quoting=csv.QUOTE_NONE,
        )
    except (ValueError, OverflowError) as error:
        raise _blame(block, where, str(error)) from error
    if frame.shape != (block.lines, len(COLUMNS)):
        raise _blame(block, where, f"{frame.shape[0]} lines of {frame.shape[1]} columns")
    frame.columns = list(COLUMNS)
    if not np.isfinite(frame.to_numpy()).all() or not frame[LABEL].isin((0.0, 1.0)).all():
        raise _blame(block, where, "a number that is not finite, or a label that is not 0 or 1")
    return frame


def check_first_100_000(
    frame: pd.DataFrame, where: str, expected: tuple[int, int] = FIRST_100_000
) -> None:
    """Raises SusyDataError unless the first rows hold exactly `expected` of class 0 and 1.

    Takes as many rows as `expected` adds up to; a frame with fewer is not checked.
    """
    counted = sum(expected)
    if len(frame) < counted:
        return
    ones = int(frame[LABEL].iloc[:counted].sum())
    found = (counted - ones, ones)
    if found != expected:
        raise SusyDataError(
            f"its first {counted:,} rows hold {found[0]:,} of class 0 and {found[1]:,} of class 1, "
            f"but UCI's SUSY.csv {expected[0]:,} and {expected[1]:,}",
            where,
            "this is another file, or its rows were reordered: give UCI's own",
        )


def _blame(block: Block, where: str, reason: str) -> SusyDataError:
    lines = block.text.removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(lines, block.first_line):
        if fault := _fault(line.decode("ascii", "replace")):
            return SusyDataError(fault, f"{where}, line {number:,}", _FORMAT)
    last = block.first_line + block.lines - 1
    return SusyDataError(reason, f"{where}, lines {block.first_line:,} to {last:,}", _FORMAT)


def _fault(line: str) -> str | None:
    fields = line.split(",")
    if not line.strip():
        return "an empty line"
    if len(fields) != len(COLUMNS):
        return f"{len(fields)} columns instead of {len(COLUMNS)} ({_short(line)})"
    for name, field in zip(COLUMNS, fields, strict=True):
        try:
            value = float(field)
        except ValueError:
            return f"column {name} is not a number ({_short(field)})"
        if not math.isfinite(value):
            return f"column {name} is not a finite number ({_short(field)})"
    if float(fields[0]) not in (0.0, 1.0):
        return f"the label (column {LABEL}) is {_short(fields[0])}, neither 0 nor 1"
    return None


def _short(text: str, length: int = 40) -> str:
    return repr(text if len(text) <= length else text[:length] + "…")
