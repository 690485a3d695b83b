"""Reading JSON objects whose fields are not known beforehand, as anybody may have written them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka.decoding.base import QUOTED_LENGTH, Fault
from tfkafka.decoding.frames import TYPES

_NUMBER, _BOOLEAN, _TEXT = "a number", "a boolean", "a text"
# NumPy's arrays have at most 32 axes; one is that of the records.
_MOST_AXES = 31


class _Number(str):
    """The text of a number: it is parsed as its type only later, and rounded once."""


_NAN = _Number("nan")
_KINDS = {_Number: _NUMBER, bool: _BOOLEAN, str: _TEXT}
Fields = Mapping[str, Any]
# What a value is, the shape of its array, and its numbers.
Leaf = tuple[str, tuple[int, ...], list[Any]]


def parse_objects(
    values: Sequence[bytes | None],
    members: Callable[[dict[str, Any]], Fields],
    null_is_nan: bool,
    dtype_of: Callable[[str], str],
) -> tuple[dict[str, NDArray[Any]], dict[int, Fault]]:
    """Return arrays [n, ...] by their names, and faults.

    The fields are those that most objects have; what the arrays have for a record with a fault does
    not matter. Without any object there is no array.

    Args:
        members: the fields of an object that are wanted. Raises ValueError where there are others.
        null_is_nan: whether null is read as nan.
        dtype_of: the type of a field's numbers.
    """
    found: dict[int, dict[str, Leaf]] = {}
    faults: dict[int, Fault] = {}
    for index, value in enumerate(values):
        try:
            found[index] = {
                name: _leaf(name, each, null_is_nan)
                for name, each in members(_parse(value)).items()
            }
        except RecursionError:
            faults[index] = Fault.of(index, "is nested too deeply")
        except json.JSONDecodeError:
            faults[index] = Fault.of(index, "is not JSON", value or b"")
        except UnicodeError:
            faults[index] = Fault.of(index, "is not UTF-8", value or b"")
        except ValueError as error:
            faults[index] = Fault.of(index, str(error))
    if not found:
        return {}, faults
    kinds = {index: _kind(leaves) for index, leaves in found.items()}
    ((most, _),) = Counter(kinds.values()).most_common(1)
    expected = dict(most)
    for index, kind in kinds.items():
        if kind != most:
            faults[index] = Fault.of(index, _difference(expected, dict(kind)))
    arrays = {}
    for name, (what, shape) in expected.items():
        rows = {index: each[name][2] for index, each in found.items() if index not in faults}
        places = np.array(list(rows), np.int64)
        array, wrong = _array([each for row in rows.values() for each in row], what, dtype_of(name))
        arrays[name] = np.zeros((len(values), *shape), array.dtype)
        arrays[name][places] = array.reshape(len(places), *shape)
        is_wrong = wrong.reshape(len(places), math.prod(shape)).any(axis=1)
        for index in places[is_wrong].tolist():
            faults[index] = Fault.of(index, f"{_field(name)}does not fit {array.dtype.name}")
    return arrays, faults


def _parse(value: bytes | None) -> dict[str, Any]:
    """Return an object. Raises ValueError, or RecursionError."""
    if not value:
        raise ValueError("is null" if value is None else "is empty")
    text = value.decode()
    parsed = _PARSER.decode(text)
    if not isinstance(parsed, dict):
        raise ValueError("is not a JSON object")
    if "\\u" in text:
        # A half of a surrogate pair is no text.
        json.dumps(parsed, ensure_ascii=False).encode()
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("has a field twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"is not JSON: {text}")


_PARSER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_Number,
    parse_int=_Number,
    parse_constant=_refuse_constant,
)


def _leaf(name: str, value: Any, null_is_nan: bool) -> Leaf:
    """Return what a value is. Raises ValueError."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind, (), [value]
    if value is None and null_is_nan:
        return _NUMBER, (), [_NAN]
    if not isinstance(value, list):
        raise ValueError(f"{_field(name)}is {'null' if value is None else 'an object'}")
    if set(map(type, value)) == {_Number}:
        return _NUMBER, (len(value),), value
    leaves = [_leaf(name, each, null_is_nan) for each in value]
    kinds = {(kind, shape) for kind, shape, _ in leaves}
    if len(kinds) != 1:
        wrong = "has values of different types or lengths" if kinds else "has an empty list"
        raise ValueError(f"{_field(name)}{wrong}")
    ((kind, shape),) = kinds
    if len(shape) >= _MOST_AXES:
        raise ValueError(f"{_field(name)}is nested too deeply")
    return kind, (len(value), *shape), [each for _, _, values in leaves for each in values]


def _array(values: list[Any], kind: str, dtype: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return values as an array [m], and which of them its type cannot hold, bool [m]."""
    if kind == _TEXT:
        return np.array([*values, None], object)[:-1], np.zeros(len(values), np.bool_)
    if kind == _BOOLEAN:
        return np.array(values, np.bool_), np.zeros(len(values), np.bool_)
    # polars rounds once, to the nearest number of the type.
    numbers = polars.Series(values, dtype=polars.String).cast(TYPES[dtype], strict=False)
    wrong = (numbers.is_infinite() if numbers.dtype.is_float() else numbers.is_null()).to_numpy()
    return numbers.fill_null(0).to_numpy(), wrong


def _kind(leaves: Mapping[str, Leaf]) -> tuple[tuple[str, tuple[str, tuple[int, ...]]], ...]:
    return tuple((name, (kind, shape)) for name, (kind, shape, _) in sorted(leaves.items()))


def _difference(
    expected: Mapping[str, tuple[str, tuple[int, ...]]],
    found: Mapping[str, tuple[str, tuple[int, ...]]],
) -> str:
    """Return in what an object is unlike most others."""
    for name, wanted in expected.items():
        if name not in found:
            return f"{_field(name)}is missing"
        if found[name] != wanted:
            return f"{_field(name)}is {_described(*found[name])}, must be {_described(*wanted)}"
    name = next(name for name in found if name not in expected)
    return f"{_field(name)}is in few records"


def _described(kind: str, shape: tuple[int, ...]) -> str:
    return f"{kind} [{', '.join(map(str, shape))}]" if shape else kind


def _field(name: str) -> str:
    return f'field "{name[:QUOTED_LENGTH]}" ' if name else ""
