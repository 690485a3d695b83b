"""Finding the bad records of a batch whose parser does not say which they are."""

from __future__ import annotations

from collections.abc import Callable


def halve(count: int, parse: Callable[[int, int], bool]) -> list[int]:
    """Parse `count` records, and return the indices of those that cannot be parsed, ascending.

    Args:
        parse: parses the records [start, stop), and returns whether all of them are right.
    """
    bad, pending = [], [(0, count)] if count else []
    while pending:
        start, stop = pending.pop()
        if parse(start, stop):
            continue
        if stop - start == 1:
            bad.append(start)
            continue
        middle = (start + stop) // 2
        pending += [(start, middle), (middle, stop)]
    return sorted(bad)
