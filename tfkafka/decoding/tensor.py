"""Decoding of the raw bytes of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded, Fault, among_others
from tfkafka.decoding.plan import DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Header, Key, checked_shape
from tfkafka.decoding.targets import WithTargets

# The largest value that Kafka's protocol can carry, in bytes.
LARGEST_SIZE = 2**31 - 1
_NAMES = (
    *("bool", "float16", "float32", "float64", "complex64", "complex128"),
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
)


def _dtypes() -> dict[str, np.dtype[Any]]:
    """Return the types that numbers may be stored as, by all of their names."""
    found: dict[str, np.dtype[Any]] = {}
    for name in _NAMES:
        little = np.dtype(name).newbyteorder("<")
        code = little.str[1:]
        found |= {name: little, code: little, f"<{code}": little, little.str: little}
        found[f">{code}"] = little.newbyteorder(">")
    return found


_DTYPES = _dtypes()


@dataclass(frozen=True)
class TensorDecoder(WithTargets):
    """A decoder for values that are the bytes of an array, as NumPy's `tobytes()` writes them.

    Args:
        shape: the shape of the array; (): one number.
        dtype: the type of its numbers by NumPy's name, "bool" or for example "float32", "<f4" or
            ">f4"; little-endian where the name does not say it.
        label: "key" takes the label from the record's key, a number as text; `Key` and `Header`
            have its type; None: no label.
        finite: True: a record with nan or inf cannot be decoded; False: it is decoded; None:
            `tfkafka.online` and `tfkafka.exactly_once` take it as True, datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.

    Example:
        image = np.zeros((28, 28), np.float32)
        tfkafka.write("localhost:9092", "arrays", [image.tobytes()])
        dataset = tfkafka.KafkaDataset(
            "arrays", servers="localhost:9092", decode=tfkafka.TensorDecoder((28, 28))
        )
        for image in dataset:  # float32 [28, 28]
            print(image.shape)
    """

    shape: Sequence[int]
    dtype: str = "float32"
    label: Literal["key"] | Key | Header | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | None = None

    def __post_init__(self) -> None:
        what = f'one of {", ".join(_NAMES)}, or for example "<f4" or ">f4"'
        arguments.choice("TensorDecoder: dtype", self.dtype, _DTYPES.keys(), what)
        object.__setattr__(self, "shape", checked_shape("TensorDecoder: shape", self.shape))
        if self._size > LARGEST_SIZE:
            raise ValueError(
                f"TensorDecoder: shape is {arguments.shown(self.shape)}: {self._size:,} bytes, "
                f"must be at most {LARGEST_SIZE:,}, the largest record of Kafka"
            )
        self._check_targets()
        self._refuse_weight_alone()
        arguments.optional(arguments.flag, "TensorDecoder: finite", self.finite)

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """`dtype` of `shape`, and the label and the sample weight, [], where there are any."""
        return (
            ArraySpec(tuple(self.shape), self._stored.newbyteorder("=")),
            *(source.spec for source in self._targets.values()),
        )

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        rows = chunk.values.matrix(self._size)
        if rows is None:
            wrong = self._wrong_sizes(chunk.values.entries.tolist())
            right = np.delete(np.arange(len(chunk)), [fault.index for fault in wrong])
            return among_others(self.decode(chunk.select(right)), right, wrong)
        features, faults = self._features(rows)
        targets, others = self._outside(chunk, self.finite)
        return Decoded.of((features, *targets.values()), len(chunk), others | faults)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data."""
        field = FieldPlan("value", None, self._stored.str, tuple(self.shape))
        label, weight = self._target_plans()
        return DecoderPlan("tensor", (field,), "array", label, weight, self.finite)

    @property
    def _stored(self) -> np.dtype[Any]:
        return _DTYPES[self.dtype]

    @cached_property
    def _size(self) -> int:
        return math.prod(self.shape) * self._stored.itemsize

    def _features(self, rows: NDArray[np.uint8]) -> tuple[NDArray[Any], dict[int, Fault]]:
        """Return the arrays, [n, *shape], and the faults by the indices of their records."""
        array: NDArray[Any] = rows.view(self._stored).reshape(-1, *self.shape)
        if self._stored.kind == "b":
            content = rows.reshape(array.shape)
            return array, _faults(content, content <= 1, "is neither 0 nor 1")
        array = array.astype(self._stored.newbyteorder("="), copy=False)
        if self.finite and self._stored.kind in "fc":
            wrong = f"is not finite as {array.dtype.name}"
            return array, _faults(array, np.isfinite(array), wrong)
        return array, {}

    def _wrong_sizes(self, entries: list[bytes | None]) -> list[Fault]:
        return [
            Fault.of(index, "is null")
            if each is None
            else Fault.of(index, f"has {len(each)} bytes instead of {self._size}")
            for index, each in enumerate(entries)
            if each is None or len(each) != self._size
        ]


def _faults(array: NDArray[Any], is_right: NDArray[np.bool_], wrong: str) -> dict[int, Fault]:
    """Return a fault for each record that has a wrong number: the first one is named."""
    if is_right.all():
        return {}
    faults = {}
    for index in np.flatnonzero(~is_right.reshape(len(array), -1).all(axis=1)).tolist():
        place = np.unravel_index(int(np.argmin(is_right[index])), is_right[index].shape)
        named = f"value {[int(each) for each in place]}" if place else "the value"
        value = str(array[index][place]).encode()
        faults[index] = Fault.of(index, f"{named} {wrong}", value)
    return faults
