"""What all encoders have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import RowError, named, rows
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Spec

# An axis of a spec whose length is not known.
ANY_LENGTH = -1


@runtime_checkable
class Encoder(Protocol):
    """Turns columns into the values of records, and back. Any class with these is an encoder.

    One whose values may be nan has `allows_nan = True` too. One whose values are probabilities has
    `writes_probabilities = True`: an exactly-once job then refuses a Keras model of logits.

    Example:
        class TextEncoder:
            # Numbers with two decimals.
            def encode(self, columns):
                return [b"%.2f" % number for number in columns]

            def decode(self, values):
                numbers = np.array([float(value) for value in values], np.float32)
                return tfkafka.Decoded((numbers,), np.arange(len(values)))

            def check(self, spec):
                if spec.shape:
                    raise ValueError("TextEncoder writes one number a record")


        tfkafka.write("localhost:9092", "predictions", np.array([0.5, 1.25]), encoder=TextEncoder())
    """

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row. Raises ValueError where the columns cannot be written."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return the columns as the only one of `arrays`, and what is none of them as faults."""

    def check(self, spec: Spec) -> None:
        """Raise ValueError, in one line, where columns of this spec cannot be written whole."""


def check_encoder(encoder: object) -> None:
    """Raise TypeError where this is no encoder."""
    what = "an encoder, for example JsonEncoder(): an object with encode(), decode() and check()"
    # A class has these members too, but cannot encode.
    arguments.instance("encoder", None if isinstance(encoder, type) else encoder, Encoder, what)


def spec_of(columns: Arrays) -> Spec:
    """Return the spec of one row of columns."""
    specs = {name: ArraySpec(a.shape[1:], a.dtype) for name, a in named(columns).items()}
    return specs if isinstance(columns, Mapping) else specs[""]


def not_finite(columns: Arrays, allows_nan: bool = False) -> NDArray[np.bool_]:
    """Return which rows have a number that is not finite, bool [n].

    Args:
        allows_nan: whether nan counts as finite.
    """
    arrays = named(columns).values()
    wrong = np.zeros(rows(columns), np.bool_)
    for array in arrays:
        wrong |= _not_finite(array, allows_nan).any(axis=tuple(range(1, array.ndim)))
    return wrong


def refuse_not_finite(columns: Arrays, allows_nan: bool = False) -> None:
    """Raise RowError where a row has a number that is not finite."""
    wrong = not_finite(columns, allows_nan)
    if not wrong.any():
        return
    index = int(np.argmax(wrong))
    for name, array in named(columns).items():
        values = array[index : index + 1].reshape(-1)
        for value in values[_not_finite(values, allows_nan)]:
            raise RowError(
                index,
                f"{value}{name and f' in {name!r}'}, one of {wrong.sum():,} predictions that are "
                f"not finite among {len(wrong):,}",
            )


def _not_finite(array: NDArray[Any], allows_nan: bool) -> NDArray[np.bool_]:
    if array.dtype.kind != "f":
        return np.zeros(array.shape, np.bool_)
    wrong = np.isinf(array) if allows_nan else ~np.isfinite(array)
    return np.asarray(wrong, np.bool_)


def described(spec: Spec) -> str:
    """Return dtypes and shapes, for an error: float32 [n, 2]."""
    if isinstance(spec, Mapping):
        return "{" + ", ".join(f"{name}: {described(each)}" for name, each in spec.items()) + "}"
    lengths = ["any length" if axis == ANY_LENGTH else str(axis) for axis in spec.shape]
    return f"{spec.dtype.name} [{', '.join(['n', *lengths])}]"


def refuse_no_texts(name: str, array: NDArray[Any]) -> None:
    """Raise RowError where an entry of a column is no text; ValueError where UTF-8 has it not."""
    for index, row in enumerate(array.reshape(len(array), -1).tolist()):
        for entry in row:
            if not isinstance(entry, str):
                raise RowError(
                    index,
                    f"{arguments.shown(entry)} in {name!r}, must be text: give numbers as an array "
                    f"of a type of NumPy's numbers",
                )
            arguments.encodable(f"{name}[{index}]", entry)
