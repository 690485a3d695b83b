"""Waiting for a condition, with a deadline and a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tfkafka._util import arguments
from tfkafka.errors import TfkafkaError

Value = TypeVar("Value")


def wait_for(
    condition: Callable[[], Value],
    what: str,
    deadline_s: float = 30.0,
    error: type[TfkafkaError] = TfkafkaError,
) -> Value:
    """Call `condition` until it returns something true, and return that.

    Raises `error` with `what` in its message after `deadline_s` seconds.

    Example:
        from tfkafka.testing import wait_for

        admin = tfkafka.Admin("localhost:9092")
        wait_for(lambda: admin.record_count("susy-train") > 0, "a record in susy-train", 10)
    """
    arguments.function("condition", condition)
    arguments.text("what", what)
    end = time.monotonic() + arguments.seconds("deadline_s", deadline_s)
    arguments.subclass("error", error, TfkafkaError)
    while not (value := condition()):
        if time.monotonic() > end:
            raise error(f"gave up after {deadline_s:.0f} s of waiting for {what}")
        time.sleep(0.02)
    return value
