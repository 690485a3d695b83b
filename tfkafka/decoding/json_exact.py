"""One JSON record at a time, by Python's own parser: what is right, and what is wrong with others.

Its verdict is the one that counts. polars, which parses whole chunks, only says sooner which
records are surely right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.base import QUOTED_LENGTH
from tfkafka.decoding.json_fields import JsonField, Tree
from tfkafka.decoding.sources import quoted

BLANKS = b" \t\r\n"
# Python refuses to make numbers of more than 4,300 digits. One with this many is beyond all types.
_MOST_DIGITS = 1_000
_KINDS = {str: "text", bool: "true or false", list: "an array"}


class WrongRecord(Exception):
    """A record that cannot be decoded.

    Attributes:
        kind: the reason.
        value: what is wrong, or b"".
    """

    def __init__(self, kind: str, value: bytes = b""):
        super().__init__(kind)
        self.kind, self.value = kind, value


class _Repeating(dict[str, Any]):
    """An object in which names occur more than once.

    Attributes:
        repeated: these names.
    """

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}


def parse(text: bytes | None) -> dict[str, Any]:
    """Return the object that a text is. Raises WrongRecord where it is not exactly one."""
    if text is None:
        raise WrongRecord("is null")
    if not text.strip(BLANKS):
        raise WrongRecord("is empty")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise WrongRecord("is not UTF-8", text[error.start :]) from None
    if decoded.startswith("\ufeff"):
        raise WrongRecord("begins with a byte order mark")
    try:
        found = _PARSER.decode(decoded)
    except json.JSONDecodeError as error:
        what = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
        rest = decoded[error.pos : error.pos + QUOTED_LENGTH].encode()
        raise WrongRecord(f"is not JSON: {what}", rest) from None
    except RecursionError:
        raise WrongRecord("is nested too deeply") from None
    if not isinstance(found, dict):
        raise WrongRecord(f"is {_kind(found)}, not an object", _shown(found))
    return found


def values(
    text: bytes | None,
    tree: Tree,
    fields: Sequence[JsonField],
    finite: bool | None,
    seen: set[str],
) -> list[NDArray[Any]]:
    """Return the value of each field, [size], and add the titles of those there are to `seen`.

    Raises WrongRecord where a value is missing or wrong.
    """
    found: list[Any] = [None] * len(fields)
    _collect(parse(text), tree, fields, (), found)
    pairs = list(zip(fields, found, strict=True))
    arrays = [_array(field, value, finite) for field, value in pairs]
    seen.update(field.title for field, value in pairs if value is not None)
    return arrays


def _collect(
    record: dict[str, Any],
    tree: Tree,
    fields: Sequence[JsonField],
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
        if isinstance(record, _Repeating) and name in record.repeated:
            raise WrongRecord(f"{title} occurs more than once")
        if isinstance(below, int):
            if value is None and fields[below].fill is None:
                raise WrongRecord(f"{title} is {'null' if name in record else 'missing'}")
            found[below] = value
        elif value is None or isinstance(value, dict):
            _collect({} if value is None else value, below, fields, place, found)
        else:
            raise WrongRecord(f"{title} is {_kind(value)}, not an object", _shown(value))


def _array(field: JsonField, value: Any, finite: bool | None) -> NDArray[Any]:
    items = _flat(field, value, field.spec.shape)
    is_missing = np.array([item is None for item in items])
    if field.fill is None and is_missing.any():
        _refuse(field, "has null in an array")
    numbers = [0 if item is None else _item(field, item) for item in items]
    with np.errstate(over="ignore"):
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


def _flat(field: JsonField, value: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return the values in nested arrays, in their order."""
    if not shape:
        return [value]
    if value is None and shape == field.spec.shape:
        return [None] * int(np.prod(shape))
    if not isinstance(value, list) or len(value) != shape[0]:
        _refuse(field, f"is not an array of shape {field.spec.shape}", value)
    return [item for each in value for item in _flat(field, each, shape[1:])]


def _item(field: JsonField, value: Any) -> float:
    """Return a number or the index of a class."""
    if field.index_of is not None:
        if not isinstance(value, str):
            what = f"is {_kind(value)}, not the name of a class{_advice(field, value)}"
            _refuse(field, what, value)
        if value not in field.index_of:
            _refuse(field, "is none of the classes", value)
        return field.index_of[value]
    if not isinstance(value, bool | int | float):
        _refuse(field, f"is {_kind(value)}, not a number{_advice(field, value)}", value)
    return _whole(field, value) if field.dtype.kind == "i" else _double(value)


def _advice(field: JsonField, value: Any) -> str:
    is_array = isinstance(value, list) and not field.spec.shape
    return "; for an array give Field(name, shape=)" if is_array else ""


def _whole(field: JsonField, value: float) -> int:
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


def _refuse(field: JsonField, what: str, value: Any = None) -> NoReturn:
    raise WrongRecord(f"{field.title} {what}", b"" if value is None else _shown(value))


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return "null" if value is None else _KINDS.get(type(value), "a number")


def _shown(value: Any) -> bytes:
    """Return the JSON of a value; b"" for one that has others in it."""
    return b"" if value is None or isinstance(value, dict | list) else json.dumps(value).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeating(pairs)


def _integer(text: str) -> int:
    return int(text[:_MOST_DIGITS])


def _refuse_constant(name: str) -> NoReturn:
    raise WrongRecord(f"is not JSON: has {name}")


_PARSER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant
)
