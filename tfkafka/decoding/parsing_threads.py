"""Threads that parse parts of a chunk at once, where there are more than two cores."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

_MOST = 8
# On two cores the second one reads.
_SPARE = 1
# Fewer rows are parsed sooner than a thread is woken.
_LEAST_ROWS = 2048


def in_parts(count: int, parse: Callable[[int, int], None]) -> None:
    """Call `parse` with parts [start, stop) of `count` rows, in several threads at once.

    `parse` must release Python's lock.
    """
    parts = min(_threads(), count // _LEAST_ROWS)
    if parts < 2:
        parse(0, count)
        return
    first, *others = pairwise(count * part // parts for part in range(parts + 1))
    try:
        running = [_pool().submit(parse, *part) for part in others]
    except RuntimeError:  # Python is ending, and starts no thread
        parse(0, count)
        return
    parse(*first)
    for each in running:
        each.result()


def _threads() -> int:
    """Return in how many threads a chunk is parsed."""
    return min(_MOST, _cores() - _SPARE)


def _cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_MOST - 1, thread_name_prefix="tfkafka-parse")


# A forked child has no other threads.
os.register_at_fork(after_in_child=_pool.cache_clear)
