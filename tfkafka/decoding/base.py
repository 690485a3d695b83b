"""Decoders: they turn a chunk of records into arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.text import printable
from tfkafka.chunk import Chunk

# How many bytes of a wrong value a reason has.
QUOTED_LENGTH = 40
# What the entries of an `element_spec` are.
_PARTS = ("features", "label", "sample weight")
# The kinds of NumPy's dtypes that are TensorFlow's strings.
_STRINGS = "OSU"


@dataclass(frozen=True)
class ArraySpec:
    """The shape and dtype of one record in one array.

    Attributes:
        shape: the shape, without the axis of the records.
        dtype: the NumPy dtype.

    Example:
        features, label = tfkafka.CsvDecoder(18, label="key").element_spec
        assert features == tfkafka.ArraySpec((18,), np.dtype(np.float32))
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


# One array, or several by their names, which become the named inputs of a model.
Spec: TypeAlias = ArraySpec | Mapping[str, ArraySpec]
Arrays: TypeAlias = NDArray[Any] | Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Fault:
    """The reason why the record at `index` of a chunk could not be decoded.

    Attributes:
        index: the index.
        reason: the reason, with the value that is wrong; what cannot be printed is escaped.
        kind: the reason without that value: faults of one kind are counted together; "": `reason`.

    Example:
        fault = tfkafka.Fault(3, "label: is none of the classes: b'muon'", "is none of the classes")
    """

    index: int
    reason: str
    kind: str = ""

    def __post_init__(self) -> None:
        # They become lines, and headers of dead letters: Kafka's client ends those at a null byte,
        # and refuses what UTF-8 cannot encode.
        object.__setattr__(self, "reason", printable(str(self.reason)))
        object.__setattr__(self, "kind", printable(str(self.kind)))

    @classmethod
    def of(cls, index: int, kind: str, value: bytes = b"") -> Fault:
        """Return a fault whose reason quotes the beginning of a wrong value."""
        return cls(index, f"{kind}: {value[:QUOTED_LENGTH]!r}" if value else kind, kind)


@dataclass(frozen=True)
class Decoded:
    """A decoded chunk.

    Attributes:
        arrays: as `element_spec` says, each [m, ...]: one row for each record that was decoded.
        kept: int64 [m], the indices of these records in the chunk, ascending.
        faults: the other records.
        absent: the fields that none of the records has, and that got another value: a misspelt name
            is one of them.

    Example:
        bad = tfkafka.Fault(1, "is empty")
        decoded = tfkafka.Decoded((np.array([1.5, 2.5]),), np.array([0, 2]), (bad,))
    """

    arrays: tuple[Arrays, ...]
    kept: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()
    absent: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        arrays: tuple[Arrays, ...],
        count: int,
        faults: Mapping[int, Fault],
        absent: frozenset[str] = frozenset(),
    ) -> Decoded:
        """Return a decoded chunk of `count` records, without those that have a fault.

        Args:
            arrays: each [count, ...]; what they have for a record with a fault does not matter.
            faults: the faults, by their indices.
            absent: see the class.
        """
        if not faults:
            return cls(arrays, np.arange(count), (), absent)
        kept = np.delete(np.arange(count), sorted(faults))
        found = tuple(faults[index] for index in sorted(faults))
        return cls(map_arrays(lambda array: array[kept], arrays), kept, found, absent)

    def records(self, chunk: Chunk) -> Chunk:
        """Return the records of the chunk that were decoded."""
        return chunk.select(self.kept) if self.faults else chunk


@runtime_checkable
class Decoder(Protocol):
    """Turns records into arrays. Any class with these two members is a decoder.

    One that uses the records' headers has `needs_headers = True` too.

    Example:
        class LengthDecoder:
            # The length of each value.
            element_spec = (tfkafka.ArraySpec((), np.dtype(np.int64)),)

            def decode(self, chunk):
                lengths = np.array([len(value or b"") for value in chunk.values.entries])
                return tfkafka.Decoded((lengths,), np.arange(len(chunk)))


        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", decode=LengthDecoder()
        )
    """

    @property
    def element_spec(self) -> tuple[Spec, ...]:
        """The specs of the arrays: features, label, sample weight; the last two may be missing."""

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""


def map_arrays(
    function: Callable[[NDArray[Any]], NDArray[Any]], arrays: tuple[Arrays, ...]
) -> tuple[Arrays, ...]:
    """Return the results of a function for each array, in the same structure."""
    return tuple(
        {name: function(array) for name, array in each.items()}
        if isinstance(each, Mapping)
        else function(each)
        for each in arrays
    )


