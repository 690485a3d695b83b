"""Checks of arguments, made when they are given.

Each raises TypeError for a wrong type, and ValueError for a wrong value. The message is one line:
the argument's name, its value, and what it may be.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn, TypeVar

LARGEST = 2**63 - 1
# The largest number of ms that librdkafka takes: 24 days.
LARGEST_MS = 2**31 - 1
LARGEST_PORT = 2**16 - 1
# In bytes: Kafka's protocol has 16 bits for the length of a text.
LONGEST_TEXT = 2**15 - 1
_LARGEST_FLOAT32 = 2.0**128 - 2.0**104
SHOWN_LENGTH = 60
_LISTENER = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
# What Python can iterate over, but nobody means as a list.
_SINGLE = (str, bytes, bytearray, Mapping)

Result = TypeVar("Result")


def optional(check: Callable[..., Result], name: str, value: object, *rest: Any) -> Result | None:
    """Return what another check returns; None for None."""
    return None if value is None else check(name, value, *rest)


def whole_number(
    name: str, value: object, least: int = 0, most: int = LARGEST, what: str = "a whole number"
) -> int:
    """Return a whole number, also one of NumPy's, as an int; a bool is none."""
    number = _index(value)
    if number is None:
        _refuse_type(name, value, what)
    if number < least:
        _refuse(name, value, f"at least {least}")
    if number > most:
        _refuse(name, value, f"at most {most}")
    return number


def milliseconds(name: str, value: object, least: int = 1) -> int:
    """Return a number of ms."""
    return whole_number(name, value, least, LARGEST_MS)


def stream_timeout(name: str, value: object) -> int:
    """Return a number of ms, or -1, with which a stream never ends."""
    number, what = _index(value), f"ms from 0 to {LARGEST_MS}, or -1 to wait forever"
    if number is None:
        _refuse_type(name, value, what)
    if not -1 <= number <= LARGEST_MS:
        _refuse(name, value, what)
    return number


def port(name: str, value: object) -> int:
    """Return the number of a TCP port."""
    return whole_number(name, value, 1, LARGEST_PORT)


def listener(name: str, value: object) -> tuple[str, int]:
    """Return the host and the port to listen on; the host of an IPv6 address has no brackets."""
    what = f"a port of 127.0.0.1 from 0 to {LARGEST_PORT}, or HOST:PORT; 0: a free port"
    if isinstance(value, str):
        found = _LISTENER.fullmatch(value)
        host, number = (found["host"].strip("[]"), int(found["port"])) if found else ("", -1)
    elif (index := _index(value)) is None:
        _refuse_type(name, value, what)
    else:
        host, number = "127.0.0.1", index
    if not 0 <= number <= LARGEST_PORT:
        _refuse(name, value, what)
    return host, number


def partition(name: str, value: object) -> int:
    """Return the number of a partition."""
    return whole_number(name, value, 0, 2**31 - 1)


def partitions(name: str, value: object) -> list[int]:
    """Return the numbers of partitions, given as one number or as several different ones."""
    if _index(value) is not None:
        return [partition(name, value)]
    if not isinstance(value, Collection) or isinstance(value, _SINGLE):
        _refuse_type(name, value, "the number of a partition, a list of them, or None for all")
    numbers = [partition(name, each) for each in value]
    if not numbers:
        _refuse(name, value, "at least one partition, or None for all")
    if len(set(numbers)) < len(numbers):
        _refuse(name, value, "different partitions: one is given twice")
    return numbers


def seconds(name: str, value: object, most: float = LARGEST_MS / 1000) -> float:
    """Return a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse_type(name, value, "a number of seconds")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number <= most:
        _refuse(name, value, "at least 0" if most == math.inf else f"from 0 to {most:.0f}")
    return number


def finite_float32(name: str, value: object) -> float:
    """Return a number that is finite as float32."""
    what = "a number that is finite as float32"
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse_type(name, value, what)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST_FLOAT32:
        _refuse(name, value, what)
    return number


def flag(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        _refuse_type(name, value, "True or False")
    return value


def text(name: str, value: object) -> str:
    """Return text that Kafka can have as a name: not empty, and UTF-8 without a null byte."""
    if not isinstance(value, str):
        _refuse_type(name, value, "text")
    if not value:
        _refuse(name, value, "text that is not empty")
    encodable(name, value)
    if "\0" in value:
        # C would read the text up to here.
        _refuse(name, value, "text without a null byte")
    if len(value.encode()) > LONGEST_TEXT:
        _refuse(name, value, f"text of at most {LONGEST_TEXT:,} bytes")
    return str(value)


def encodable(name: str, value: str) -> None:
    """Check that UTF-8 can encode a text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(name, value, "text that UTF-8 can encode")


