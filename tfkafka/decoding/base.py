"""Decoders: they turn a chunk of records into arrays."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk


@dataclass(frozen=True)
class ArraySpec:
    """The shape and dtype of one record in one array.

    Attributes:
        shape: the shape, without the axis of the records.
        dtype: the NumPy dtype.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Fault:
    """The reason why the record at `index` of a chunk could not be decoded.

    Attributes:
        index: the index.
        reason: the reason, with the value that is wrong.
        kind: the reason without that value: faults of one kind are counted together; "": `reason`.
    """

    index: int
    reason: str
    kind: str = ""


@dataclass(frozen=True)
class Decoded:
    """A decoded chunk.

    Attributes:
        arrays: as `element_spec` says, each [m, ...]: one row for each record that was decoded.
        kept: int64 [m], the indices of these records in the chunk, ascending.
        faults: the other records.
    """

    arrays: tuple[NDArray[Any], ...]
    kept: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()

    def records(self, chunk: Chunk) -> Chunk:
        """Return the records of the chunk that were decoded."""
        return chunk.select(self.kept) if self.faults else chunk


@runtime_checkable
class Decoder(Protocol):
    """Turns records into arrays. Any class with these two members is a decoder."""

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """The specs of the arrays: the features, then the label where there is one."""

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""


def only_finite(decoder: Decoder) -> Decoder:
    """Return the decoder, with `finite=True` where it has this field and leaves it open with None.

    One value that is not finite spoils a model forever, or a prediction. Decoders without such a
    field are returned as they are.
    """
    if is_dataclass(decoder) and getattr(decoder, "finite", False) is None:
        made: Decoder = replace(decoder, finite=True)
        return made
    return decoder


def check_decoder(decode: Decoder) -> None:
    """Raise TypeError where this is no decoder."""
    what = "a decoder, for example CsvDecoder(18): an object with element_spec and decode()"
    # A class has both members too, but cannot decode.
    arguments.instance("decode", None if isinstance(decode, type) else decode, Decoder, what)
