"""The rows that a fidelity report compares, and their weights."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from reproduction.susy import holdout
from reproduction.susy.errors import SusyDataError
from reproduction.susy.real_rows import read_real_rows
from reproduction.susy.schema import FIRST_100_000, LABEL
from reproduction.susy.synthetic import generate
from reproduction.susy.synthetic_model import load_parameters

SYNTHETIC_ROWS = 100_000
TRAIN_ROWS = 60_000
"""The tutorial's: 100,000 rows, 60,000 of them to train on."""
MIN_HELD_OUT_ROWS = 500


@dataclass(frozen=True)
class Samples:
    """Real rows that the fit didn't see and those it may have seen; synthetic rows."""

    held_out: pd.DataFrame
    fitted: pd.DataFrame
    synthetic: pd.DataFrame
    seconds: float  # that the synthetic rows took, the parameters already loaded


def load_samples(paths: Sequence[Path], seed: int) -> Samples:
    """Real rows from ``paths``, split by the rule that the parameters carry; synthetic rows.

    Raises SusyDataError for a file that isn't SUSY rows, or for too few rows that were held out.
    """
    real = read_real_rows(paths)
    apart = holdout.held_out(real, load_parameters().held_out_below)
    if apart.sum() < MIN_HELD_OUT_ROWS:
        raise SusyDataError(
            f"only {apart.sum()} rows that were not used in fitting",
            ", ".join(map(str, paths)),
            f"give files with at least {MIN_HELD_OUT_ROWS} (a 5/11 share of any rows)",
        )
    generate(1)
    start = time.perf_counter()
    synthetic = generate(SYNTHETIC_ROWS, seed)
    seconds = time.perf_counter() - start
    return Samples(
        held_out=real[apart].reset_index(drop=True),
        fitted=real[~apart].reset_index(drop=True),
        synthetic=synthetic,
        seconds=seconds,
    )


def natural_weights(label: pd.Series) -> np.ndarray:
    """(n,) weights of mean 1 that give the classes the shares of the file's first 100,000 rows.

    Real rows may come balanced; with these weights they stand for rows as they are in the file.
    """
    share = np.array(FIRST_100_000) / sum(FIRST_100_000)
    found = np.array([np.mean(label == 0.0), np.mean(label == 1.0)])
    return (share / found)[label.to_numpy().astype(int)]


def weights_of(frame: pd.DataFrame) -> np.ndarray:
    """``natural_weights`` of a frame's label."""
    return natural_weights(frame[LABEL])
