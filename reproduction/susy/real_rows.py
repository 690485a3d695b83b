"""Real SUSY rows from local files, for fitting and measuring."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reproduction.susy.errors import SusyDataError
from reproduction.susy.schema import COLUMNS, LABEL

MAX_ROWS_PER_FILE = 200_000
"""More than these sharpen no figure that is made of them; the whole file has 5,000,000."""


def read_real_rows(paths: Sequence[Path]) -> pd.DataFrame:
    """Rows of the header-less CSV or CSV.gz files, each row once, 19 float64 columns.

    Of each file the first ``MAX_ROWS_PER_FILE``.

    Raises SusyDataError for a file that is missing or holds something else.
    """
    frames = []
    for path in paths:
        try:
            frame = pd.read_csv(path, header=None, dtype="float64", nrows=MAX_ROWS_PER_FILE)
        except (OSError, ValueError) as error:
            raise SusyDataError(
                f"can't be read as SUSY rows ({error})", str(path), "give a CSV or CSV.gz file"
            ) from error
        if frame.shape[1] != len(COLUMNS) or not frame[0].isin((0.0, 1.0)).all():
            raise SusyDataError(
                f"{frame.shape[1]} columns ({len(COLUMNS)} wanted), or a {LABEL} not 0 or 1",
                str(path),
                f"give a file of SUSY rows, {LABEL} first",
            )
        frames.append(frame.set_axis(list(COLUMNS), axis=1))
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)
