"""An encoder of two functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tfkafka._util import arguments
from tfkafka._util.columns import as_columns, joined, rows
from tfkafka.decoding.base import Arrays, Decoded, Fault, Spec
from tfkafka.decoding.functions import fault_of
from tfkafka.decoding.halving import call_in_parts


class FunctionEncoder:
    """An encoder of two functions.

    Args:
        encode: from columns, an array [n, ...] or a dict of them, to a list of n bytes.
        decode: from a list of n bytes to such columns. Where it raises, the list is halved until
            the values that cannot be decoded are alone: these are faults.

    Example:
        encoder = tfkafka.FunctionEncoder(
            encode=lambda columns: [b"%d" % number for number in columns],
            decode=lambda values: np.array([int(value) for value in values]),
        )
        assert encoder.decode([b"7", b"x"]).faults[0].index == 1
    """

    def __init__(
        self,
        encode: Callable[[Arrays], list[bytes]],
        decode: Callable[[list[bytes]], Arrays],
    ):
        arguments.function("encode", encode)
        arguments.function("decode", decode)
        self._encode, self._decode = encode, decode

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row."""
        return self._encode(columns)

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return columns, and the values that are null or that the function refuses as faults."""
        faults = {i: Fault.of(i, "is null") for i, value in enumerate(values) if value is None}
        places = [index for index, value in enumerate(values) if value is not None]
        wanted = [value for value in values if value is not None]
        parts, errors = call_in_parts(self._decode, wanted, self._checked)
        for bad, error in errors.items():
            faults[places[bad]] = fault_of(places[bad], error)
        found = joined(parts or [np.zeros(0)])
        kept = np.delete(np.arange(len(values)), sorted(faults))
        return Decoded((found,), kept, tuple(faults[index] for index in sorted(faults)))

    def check(self, spec: Spec) -> None:
        """Accept everything: what the functions can write is not known."""

    def _checked(self, part: object, count: int) -> Arrays:
        found = as_columns("what decode returned", part)
        if rows(found) != count:
            raise ValueError(
                f"FunctionEncoder: decode returned {rows(found):,} rows for {count:,} values"
            )
        return found
