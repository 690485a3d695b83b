"""The threads of polars, which a forked child does not have: there it would hang or crash."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tfkafka.errors import ForkError

_THREADS = Path("/proc/self/task")
_NAME = re.compile(r"polars-\d+")
_are_started = _are_lost = False


def refuse_lost_threads(what: str) -> None:
    """Raise ForkError where polars was used before this process was forked."""
    if _are_lost:
        raise ForkError(
            f"{what} uses polars, whose threads were lost when process {os.getpid()} was forked: "
            f'start processes with multiprocessing.get_context("forkserver") or "spawn"'
        )


def _before_fork() -> None:
    global _are_started
    # Its first use starts them, not its import; that use may be anybody's.
    _are_started = any(_NAME.fullmatch(name) for name in _names_of_threads())


def _after_fork_in_child() -> None:
    global _are_lost
    _are_lost = _are_lost or _are_started


def _names_of_threads() -> list[str]:
    names = []
    for thread in _THREADS.glob("*/comm"):
        try:
            names.append(thread.read_text().strip())
        except OSError:  # it has ended
            continue
    return names


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
