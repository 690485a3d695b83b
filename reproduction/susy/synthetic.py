"""Synthetic SUSY rows: as many as wanted, without a network, the same for the same seed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from reproduction.susy.kinematics import Event, columns_from_event
from reproduction.susy.schema import COLUMNS, FEATURES, FIRST_100_000, LABEL

BLOCK_ROWS = 20_000
"""Rows are made in blocks of this many, each from its own random stream (seed, block)."""


def generate(rows: int, seed: int = 0) -> pd.DataFrame:
    """``rows`` synthetic rows: the 19 columns of the UCI file in its order, float64.

    Every value is exactly a float32, as in the real file. Raises ValueError if ``rows`` < 1.
    """
    return pd.concat(list(iter_chunks(rows, seed)), ignore_index=True)


def iter_chunks(rows: int, seed: int = 0, chunk_rows: int = 100_000) -> Iterator[pd.DataFrame]:
    """The rows of ``generate(rows, seed)`` in frames of ``chunk_rows``, the last one shorter."""
    if rows < 1 or chunk_rows < 1:
        raise ValueError(f"rows and chunk_rows must be at least 1, not {rows} and {chunk_rows}")
    waiting: list[np.ndarray] = []
    held = 0
    for start in range(0, rows, BLOCK_ROWS):
        block = _block(start, min(BLOCK_ROWS, rows - start), seed)
        waiting.append(block)
        held += len(block)
        while held >= chunk_rows or (held and start + BLOCK_ROWS >= rows):
            matrix = np.concatenate(waiting)
            waiting, held = [matrix[chunk_rows:]], max(held - chunk_rows, 0)
            yield pd.DataFrame(matrix[:chunk_rows], columns=list(COLUMNS))


def _signal_rows(rows: int) -> int:
    """How many of the first ``rows`` rows are of class 1: the real file's share, rounded."""
    return (2 * rows * FIRST_100_000[1] + sum(FIRST_100_000)) // (2 * sum(FIRST_100_000))


def _block(start: int, rows: int, seed: int) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, start // BLOCK_ROWS]))
    normal, uniform = rng.standard_normal((6, BLOCK_ROWS)), rng.random((5, BLOCK_ROWS))
    pt2 = 0.1333 + 0.15 * np.exp(0.9 * normal[0])
    event = Event(
        pt1=pt2 * (1 + 0.6 * np.exp(0.8 * normal[1])),
        eta1=np.clip(1.2 * normal[2], -2.49, 2.49),
        phi1=np.pi * (2 * uniform[0] - 1),
        pt2=pt2,
        eta2=np.clip(1.2 * normal[3], -2.49, 2.49),
        phi2=np.pi * (2 * uniform[1] - 1),
        met=0.45 * np.exp(0.8 * normal[4]),
        met_phi=np.pi * (2 * uniform[2] - 1),
    )
    columns = columns_from_event(event, np.where(uniform[3] < 0.17, uniform[4], 1.0))
    features = np.stack([columns[name] for name in FEATURES], axis=1)[:rows]
    logit = 3 * np.log(event.met * event.pt1)[:rows] + 2 * normal[5, :rows]
    signal = _signal_rows(start + rows) - _signal_rows(start)
    label = np.zeros(rows)
    label[np.argsort(-logit, kind="stable")[:signal]] = 1.0
    block = np.concatenate([label[:, None], features], axis=1)
    assert COLUMNS == (LABEL, *FEATURES)
    return block.astype(np.float32).astype(np.float64)
