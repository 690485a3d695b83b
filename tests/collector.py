"""pytest: no test may leave Python's garbage collector at a standstill.

While a thread collects, `gc.collect` does nothing in all others. So a finalizer that waits forever
ends all collections of its process, and what refers to itself stays in memory.
"""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator

import pytest

from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for


class _Circle:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Check after each test that garbage is collected; if not, name the threads' places."""
    yield
    try:
        wait_for(_collects, "Python's garbage collector", 30)
    except TfkafkaError as error:
        pytest.fail(f"{error}: it waits in one of these threads:\n{places()}")


def _collects() -> bool:
    circle = weakref.ref(_Circle())
    gc.collect(0)
    return circle() is None


def places() -> str:
    """Return the innermost calls of each thread."""
    names = {each.ident: each.name for each in threading.enumerate()}
    return "\n".join(
        f"{names.get(thread)}:\n{''.join(traceback.format_stack(frame, 12))}"
        for thread, frame in sys._current_frames().items()
    )
