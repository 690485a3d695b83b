"""The values of one record's fields, from Python's objects to arrays: dicts, lists, numbers, text.

Decoders that parse whole chunks read records that are odd in this way, one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.nested_fields import NestedField, Tree
from tfkafka.decoding.sources import quoted

_KINDS = {str: "text", bool: "true or false", list: "an array", bytes: "bytes"}


class WrongRecord(Exception):
    """A record that cannot be decoded.

    Attributes:
        kind: the reason.
        value: what is wrong, or b"".
    """

    def __init__(self, kind: str, value: bytes = b""):
        super().__init__(kind)
        self.kind, self.value = kind, value


class Repeating(dict[str, Any]):
    """An object in which names occur more than once.

    Attributes:
        repeated: these names.
    """

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}


def values_of(
    record: dict[str, Any],
    tree: Tree,
    fields: Sequence[NestedField],
    finite: bool | None,
    seen: set[str],
) -> list[NDArray[Any]]:
    """Return the value of each field, [size], and add the titles of those there are to `seen`.

    Raises WrongRecord where a value is missing or wrong.
    """
    found: list[Any] = [None] * len(fields)
    _collect(record, tree, fields, (), found)
    pairs = list(zip(fields, found, strict=True))
    arrays = [array_of(field, value, finite) for field, value in pairs]
    seen.update(field.title for field, value in pairs if value is not None)
    return arrays


def _collect(
    record: dict[str, Any],
    tree: Tree,
    fields: Sequence[NestedField],
    path: tuple[str, ...],
    found: list[Any],
) -> None:
    """Put the values of an object's fields, and of the objects in it, into `found`."""
    for name, below in tree.items():
        value = record.get(name)
        place = (*path, name)
        title = f"field {quoted('.'.join(place))}"
        if isinstance(below, int):
            title = fields[below].title
        if isinstance(record, Repeating) and name in record.repeated:
            raise WrongRecord(f"{title} occurs more than once")
        if isinstance(below, int):
            if value is None and fields[below].fill is None:
                raise WrongRecord(f"{title} is {'null' if name in record else 'missing'}")
            found[below] = value
        elif value is None or isinstance(value, dict):
            _collect({} if value is None else value, below, fields, place, found)
        else:
            raise WrongRecord(f"{title} is {kind_of(value)}, not an object", shown(value))


def array_of(field: NestedField, value: Any, finite: bool | None) -> NDArray[Any]:
    """Return the value of a field, [size]. Raises WrongRecord where it is wrong."""
    items = _flat(field, value, field.spec.shape)
    is_missing = np.array([item is None for item in items])
    if field.fill is None and is_missing.any():
        _refuse(field, "has null in an array")
    numbers = [0 if item is None else _item(field, item) for item in items]
    # A nan of Avro that signals is a nan, too.
    with np.errstate(over="ignore", invalid="ignore"):
        # Python's floats are float64.
        array = np.array(numbers, np.float64 if field.dtype.kind == "f" else field.dtype)
        array = array.astype(field.dtype)
    if finite and field.dtype.kind == "f":
        for item, number in zip(items, array, strict=True):
            if not np.isfinite(number):
                _refuse(field, f"is not finite as {field.dtype.name}", item)
    array = array.astype(field.into)
    if field.fill is not None:
        array[is_missing] = field.fill
    return array


def _flat(field: NestedField, value: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return the values in nested arrays, in their order."""
    if not shape:
        return [value]
    if value is None and shape == field.spec.shape:
        return [None] * int(np.prod(shape))
    if not isinstance(value, list) or len(value) != shape[0]:
        _refuse(field, f"is not an array of shape {field.spec.shape}", value)
    return [item for each in value for item in _flat(field, each, shape[1:])]


def _item(field: NestedField, value: Any) -> float:
    """Return a number or the index of a class."""
    if field.index_of is not None:
        if not isinstance(value, str):
            what = f"is {kind_of(value)}, not the name of a class{_advice(field, value)}"
            _refuse(field, what, value)
        if value not in field.index_of:
            _refuse(field, "is none of the classes", value)
        return field.index_of[value]
    if not isinstance(value, bool | int | float):
        _refuse(field, f"is {kind_of(value)}, not a number{_advice(field, value)}", value)
    return _whole(field, value) if field.dtype.kind == "i" else _double(value)


def _advice(field: NestedField, value: Any) -> str:
    is_array = isinstance(value, list) and not field.spec.shape
    return "; for an array give Field(name, shape=)" if is_array else ""


def _whole(field: NestedField, value: float) -> int:
    """Return a number of a whole number's type; 1.0 is whole, too."""
    if isinstance(value, float) and not value.is_integer():
        _refuse(field, "is not a whole number", value)
    limits = np.iinfo(field.dtype)
    if not limits.min <= value <= limits.max:
        _refuse(field, f"is beyond {field.dtype.name}", value)
    return int(value)


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _refuse(field: NestedField, what: str, value: Any = None) -> NoReturn:
    raise WrongRecord(f"{field.title} {what}", b"" if value is None else shown(value))


def kind_of(value: Any) -> str:
    """Return what a value is, in words."""
    if isinstance(value, dict):
        return "an object"
    return "null" if value is None else _KINDS.get(type(value), "a number")


def shown(value: Any) -> bytes:
    """Return the JSON of a value, or its bytes; b"" for one that has others in it."""
    if value is None or isinstance(value, dict | list):
        return b""
    return value if isinstance(value, bytes) else json.dumps(value).encode()
