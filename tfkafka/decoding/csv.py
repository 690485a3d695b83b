"""Decoding of CSV records to float32 matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded, Fault
from tfkafka.decoding.numbers import FLOAT32, explain, parse_rows, tidy
from tfkafka.decoding.sources import Header, Key, Source
from tfkafka.decoding.targets import check_source, outside, refuse_weight_alone, targets_of

LARGEST_COLUMNS = 2**31 - 1


@dataclass(frozen=True)
class CsvDecoder:
    """A decoder for values of `columns` comma-separated decimal numbers.

    Numbers may be in double quotes, with blanks around them, and a line end may follow the last.

    Args:
        columns: the number of columns in each value.
        label: "key" takes the label from the record's key, a number as text; `Key` and `Header`
            have its type; None: no label.
        finite: True: a record with nan, inf or a number too large for float32 cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.

    Example:
        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", decode=tfkafka.CsvDecoder(18, label="key")
        )
        for features, label in dataset.take(1):  # float32 [18], float32 []
            print(features, label)
    """

    columns: int
    label: Literal["key"] | Key | Header | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | None = None

    def __post_init__(self) -> None:
        columns = arguments.whole_number("CsvDecoder: columns", self.columns, 1, LARGEST_COLUMNS)
        # As an int, which a manifest can hold, also where it was one of NumPy's.
        object.__setattr__(self, "columns", columns)
        for name in ("label", "sample_weight"):
            check_source(f"CsvDecoder: {name}", getattr(self, name))
        refuse_weight_alone("CsvDecoder", self.label, self.sample_weight)
        arguments.optional(arguments.flag, "CsvDecoder: finite", self.finite)

    @property
    def element_spec(self) -> tuple[ArraySpec, ...]:
        """float32 [columns], and the label and the sample weight, [], where there are any."""
        return (
            ArraySpec((self.columns,), FLOAT32),
            *(source.spec for source in self._targets.values()),
        )

    @property
    def needs_headers(self) -> bool:
        """Whether a label or weight is in a header."""
        return any(isinstance(source, Header) for source in self._targets.values())

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        features, faults = self._features(chunk.values.entries)
        arrays: tuple[NDArray[Any], ...] = (features,)
        for what, source in self._targets.items():
            array, others = outside(chunk, what, source, self.finite)
            arrays += (array,)
            faults = others | faults
        return Decoded.of(arrays, len(chunk), faults)

    @property
    def _targets(self) -> dict[str, Source]:
        return targets_of(self.label, self.sample_weight)

    def _features(self, rows: NDArray[np.object_]) -> tuple[NDArray[np.float32], dict[int, Fault]]:
        """Return float32 [n, columns], and the faults by the indices of their rows."""
        matrix, bad = parse_rows(rows, self.columns)
        faults = {index: Fault.of(index, *explain(rows[index], self.columns)) for index in bad}
        if self.finite and not (is_finite := np.isfinite(matrix)).all():
            for index in np.flatnonzero(~is_finite.all(axis=1)).tolist():
                column = int(np.argmin(is_finite[index]))
                field = tidy(rows[index]).split(b",")[column]
                faults[index] = Fault.of(
                    index, f"column {column + 1} is not finite as float32", field
                )
        return matrix, faults
