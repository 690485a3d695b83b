"""Ctrl-C, noticed outside of the main thread.

While TensorFlow waits for an element, the main thread is in C++ and Python's signal handlers
do not run. The wake-up file descriptor is written to by the C handler, at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from tfkafka.errors import ReadError

_lock = threading.Lock()
_reader: int | None = None
_count = 0


def watch() -> None:
    """Begin to notice Ctrl-C. Does nothing outside of the main thread, or where already done.

    A wake-up descriptor that somebody else has set is left alone: Ctrl-C then ends a wait when
    the next record arrives.
    """
    global _reader
    if threading.current_thread() is not threading.main_thread():
        return
    with _lock:
        if _reader is not None:
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if former != -1:
            signal.set_wakeup_fd(former)
            os.close(reader)
            os.close(writer)
            return
        _reader = reader


class Interrupts:
    """Tells whether Ctrl-C was pressed since this was made."""

    def __init__(self) -> None:
        self._before = _interrupts()

    def check(self) -> None:
        """Raise ReadError if it was.

        TensorFlow's call then returns, and the main thread raises KeyboardInterrupt, unless the
        signal found TensorFlow at work, which swallows that: then the error is what is raised.
        """
        if _interrupts() > self._before:
            raise ReadError("reading was interrupted by Ctrl-C")


def _interrupts() -> int:
    global _count
    with _lock:
        if _reader is not None:
            with contextlib.suppress(BlockingIOError):
                _count += os.read(_reader, 4096).count(bytes([signal.SIGINT]))
        return _count
