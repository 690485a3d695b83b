"""Finding the bad records of a batch whose parser does not say which they are."""

from __future__ import annotations

from collections.abc import Callable


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
