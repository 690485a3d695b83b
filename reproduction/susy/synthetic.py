"""Synthetic SUSY rows: as many as wanted, without a network, the same for the same seed.

The rows follow a density fitted to real rows of both classes together, and the label is drawn from
a calibrated classifier's probability at each of them, so that they are as hard to tell apart as
the real ones (docs/synthetic-data.md has the figures). The derived features are exact functions
of the low-level ones, as in the real file.

The same seed gives the same rows on every machine and for every chunk size: random numbers come
from NumPy's Philox generator, whose stream is fixed, in blocks with a counter of their own, and all
arithmetic after that is exactly rounded and in a fixed order (``portable_math``).
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd

from reproduction.susy import synthetic_model as model
from reproduction.susy.kinematics import columns_from_event
from reproduction.susy.portable_math import logistic
from reproduction.susy.schema import COLUMNS, FEATURES, FIRST_100_000

BLOCK_ROWS = 20_000
"""Rows are made in blocks of this many, each from its own random stream (seed, block)."""


def generate(rows: int, seed: int = 0) -> pd.DataFrame:
    """``rows`` synthetic rows: the 19 columns of the UCI file in its order, float64.

    Every value is exactly a float32, as in the real file. The classes have the shares of the
    real file's first 100,000 rows, to rounding, and are in random order. ``generate(n, seed)``
    begins with the rows of ``generate(m, seed)`` for m < n, up to m's last block, which may
    differ in its labels. Raises ValueError if ``rows`` < 1 or ``seed`` < 0.
    """
    return pd.concat(list(iter_chunks(rows, seed)), ignore_index=True)


def iter_chunks(rows: int, seed: int = 0, chunk_rows: int = 100_000) -> Iterator[pd.DataFrame]:
    """The rows of ``generate(rows, seed)`` in frames of ``chunk_rows``, the last one shorter.

    Memory: about three chunks. Raises ValueError if ``rows`` or ``chunk_rows`` is below 1 or
    ``seed`` below 0.
    """
    if rows < 1 or chunk_rows < 1 or seed < 0:
        raise ValueError(
            f"rows and chunk_rows must be at least 1 and seed at least 0, "
            f"not {rows}, {chunk_rows} and {seed}"
        )
    return _chunks(rows, seed, chunk_rows)


def _chunks(rows: int, seed: int, chunk_rows: int) -> Iterator[pd.DataFrame]:
    waiting: list[np.ndarray] = []
    held = 0
    for start in range(0, rows, BLOCK_ROWS):
        waiting.append(_block(start, min(BLOCK_ROWS, rows - start), seed))
        held += len(waiting[-1])
        last = start + BLOCK_ROWS >= rows
        if held < chunk_rows and not last:
            continue
        matrix = np.concatenate(waiting)
        full = held if last else held - held % chunk_rows
        for first in range(0, full, chunk_rows):
            part = matrix[first : min(first + chunk_rows, full)]
            yield pd.DataFrame(part.astype(np.float64), columns=list(COLUMNS))
        waiting, held = [matrix[full:]], held - full


def signal_rows(rows: int) -> int:
    """How many of the first ``rows`` rows are of class 1: the real file's share, rounded."""
    total = sum(FIRST_100_000)
    return (2 * rows * FIRST_100_000[1] + total) // (2 * total)


@lru_cache(maxsize=1)
def _parameters() -> model.Parameters:
    return model.load_parameters()


def _block(start: int, rows: int, seed: int) -> np.ndarray:
    """Rows [start, start + rows) as float32 (rows, 19); ``start`` is a multiple of BLOCK_ROWS."""
    p = _parameters()
    for_events, for_jets, for_label = _uniforms(seed, start // BLOCK_ROWS, rows)
    event = model.events(p, for_events)
    no_jets = np.ones(rows)
    columns = columns_from_event(event, no_jets)
    inputs = model.label_inputs(event, columns, no_jets)
    share = model.met_rel_share(p, event, inputs, for_jets)
    columns["MET_rel"] = columns["MET_rel"] * share
    inputs = model.label_inputs(event, columns, share)
    score = model.log_odds(p, inputs) + logistic(for_label)
    block = np.zeros((rows, len(COLUMNS)), dtype=np.float32)
    for index, name in enumerate(FEATURES, start=1):
        block[:, index] = columns[name]
    # score > 0 would be a plain draw of the label. The best of the block instead, so that the
    # classes have their exact counts: that moves the threshold by a few hundredths at most.
    signal = signal_rows(start + rows) - signal_rows(start)
    block[np.argsort(-score, kind="stable")[:signal], 0] = 1.0
    return block


def _uniforms(seed: int, block: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uniform values in [0, 1) for a block: (12, rows) for events, (2, rows) jets, (rows,) label.

    Made from Philox's raw 64-bit words, which NumPy keeps the same in every version (NEP 19).
    """
    jets_from = model.UNIFORMS_FOR_EVENTS
    label_from = jets_from + model.UNIFORMS_FOR_JETS
    words = np.random.Philox(key=seed, counter=[0, 0, 0, block]).random_raw(
        (label_from + 1) * BLOCK_ROWS
    )
    uniform = (words.reshape(-1, BLOCK_ROWS)[:, :rows] >> np.uint64(11)) * 2.0**-53
    return uniform[:jets_from], uniform[jets_from:label_from], uniform[label_from]
