"""Ctrl-C, noticed outside the main thread, and kept out of TensorFlow's C++.

While TensorFlow waits for an element, the main thread is in C++ and Python's signal handlers
do not run. The C handler writes to the wake-up file descriptor at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from tfkafka.errors import ReadError

# TensorFlow's functions that call C++ for an element, and for a step of a model.
CALLS_OF_CPP = {"iterator_get_next", "quick_execute"}
_lock = threading.Lock()
_reader: int | None = None
_count = 0


def watch() -> None:
    """Begin to notice Ctrl-C. Does nothing outside the main thread, or if called before.

    A wake-up descriptor that other code has set is kept: Ctrl-C then ends a wait only when the
    next record arrives.
    """
    global _reader
    if threading.current_thread() is not threading.main_thread():
        return
    _guard_handler()
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
    """A check whether Ctrl-C was pressed since its creation."""

    def __init__(self) -> None:
        self._before = _interrupts()

    def check(self) -> None:
        """Raise ReadError if it was.

        TensorFlow's call then returns to the main thread, which raises KeyboardInterrupt.
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


def _guard_handler() -> None:
    """Make the current handler of SIGINT, usually Python's own, run only where it may raise.

    In Python code that TensorFlow's C++ calls, for example to turn an error into an exception,
    TensorFlow 2.16 treats a KeyboardInterrupt as its own fault: a RuntimeError about a "mismatch",
    or a crash. So the handler runs when that call of C++ ends.
    """
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler) and not isinstance(handler, _Guarded):
        signal.signal(signal.SIGINT, _Guarded(handler))


class _Guarded:
    """A handler of SIGINT that runs only where it may raise."""

    def __init__(self, handler: Callable[[int, FrameType | None], object]):
        self._handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        caller = _caller_of_cpp(frame)
        if caller is None:
            self._handler(number, frame)
        else:
            caller.f_trace = self._when_it_ends
            sys.settrace(lambda *_: None)  # without a function here, no f_trace is called

    def _when_it_ends(self, frame: FrameType, _event: str, _argument: object) -> None:
        sys.settrace(None)
        self._handler(signal.SIGINT, frame)


def _caller_of_cpp(frame: FrameType | None) -> FrameType | None:
    """Return the frame of TensorFlow's function whose call of C++ led to this frame, or None."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name in CALLS_OF_CPP:
            return frame
    return None