def printable_ascii(name: str, value: object, why: str) -> str:
    """Return text of printable ASCII characters, for something that takes no others."""
    checked = text(name, value)
    if not (checked.isascii() and checked.isprintable()):
        _refuse(name, value, f"text of printable ASCII characters: {why}")
    return checked


def texts(name: str, value: object) -> list[str]:
    """Return a list of texts; one text is a list of one."""
    if isinstance(value, str):
        return [text(name, value)]
    if not isinstance(value, Collection) or isinstance(value, _SINGLE):
        _refuse_type(name, value, "text, or a list of texts")
    found = [text(name, each) for each in value]
    if not found:
        _refuse(name, value, "at least one text")
    return found


def choice(
    name: str, value: object, choices: Collection[str | None], what: str | None = None
) -> None:
    """Check that a value is one of a few."""
    if isinstance(value, str | None) and value in choices:
        return
    what = what or "one of " + ", ".join(repr(each) for each in choices)
    _refuse(name, value, what) if isinstance(value, str) else _refuse_type(name, value, what)


def function(name: str, value: object) -> None:
    """Check that a value can be called."""
    if not callable(value):
        _refuse_type(name, value, "a function")


def mapping(name: str, value: object) -> None:
    """Check that a value is a dict whose keys are texts."""
    if not isinstance(value, Mapping):
        _refuse_type(name, value, "a dict")
    for key in value:
        text(f"a key of {name}", key)


def several(name: str, value: object, what: str) -> None:
    """Check that a value is a list or another iterable, but neither one text nor a dict."""
    if not isinstance(value, Iterable) or isinstance(value, _SINGLE):
        _refuse_type(name, value, what)


def in_order(name: str, value: object, what: str) -> list[Any]:
    """Return the entries of a list or of another collection that has an order and no keys."""
    if not isinstance(value, Collection) or isinstance(value, (*_SINGLE, Set)):
        _refuse_type(name, value, what)
    return list(value)


def instance(name: str, value: object, kind: type | tuple[type, ...], what: str) -> None:
    """Check that a value is of a class, or of one of several."""
    if not isinstance(value, kind):
        _refuse_type(name, value, what)


def subclass(name: str, value: object, kind: type) -> None:
    """Check that a value is a class, and derived from another."""
    if not isinstance(value, type) or not issubclass(value, kind):
        _refuse_type(name, value, f"a class derived from {kind.__name__}")


def path(name: str, value: object) -> Path:
    """Return a path, given as text or as a Path."""
    if not isinstance(value, str | os.PathLike):
        _refuse_type(name, value, "a path")
    given = os.fspath(value)
    return Path(text(name, given))


def shown(value: object) -> str:
    """Return a value in one short line."""
    try:
        line = " ".join(repr(value).split())
    except Exception:
        # Some objects cannot be shown, for example a number of more than 4,300 digits.
        return f"an object of {type(value).__name__}"
    return line if len(line) <= SHOWN_LENGTH else f"{line[:SHOWN_LENGTH]}..."


def _index(value: object) -> int | None:
    """Return the whole number that a value is, or None."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # a TypeError is the answer
    except (TypeError, AttributeError):  # the latter by a tensor of TensorFlow's
        return None


def _refuse(name: str, value: object, what: str) -> NoReturn:
    raise ValueError(f"{name} is {shown(value)}, must be {what}")


def _refuse_type(name: str, value: object, what: str) -> NoReturn:
    raise TypeError(f"{name} is {shown(value)}, must be {what}")
