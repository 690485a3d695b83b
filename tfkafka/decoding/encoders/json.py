"""JSON objects, one a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, get_args

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import as_columns, rows
from tfkafka.chunk import Column
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Spec
from tfkafka.decoding.encoders.base import (
    described,
    refuse_no_texts,
    refuse_not_finite,
    spec_of,
)
from tfkafka.decoding.encoders.json_objects import parse_objects
from tfkafka.decoding.polars_threads import refuse_lost_threads
from tfkafka.decoding.sources import DTYPES, DType, checked_names

PREDICTION, CLASS, PROBABILITIES = "prediction", "class", "probabilities"
# The name of an array whose columns have names.
_WHOLE = ""
Nan = Literal["refuse", "null"]


@dataclass(frozen=True)
class JsonEncoder:
    """A JSON object a record. Numbers are the shortest text that is parsed to the same number.

    What a record is depends on the columns:

    - a dict of arrays, not of "prediction" alone: `{"mass": 1.5, "charge": [0.5, 1.0]}`
    - an array [n, len(names)]: `{"px": 0.5, "py": 1.0}`
    - probabilities [n, len(classes)]: `{"class": "b", "probabilities": {"a": 0.25, "b": 0.75}}`
    - another array: `{"prediction": 1.5}`, or a list of numbers

    Args:
        names: the names of an array's columns.
        classes: the names of classes. With two of them, an array [n] or [n, 1] has the
            probabilities of the second. They are read back as [n, len(classes)].
        nan: what is written for nan: "refuse" raises ValueError; "null", which is read as nan.
        dtype: the type that numbers are read as: "float32", "float64", "int32" or "int64"; or a
            dict from the names of arrays to their types, float32 for the others. What is written
            has the type of the array.

    Example:
        encoder = tfkafka.JsonEncoder(classes=["background", "signal"])
        (value,) = encoder.encode(np.array([0.75], np.float32))
        assert json.loads(value)["class"] == "signal"
    """

    names: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    nan: Nan = "refuse"
    dtype: DType | Mapping[str, DType] = "float32"

    def __post_init__(self) -> None:
        for what, least in (("names", 1), ("classes", 2)):
            given = getattr(self, what)
            if given is not None:
                names = checked_names(f"JsonEncoder: {what}", given, least)
                object.__setattr__(self, what, names)
        if self.names is not None and self.classes is not None:
            raise ValueError(
                f"JsonEncoder: names is {arguments.shown(self.names)}, and classes is given too: "
                f"give one of them"
            )
        arguments.choice("JsonEncoder: nan", self.nan, get_args(Nan))
        if isinstance(self.dtype, Mapping) and (self.names or self.classes):
            raise ValueError(
                f"JsonEncoder: dtype is {arguments.shown(self.dtype)}, must be one type where "
                f"names= or classes= is given"
            )
        if isinstance(self.dtype, Mapping):
            arguments.mapping("JsonEncoder: dtype", self.dtype)
            object.__setattr__(self, "dtype", dict(self.dtype))
            for name, dtype in self.dtype.items():
                arguments.choice(f"JsonEncoder: dtype of {name!r}", dtype, DTYPES)
        else:
            # With classes, the numbers are probabilities.
            floats = tuple(dtype for dtype in DTYPES if dtype.startswith("float"))
            right = DTYPES if self.classes is None else floats
            arguments.choice("JsonEncoder: dtype", self.dtype, right)

    @property
    def allows_nan(self) -> bool:
        """Whether nan can be written."""
        return self.nan == "null"

    @property
    def writes_probabilities(self) -> bool:
        """Whether the numbers must be probabilities."""
        return self.classes is not None

    def encode(self, columns: Arrays) -> list[bytes]:
        """Return one value for each row. Raises ValueError where a number cannot be written."""
        return self._encode_column(columns).entries.tolist()  # type: ignore[no-any-return]

    def _encode_column(self, columns: Arrays) -> Column:
        """Return what `encode` returns, in one buffer."""
        columns = as_columns("JsonEncoder: columns", columns)
        self.check(spec_of(columns))
        refuse_not_finite(columns, self.allows_nan)
        if not rows(columns):
            return Column.of([], 0)
        refuse_lost_threads("JsonEncoder")
        text = BytesIO()
        self._frame(columns).write_ndjson(text)
        lines = np.frombuffer(text.getvalue(), np.uint8)
        # A line end within a text is written as \n.
        is_end = lines == ord("\n")
        lengths = np.diff(np.flatnonzero(is_end), prepend=-1) - 1
        return Column.of_lengths(lines[~is_end], lengths)

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Return the columns, and the values that are not like most others as faults."""
        refuse_lost_threads("JsonEncoder")
        arrays, faults = parse_objects(values, self._members, self.allows_nan, self._dtype_of)
        is_one = not arrays or list(arrays) in ([_WHOLE], [PREDICTION])
        columns = next(iter(arrays.values()), np.zeros(len(values), np.float32))
        return Decoded.of((columns if is_one else arrays,), len(values), faults)

    def check(self, spec: Spec) -> None:
        """Raise ValueError where JSON cannot hold the arrays, or the names do not fit them."""
        if isinstance(spec, Mapping):
            _check_names(spec)
        for name, each in _arrays(spec).items():
            if not _is_writable(each):
                what = "numbers, booleans or texts of one shape that is not empty"
                raise _error(each, what, name)
        count = len(self.names or self.classes or ())
        if count and isinstance(spec, Mapping):
            raise _error(spec, "one array where names= or classes= is given")
        if isinstance(spec, Mapping):
            return
        if self.names is not None and (spec.shape or (1,))[0] != count:
            raise _error(spec, f"an array [n, {count}], since names= has {count} names")
        of_two: list[tuple[int, ...]] = [(), (1,)] if count == 2 else []
        if self.classes is not None and (
            spec.shape not in [(count,), *of_two] or spec.dtype.kind != "f"
        ):
            raise _error(spec, f"probabilities [n, {count}], since classes= has {count} names")

    def _frame(self, columns: Arrays) -> polars.DataFrame:
        """Return what is written: a column for each field of the objects."""
        if isinstance(columns, Mapping):
            return polars.DataFrame([_series(name, array) for name, array in columns.items()])
        if self.classes is not None:
            return _classes(self.classes, columns)
        if self.names is None:
            return polars.DataFrame([_series(PREDICTION, columns)])
        matrix = columns if columns.ndim > 1 else columns[:, np.newaxis]
        return polars.DataFrame([_series(name, matrix[:, i]) for i, name in enumerate(self.names)])

    def _members(self, found: dict[str, Any]) -> Mapping[str, Any]:
        """Return the fields of an object that are read. Raises ValueError where one is missing."""
        names = self.names
        if self.classes is not None:
            names, found = self.classes, found.get(PROBABILITIES, {})
            if not isinstance(found, dict):
                raise ValueError(f'field "{PROBABILITIES}" is not an object')
        if names is None:
            if not found:
                raise ValueError("has no fields")
            if _WHOLE in found:
                raise ValueError("has a field without a name")
            return found
        for name in names:
            if name not in found:
                raise ValueError(f'field "{name}" is missing')
        return {_WHOLE: [found[name] for name in names]}

    def _dtype_of(self, name: str) -> str:
        return self.dtype if isinstance(self.dtype, str) else self.dtype.get(name, "float32")


