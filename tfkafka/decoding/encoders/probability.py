"""One number a record, as decimal text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka._util.columns import as_columns
from tfkafka.chunk import Column
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Spec
from tfkafka.decoding.encoders.base import described, refuse_not_finite, spec_of
from tfkafka.decoding.numbers import FLOAT32, parse_numbers

# The shapes for one record that are one number.
_ONE = ((), (1,))


@dataclass(frozen=True)
class ProbabilityEncoder:
    """One number a record, as the shortest decimal text that is parsed to the same float32.

    It takes an array [n] or [n, 1] and gives float32 [n] back.

    Example:
        encoder = tfkafka.ProbabilityEncoder()
        assert encoder.encode(np.array([0.1, 1.0], np.float32)) == [b"0.1", b"1.0"]
    """

    writes_probabilities: ClassVar[bool] = True

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row. Raises ValueError where a number is not finite."""
        return self._encode_column(columns).entries.tolist()  # type: ignore[no-any-return]

    def _encode_column(self, columns: Arrays) -> Column:
        """Return what `encode` returns, in one buffer."""
        columns = as_columns("ProbabilityEncoder: columns", columns)
        spec = spec_of(columns)
        # Whole numbers are numbers too.
        if isinstance(spec, Mapping) or spec.shape not in _ONE or spec.dtype.kind not in "fiub":
            raise _error(spec)
        with np.errstate(over="ignore"):
            numbers: NDArray[Any] = np.asarray(columns, np.float32).reshape(-1)
        refuse_not_finite(numbers)
        # polars' functions of texts start its threads, which a forked child loses (seen with 2.1).
        texts = polars.Series(numbers).cast(polars.String).to_list()
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return Column.of_lengths("".join(texts).encode(), lengths)

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return float32 [m], and the values that are not one number as faults."""
        texts = Column.of(values, len(values))
        numbers, faults = parse_numbers(texts, FLOAT32, "prediction")
        return Decoded.of((numbers,), len(texts), faults)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where a record has more than one floating-point number."""
        is_one = isinstance(spec, ArraySpec) and spec.shape in _ONE
        if not is_one or spec.dtype.kind != "f":  # type: ignore[union-attr]  # is_one says so
            raise _error(spec)


def _error(spec: Spec) -> ValueError:
    return ValueError(
        f"{described(spec)} is not one floating-point number a record, which ProbabilityEncoder "
        f"writes: give another encoder, for example encoder=JsonEncoder()"
    )
