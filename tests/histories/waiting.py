"""Waiting for a condition, with a deadline and a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
DEADLINE_S = 60.0


class ScriptError(Exception):
    """A scenario could not be played as it is written."""


def wait_for(condition: Callable[[], Value], what: str, deadline_s: float = DEADLINE_S) -> Value:
    """Call `condition` until it returns something true, and return that."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise ScriptError(f"waited {deadline_s:.0f} s in vain for {what}")
        time.sleep(0.02)
    return value
