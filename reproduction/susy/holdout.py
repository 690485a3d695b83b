"""Which real rows are kept apart for measuring: decided by the row itself.

A row is held out if a hash of its 19 float32 values is below its class's threshold. So the same
rows are held out whatever file they come in and in whatever order, and the thresholds (stored
with the fitted parameters) are the whole record of the split.
"""

import hashlib

import numpy as np
import pandas as pd

from reproduction.susy.schema import COLUMNS, LABEL


def row_hashes(frame: pd.DataFrame) -> np.ndarray:
    """64-bit BLAKE2b of each row's values as little-endian float32: (n,) uint64."""
    values = np.ascontiguousarray(frame[list(COLUMNS)].to_numpy(np.float32).astype("<f4"))
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in values)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def thresholds(frame: pd.DataFrame, rows: int) -> np.ndarray:
    """(2,) uint64: below these lie ``rows`` rows of ``frame``, each class in proportion."""
    hashes, label = row_hashes(frame), frame[LABEL].to_numpy()
    result = []
    for value in (0.0, 1.0):
        of_class = np.sort(hashes[label == value])
        result.append(of_class[min(round(rows * len(of_class) / len(frame)), len(of_class) - 1)])
    return np.array(result, dtype=np.uint64)


def held_out(frame: pd.DataFrame, limits: np.ndarray) -> np.ndarray:
    """(n,) bool: True for the rows that ``limits`` (from ``thresholds``) keep apart."""
    return row_hashes(frame) < limits[frame[LABEL].to_numpy().astype(np.int64)]
