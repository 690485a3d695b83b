"""What a decoder is: it makes arrays of a chunk of records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Chunk


@dataclass(frozen=True)
class ArraySpec:
    """The shape and type of what one record becomes in one array.

    Attributes:
        shape: without the axis of the records.
        dtype: NumPy's.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Fault:
    """Why the record at `index` of a chunk could not be decoded."""

    index: int
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A decoded chunk.

    Attributes:
        arrays: as `element_spec` says, each [m, ...]: a row for each record that could be decoded.
        kept: int64 [m], the indices in the chunk of these records, ascending.
        faults: the other records.
    """

    arrays: tuple[NDArray[Any], ...]
    kept: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()

    def records(self, chunk: Chunk) -> Chunk:
        """Return those of the chunk's records that could be decoded."""
        return chunk.select(self.kept) if self.faults else chunk


@runtime_checkable
class Decoder(Protocol):
    """Makes arrays of records. Any class with these two members is a decoder."""

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """What a record becomes: the features, then the label where there is one."""

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk; report those that cannot be decoded as faults."""
