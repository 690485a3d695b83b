"""Arrays of one shape, as their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfkafka._util import arguments
from tfkafka._util.columns import as_columns
from tfkafka.chunk import Column
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Fault, Spec
from tfkafka.decoding.encoders.base import described, spec_of
from tfkafka.decoding.sources import DTYPES, DType, checked_shape


@dataclass(frozen=True)
class TensorEncoder:
    """An array of one shape a record, as its little-endian bytes.

    Args:
        dtype: "float32", "float64", "int32" or "int64".
        shape: the shape of one record's array; (): one number.

    Example:
        encoder = tfkafka.TensorEncoder("float32", shape=(2,))
        assert encoder.encode(np.array([[0, 1]], np.float32)) == [bytes(4) + b"\\0\\0\\x80?"]
    """

    dtype: DType = "float32"
    shape: Sequence[int] = ()

    def __post_init__(self) -> None:
        arguments.choice("TensorEncoder: dtype", self.dtype, DTYPES)
        object.__setattr__(self, "shape", checked_shape("TensorEncoder: shape", self.shape))

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row."""
        return self._encode_column(columns).entries.tolist()  # type: ignore[no-any-return]

    def _encode_column(self, columns: Arrays) -> Column:
        """Return what `encode` returns, in one buffer."""
        columns = as_columns("TensorEncoder: columns", columns)
        self.check(spec_of(columns))
        array = np.ascontiguousarray(columns, self._little)
        return Column.of_lengths(array.tobytes(), np.full(len(array), self._bytes, np.int64))

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return an array `[m, *shape]`, and the values of another length as faults."""
        faults, length = {}, self._bytes
        for index, value in enumerate(values):
            if value is None:
                faults[index] = Fault.of(index, "is null")
            elif len(value) != length:
                kind = f"has {len(value)} bytes instead of {length}"
                faults[index] = Fault.of(index, kind)
        missing = bytes(length)
        whole = b"".join(missing if i in faults else v or b"" for i, v in enumerate(values))
        array = np.frombuffer(whole, self._little).reshape(len(values), *self.shape)
        return Decoded.of((array.astype(self.dtype),), len(values), faults)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where arrays have another shape, or a dtype that this one cannot hold.

        float32 cannot hold float64 or int64.
        """
        if (
            not isinstance(spec, ArraySpec)
            or spec.shape != self.shape
            or not np.can_cast(spec.dtype, self.dtype, "safe")
        ):
            raise ValueError(
                f"{described(spec)} is not "
                f"{described(ArraySpec(tuple(self.shape), np.dtype(self.dtype)))}, which "
                f"TensorEncoder writes: give its dtype= and shape= other values, or give another "
                f"encoder, for example encoder=JsonEncoder()"
            )

    @property
    def _little(self) -> np.dtype[Any]:
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def _bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self._little.itemsize
