"""The fields of an `ExampleDecoder`: what becomes of the features that they are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.base import Fault
from tfkafka.decoding.example_columns import Feature
from tfkafka.decoding.missing import OnMissing
from tfkafka.decoding.sources import Field


@dataclass(frozen=True)
class Asked:
    """A field that is asked for.

    Attributes:
        field: the field.
        dtype: the type that it becomes.
        put: what becomes of a missing one.
        prefix: what it is, for reasons, for example "label: "; "" for a feature.
    """

    field: Field
    dtype: np.dtype[Any]
    put: OnMissing
    prefix: str = ""

    @property
    def named(self) -> str:
        """What a reason calls it."""
        return f'{self.prefix}field "{self.field.name}"'


def column(
    asked: Asked, feature: Feature, finite: bool | None, faults: dict[int, Fault]
) -> NDArray[Any]:
    """Return a field of all records, [n, *shape], and note the faults by their indices."""
    present = np.flatnonzero(~feature.is_missing)
    values, is_right, wrong = _converted(asked.field, feature.values, finite)
    for row in np.flatnonzero(~is_right.all(axis=1)).tolist():
        index, place = int(present[row]), int(np.argmin(is_right[row]))
        where = f", value {place + 1}," if asked.field.shape else ""
        found = feature.values[row, place]
        quoted = found if isinstance(found, bytes) else str(found).encode()
        faults.setdefault(index, Fault.of(index, f"{asked.named}{where} {wrong}", quoted))
    values = values.astype(asked.dtype, copy=False)
    if len(present) < len(feature.is_missing):
        given, values = values, np.zeros((len(feature.is_missing), asked.field.size), asked.dtype)
        values[present] = given
        if asked.put == "bad":
            for index in np.flatnonzero(feature.is_missing).tolist():
                faults.setdefault(index, Fault.of(index, f"{asked.named} is missing"))
        else:
            values[feature.is_missing] = float(asked.put)
    return values.reshape(-1, *asked.field.shape)


def _converted(
    field: Field, values: NDArray[Any], finite: bool | None
) -> tuple[NDArray[Any], NDArray[np.bool_], str]:
    """Return values as numbers, whether each is right, and what is wrong where one is not."""
    if field.classes is not None:
        index_of = field.index_of
        indices = [index_of.get(text, -1) for text in values.ravel().tolist()]
        numbers = np.array(indices, np.int64).reshape(values.shape)
        return numbers, numbers >= 0, "is none of the classes"
    if values.dtype.kind == "f":
        is_right = np.isfinite(values) if finite else np.ones(values.shape, np.bool_)
        return values, is_right, "is not finite as float32"
    limits = np.iinfo(field.spec.dtype)
    is_right = (limits.min <= values) & (values <= limits.max)
    return values, is_right, f"is beyond {field.spec.dtype.name}"
