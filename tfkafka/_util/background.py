"""Work in a thread that may hang: it delays neither its caller nor the end of the process.

A thread of `concurrent.futures` would delay the end of the process.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar, TypeVarTuple

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class BackgroundThread:
    """One thread that runs submitted tasks in order."""

    def __init__(self, name: str):
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Future[Result]:
        future: Future[Result] = Future()

        def task() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:
                    future.set_exception(error)

        self._tasks.put(task)
        return future

    def close(self) -> None:
        """End the thread once it has run the submitted tasks."""
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()


def in_background(function: Callable[[], Result]) -> Future[Result]:
    """Run one function in a separate thread, and return its future."""
    thread = BackgroundThread(getattr(function, "__name__", "background"))
    future = thread.submit(function)
    thread.close()
    return future
