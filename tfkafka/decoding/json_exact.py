"""One JSON record at a time, by Python's own parser: what is right, and what is wrong with others.

Its verdict is the one that counts. polars, which parses whole chunks, only says sooner which
records are surely right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from numpy.typing import NDArray

from tfkafka.decoding.base import QUOTED_LENGTH
from tfkafka.decoding.nested_fields import NestedField, Tree
from tfkafka.decoding.nested_values import Repeating, WrongRecord, kind_of, shown, values_of

BLANKS = b" \t\r\n"
# Python refuses to make numbers of more than 4,300 digits. One with this many is beyond all types.
_MOST_DIGITS = 1_000


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
        raise WrongRecord(f"is {kind_of(found)}, not an object", shown(found))
    return found


def values(
    text: bytes | None,
    tree: Tree,
    fields: Sequence[NestedField],
    finite: bool | None,
    seen: set[str],
) -> list[NDArray[Any]]:
    """Return the value of each field, [size], and add the titles of those there are to `seen`.

    Raises WrongRecord where a value is missing or wrong.
    """
    return values_of(parse(text), tree, fields, finite, seen)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(pairs)


def _integer(text: str) -> int:
    return int(text[:_MOST_DIGITS])


def _refuse_constant(name: str) -> NoReturn:
    raise WrongRecord(f"is not JSON: has {name}")


_PARSER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant
)
