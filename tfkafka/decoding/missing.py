"""Missing values: empty fields of CSV, fields that a record does not have, and nulls."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np

from tfkafka._util import arguments

# What becomes of a missing value: the record is bad, or the value becomes nan or a number.
OnMissing = Literal["bad", "nan"] | float
_CHOICES = ("bad", "nan")


def checked_missing(name: str, given: object) -> Literal["bad", "nan"] | dict[Any, float]:
    """Return what becomes of missing values: "bad", "nan", or a number for each field.

    Args:
        name: the decoder's name and the argument's, for errors.
        given: what the user gave; the keys of a dict are left to the decoder.
    """
    what = '"bad", "nan", or a dict from a field to a number'
    if not isinstance(given, Mapping):
        arguments.choice(name, given, _CHOICES, what)
        return given  # type: ignore[return-value]  # it is one of the choices
    return {key: arguments.finite_float32(f"{name}[{key!r}]", each) for key, each in given.items()}


def on_missing(missing: Literal["bad", "nan"] | Mapping[Any, float], field: Hashable) -> OnMissing:
    """Return what becomes of a field's missing values; one that a dict does not have is "bad"."""
    return missing if isinstance(missing, str) else missing.get(field, "bad")


def first_misfit(
    missing: Literal["bad", "nan"] | Mapping[Any, float], dtypes: Mapping[str, np.dtype[Any]]
) -> str | None:
    """Return the first field whose dtype cannot hold what its missing values become, or None."""
    for field, dtype in dtypes.items():
        put = on_missing(missing, field)
        if put == "bad" or dtype.kind == "f":
            continue
        limits = np.iinfo(dtype)
        if isinstance(put, str) or not put.is_integer() or not limits.min <= put <= limits.max:
            return field
    return None