def _is_writable(spec: ArraySpec) -> bool:
    """Return whether JSON can hold an array."""
    kind, has_values = spec.dtype.kind, min(spec.shape, default=1) > 0
    return has_values and (kind in "iubUO" or (kind == "f" and spec.dtype.itemsize <= 8))


def _classes(classes: Sequence[str], array: NDArray[Any]) -> polars.DataFrame:
    """Return the classes of probabilities [n, len(classes)], or [n] or [n, 1] of the second."""
    matrix = array.reshape(len(array), -1)
    if matrix.shape[1] == 1:
        matrix = np.concatenate([1 - matrix, matrix], axis=1)
    names = [
        None if is_unknown else classes[number]
        for number, is_unknown in zip(
            matrix.argmax(axis=1).tolist(), np.isnan(matrix).any(axis=1).tolist(), strict=True
        )
    ]
    each = polars.DataFrame([_series(name, matrix[:, i]) for i, name in enumerate(classes)])
    return polars.DataFrame(
        [polars.Series(CLASS, names, polars.String), each.to_struct(PROBABILITIES)]
    )


def _series(name: str, array: NDArray[Any]) -> polars.Series:
    """Return a column. Raises ValueError where an entry is neither a number nor a text."""
    if array.dtype.kind in "UO":
        refuse_no_texts(name, array)
        dtype: Any = polars.String()
        for _ in range(array.ndim - 1):
            dtype = polars.List(dtype)
        return polars.Series(name, array.tolist(), dtype)
    # polars has neither numbers of the other byte order nor, in all its versions, float16.
    is_half = array.dtype.kind == "f" and array.dtype.itemsize == 2
    dtype = np.float32 if is_half else array.dtype.newbyteorder("=")
    return polars.Series(name, np.ascontiguousarray(array, dtype))


def _arrays(spec: Spec) -> Mapping[str, ArraySpec]:
    """Return the specs of arrays by their names; one alone has the name ""."""
    return spec if isinstance(spec, Mapping) else {_WHOLE: spec}


def _check_names(spec: Mapping[str, ArraySpec]) -> None:
    """Raise ValueError where the names would not be read back."""
    if not spec or _WHOLE in spec:
        raise _error(spec, "arrays that have names, at least one")
    if list(spec) == [PREDICTION]:
        raise _error(
            spec,
            f"the array itself, or have another name: a single {PREDICTION!r} is read as an array",
        )


def _error(spec: Spec, what: str, name: str = "") -> ValueError:
    title = f"column {name!r}: " if name else ""
    return ValueError(f"{title}{described(spec)} is not what JsonEncoder writes: it must be {what}")
