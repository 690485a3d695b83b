"""Finding the bad records of a batch whose parser does not say which they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")
Part = TypeVar("Part")


def halve(count: int, parse: Callable[[int, int], bool], smallest: int = 1) -> list[int]:
    """Parse `count` records, and return the indices of those that cannot be parsed, ascending.

    Args:
        parse: parses the records [start, stop), and returns whether all of them are right.
        smallest: a part of so many records is not halved: if one of them cannot be parsed, all of
            them are returned.
    """
    bad: list[int] = []
    pending = [(0, count)] if count else []
    while pending:
        start, stop = pending.pop()
        if parse(start, stop):
            continue
        if stop - start <= smallest:
            bad += range(start, stop)
            continue
        middle = (start + stop) // 2
        pending += [(start, middle), (middle, stop)]
    return sorted(bad)


def call_in_parts(
    function: Callable[[list[Value]], Any],
    values: list[Value],
    checked: Callable[[Any, int], Part],
) -> tuple[list[Part], dict[int, Exception]]:
    """Call a function of the user's with all values, or with parts of them where it raises.

    Return what it returned for the parts, in their order, and its exceptions, by the indices of the
    values that it cannot take. MemoryError says nothing about a value, and is raised.

    Args:
        checked: called with what the function returned and the number of values; returns the part,
            or raises what is the function's own fault.
    """
    parts: dict[int, Part] = {}
    errors: dict[int, Exception] = {}

    def call(start: int, stop: int) -> bool:
        try:
            returned = function(values[start:stop])
        except MemoryError:
            raise
        except Exception as error:
            errors[start] = error
            return False
        parts[start] = checked(returned, stop - start)
        return True

    bad = halve(len(values), call)
    return [parts[start] for start in sorted(parts)], {index: errors[index] for index in bad}
