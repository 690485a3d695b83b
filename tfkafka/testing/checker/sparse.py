"""Arrays over all of int64, of which only the blocks in use exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK_BITS = 12
BLOCK = 1 << BLOCK_BITS
# Rows by column; a column has the dtype of its fill value.
Rows = dict[str, NDArray[Any]]
Indices = NDArray[np.int64]


class Sparse:
    """Columns with one row for each integer; untouched rows have the values of `fill`.

    Args:
        fill: for each column, its name and the value (and so the dtype) of its untouched rows.
    """

    def __init__(self, fill: Mapping[str, ArrayLike]):
        self._fill = {name: np.asarray(value) for name, value in fill.items()}
        self._blocks: dict[int, Rows] = {}

    def parts(self, indices: Indices) -> Iterator[tuple[Rows, Indices, Indices]]:
        """Yield (block, rows in it, their places in `indices`): all of `indices`, each once."""
        keys = indices >> BLOCK_BITS
        for key in np.unique(keys).tolist():
            chosen = np.flatnonzero(keys == key)
            if key not in self._blocks:
                self._blocks[key] = {
                    name: np.full(BLOCK, value) for name, value in self._fill.items()
                }
            yield self._blocks[key], indices[chosen] & (BLOCK - 1), chosen

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """Yield (index of the first row, block), ascending."""
        for key in sorted(self._blocks):
            yield key << BLOCK_BITS, self._blocks[key]

    def get(self, column: str, indices: Indices) -> NDArray[Any]:
        """Return the values of a column at these indices."""
        values = np.empty(len(indices), self._fill[column].dtype)
        for block, rows, chosen in self.parts(indices):
            values[chosen] = block[column][rows]
        return values

    def set(self, column: str, indices: Indices, values: ArrayLike) -> None:
        """Set a column at these indices; where an index occurs twice, the last value counts."""
        spread = np.broadcast_to(values, len(indices))
        for block, rows, chosen in self.parts(indices):
            block[column][rows] = spread[chosen]

    def count(self, column: str, indices: Indices) -> None:
        """Add 1 at each of these indices; 2 where an index occurs twice."""
        for block, rows, _ in self.parts(indices):
            block[column] += np.bincount(rows, minlength=BLOCK).astype(block[column].dtype)
