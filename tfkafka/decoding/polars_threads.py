"""The threads of polars, which a forked child does not have: there it would hang or crash."""

from __future__ import annotations

import re
from pathlib import Path

from tfkafka._util.processes import LostThreads

_THREADS = Path("/proc/self/task")
_NAME = re.compile(r"polars-\d+")


def _are_started() -> bool:
    # Its first use starts them, not its import; that use may be anybody's.
    return any(_NAME.fullmatch(name) for name in _names_of_threads())


def _names_of_threads() -> list[str]:
    names = []
    for thread in _THREADS.glob("*/comm"):
        try:
            names.append(thread.read_text().strip())
        except OSError:  # it has ended
            continue
    return names


_threads = LostThreads("polars", _are_started)
# Raises ForkError where polars was used before this process was forked.
refuse_lost_threads = _threads.refuse