def among_others(decoded: Decoded, rows: NDArray[np.int64], faults: Iterable[Fault]) -> Decoded:
    """Return what was decoded of some records of a chunk as that of all of them.

    Args:
        decoded: what was decoded of some records.
        rows: int64 [n], their indices in the chunk, ascending.
        faults: the faults of the other records.
    """
    moved = [replace(fault, index=int(rows[fault.index])) for fault in decoded.faults]
    ordered = sorted([*moved, *faults], key=lambda fault: fault.index)
    return Decoded(decoded.arrays, rows[decoded.kept], tuple(ordered), decoded.absent)


def needs_headers(decoder: Decoder | None) -> bool:
    """Return whether a decoder uses the records' headers."""
    return bool(getattr(decoder, "needs_headers", False))


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
    spec = decode.element_spec
    is_tuple = isinstance(spec, tuple) and 1 <= len(spec) <= len(_PARTS)
    if not is_tuple or not all(map(_is_spec, spec)):
        raise TypeError(
            f"decode: element_spec of {type(decode).__name__} is {arguments.shown(spec)}, must be "
            f"a tuple of an ArraySpec, or a dict of them, for features, label and sample weight"
        )


def decode_checked(decoder: Decoder, chunk: Chunk) -> Decoded:
    """Decode a chunk, and check the result, which may be of a decoder that is not tfkafka's.

    Raises TypeError where it is not what the decoder's `element_spec` says, and ValueError where it
    does not have each record of the chunk once.
    """
    decoded = decoder.decode(chunk)
    who = f"decode of {type(decoder).__name__} returned"
    if not isinstance(decoded, Decoded):
        raise TypeError(f"{who} {arguments.shown(decoded)}, must be a Decoded")
    _check_records(who, decoded, len(chunk))
    specs, arrays = decoder.element_spec, decoded.arrays
    if not isinstance(arrays, tuple) or len(arrays) != len(specs):
        count = f"{len(arrays)} arrays" if isinstance(arrays, tuple) else arguments.shown(arrays)
        raise TypeError(f"{who} {count}, must be a tuple of {len(specs)}, as element_spec says")
    for part, spec, array in zip(_PARTS, specs, arrays, strict=False):
        if not isinstance(spec, Mapping):
            _check_array(f"{who} for the {part}", spec, array, len(decoded.kept))
            continue
        if not isinstance(array, Mapping) or array.keys() != spec.keys():
            found = sorted(array) if isinstance(array, Mapping) else arguments.shown(array)
            raise TypeError(
                f"{who} for the {part} {found}, must be a dict of the arrays {sorted(spec)}, as "
                f"element_spec says"
            )
        for name, each in spec.items():
            _check_array(f"{who} for the {part} {name!r}", each, array[name], len(decoded.kept))
    return decoded


def _is_spec(spec: object) -> bool:
    if isinstance(spec, Mapping):
        return bool(spec) and all(
            isinstance(name, str) and isinstance(each, ArraySpec) for name, each in spec.items()
        )
    return isinstance(spec, ArraySpec)


def _check_records(who: str, decoded: Decoded, count: int) -> None:
    kept = np.asarray(decoded.kept)
    if kept.ndim == 1 and kept.dtype.kind == "i":
        every = np.concatenate([kept, np.array([each.index for each in decoded.faults], np.int64)])
        if decoded.faults:
            every.sort()
        if np.array_equal(every, np.arange(count)) and (np.diff(kept) > 0).all():
            return
    raise ValueError(
        f"{who} {kept.size:,} records as kept and {len(decoded.faults):,} faults, must be the "
        f"indices of all {count:,} records of the chunk, each of them once, kept ascending"
    )


def _check_array(what: str, spec: ArraySpec, array: object, rows: int) -> None:
    shape = (rows, *spec.shape)
    if isinstance(array, np.ndarray):
        are_strings = array.dtype.kind in _STRINGS and spec.dtype.kind in _STRINGS
        if array.shape == shape and (array.dtype == spec.dtype or are_strings):
            return
        found = f"{array.dtype} {list(array.shape)}"
    else:
        found = arguments.shown(array)
    raise TypeError(
        f"{what} {found}, must be an array {spec.dtype} {list(shape)}: element_spec says "
        f"{spec.dtype} {list(spec.shape)} for each of {rows:,} records"
    )
