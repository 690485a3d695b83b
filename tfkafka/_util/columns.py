"""Columns: one array, or several by their names, each with one row for each record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments

Columns: TypeAlias = NDArray[Any] | Mapping[str, NDArray[Any]]

_WHAT = "columns: a NumPy array [n, ...], a dict of arrays, or a DataFrame of pandas or polars"


@runtime_checkable
class ColumnEncoder(Protocol):
    """What writes columns as values: see `tfkafka.Encoder`."""

    def encode(self, columns: Columns) -> list[bytes]:
        """Return one value for each row."""


class Frame(Protocol):
    """A table of pandas or polars."""

    @property
    def columns(self) -> Any:
        """The names of its columns."""

    def __getitem__(self, name: Any, /) -> Any:
        """Return a column."""


class RowError(ValueError):
    """A row of columns cannot be encoded.

    Attributes:
        index: its number, from 0.
        what: what is wrong with it.
    """

    def __init__(self, index: int, what: str):
        super().__init__(f"record {index} (from 0) is {what}")
        self.index = index
        self.what = what


def named(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return the arrays by their names; one array alone has the name ""."""
    return dict(columns) if isinstance(columns, Mapping) else {"": columns}


def rows(columns: Columns) -> int:
    """Return the number of rows. Raises ValueError where the arrays differ in it."""
    lengths = {
        name: len(array) if np.ndim(array) else None for name, array in named(columns).items()
    }
    for name, length in lengths.items():
        if length is None:
            raise ValueError(f"{name or 'the array'} is one value, must have one row a record")
    if len(set(lengths.values())) != 1:
        found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValueError(f"columns differ in their numbers of rows: {found or 'there are none'}")
    return next(iter(lengths.values())) or 0


def as_columns(name: str, given: object) -> Columns:
    """Return the arrays of an array, of a dict of arrays, or of a DataFrame.

    Args:
        name: the argument's name, for errors.
        given: the argument.
    """
    if isinstance(given, Mapping):
        return _arrays(name, list(given), given)
    if hasattr(given, "columns") and hasattr(given, "__getitem__"):
        return _arrays(name, list(given.columns), given)
    if not hasattr(given, "__array__") or isinstance(given, np.generic):
        raise TypeError(f"{name} is {arguments.shown(given)}, must be {_WHAT}")
    array = as_array(name, given)
    if not array.ndim:
        raise ValueError(f"{name} is {arguments.shown(given)}, must be {_WHAT}")
    return array


def as_array(name: str, given: object) -> NDArray[Any]:
    """Return an array. Raises ValueError where something of it would be lost.

    Args:
        name: what it is, for errors.
        given: an array, or lists of one shape.
    """
    if isinstance(given, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, must have all its values: call its filled()")
    try:
        return np.asarray(given)
    except (ValueError, TypeError, OverflowError):
        what = "an array, or lists that have one shape"
        raise ValueError(f"{name} is {arguments.shown(given)}, must be {what}") from None


def parts(columns: Columns, length: int) -> Iterator[Columns]:
    """Yield columns of at most `length` rows each, without copying."""
    for start in range(0, rows(columns), length):
        yield take(columns, slice(start, start + length))


def joined(columns: Sequence[Columns]) -> Columns:
    """Return several columns as one, in their order. Raises ValueError where they are unlike."""
    kinds = {_kind(each): None for each in columns}
    if len(kinds) > 1:
        first, second, *_ = kinds
        raise ValueError(f"columns differ: {first} and {second}")
    if len(columns) == 1:
        return columns[0]
    tables = [named(each) for each in columns]
    found = {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}
    return found if isinstance(columns[0], Mapping) else found[""]


def take(columns: Columns, index: Any) -> Columns:
    """Return the rows of these numbers."""
    if isinstance(columns, Mapping):
        return {name: array[index] for name, array in columns.items()}
    found: NDArray[Any] = columns[index]
    return found


def _kind(columns: Columns) -> str:
    """Return the names and the shape of each array's rows."""
    return ", ".join(
        f"{name} [{', '.join(map(str, ('n', *array.shape[1:])))}]".lstrip()
        for name, array in sorted(named(columns).items())
    )


def _arrays(name: str, names: Sequence[object], table: Any) -> dict[str, NDArray[Any]]:
    texts = [str(each) for each in names]
    if len(set(texts)) < len(texts) or not texts:
        raise ValueError(f"{name} has the columns {arguments.shown(texts)}, must have different")
    found = {
        arguments.text(f"a column of {name}", text): as_array(
            f"column {text!r} of {name}", table[each]
        )
        for text, each in zip(texts, names, strict=True)
    }
    rows(found)
    return found
