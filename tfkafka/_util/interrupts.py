"""Signals that arrive while the main thread waits in TensorFlow's C++.

Python runs a signal's handler in the main thread, when that executes Python: a handler waits as
long as C++ does. Only the C handler runs at once; it writes to the wake-up file descriptor.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple

# The signals that ask a process to end; others end no stream.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# TensorFlow's functions that call C++ for an element, and for a step of a model.
CALLS_OF_CPP = {"iterator_get_next", "quick_execute"}
UNHEARD_S = 0.1


class _Noted(NamedTuple):
    number: int
    time_s: float


class _Listener:
    """A thread that notes each signal as soon as it arrives.

    Attributes:
        count: the number of ending signals that have arrived.
        unheard: the last one, until the main thread executes Python again.
    """

    def __init__(self) -> None:
        self.count = 0
        self.unheard: _Noted | None = None
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._others: int | None = None
        # Python calls it in the main thread, after the handlers of signals.
        self._when_heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._hear)
        threading.Thread(target=self._run, name="tfkafka-signals", daemon=True).start()

    def listen(self) -> None:
        """Take over the wake-up descriptor; what it was before is still written to."""
        former = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if former == self._writer:
            return
        others, self._others = self._others, None if former == -1 else os.dup(former)
        if others is not None:
            os.close(others)

    def give_up(self) -> None:
        """In a forked child: leave the parent's descriptors alone."""
        former = signal.set_wakeup_fd(-1)
        if former != self._writer:
            signal.set_wakeup_fd(former)

    def _run(self) -> None:
        while numbers := os.read(self._reader, 4096):
            if self._others is not None:
                with contextlib.suppress(OSError):
                    os.write(self._others, numbers)
            for number in set(numbers).intersection(ENDING):
                self.count += 1
                self.unheard = _Noted(number, time.monotonic())
                ctypes.pythonapi.Py_AddPendingCall(self._when_heard, None)

    def _hear(self, _argument: object) -> int:
        self.unheard = None
        return 0


_listener: _Listener | None = None
_users: weakref.WeakSet[object] = weakref.WeakSet()


def listen(user: object) -> None:
    """Notice signals while `user` exists. Does nothing outside the main thread.

    Called again it notices handlers that were set since, and wake-up descriptors of other code.
    """
    global _listener
    if threading.current_thread() is not threading.main_thread():
        return
    if _listener is None:
        _listener = _Listener()
    _listener.listen()
    if user not in _users:
        # In this order: when `user` is destroyed, the set forgets it first.
        weakref.finalize(user, _restore_handlers).atexit = False
        _users.add(user)
    for number in ENDING:
        handler = signal.getsignal(number)
        if callable(handler) and not isinstance(handler, _Guarded):
            signal.signal(number, _Guarded(handler))


def count() -> int:
    """Return how many ending signals have arrived."""
    return 0 if _listener is None else _listener.count


def unheard() -> str | None:
    """Return the name of an ending signal whose handler waits for TensorFlow's C++, or None."""
    noted = None if _listener is None else _listener.unheard
    if noted is None or time.monotonic() - noted.time_s < UNHEARD_S:
        return None
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    if frame is None or not _module(frame).startswith("tensorflow."):
        return None
    return signal.Signals(noted.number).name


def _restore_handlers() -> None:
    if _users or threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        handler = signal.getsignal(number)
        if isinstance(handler, _Guarded):
            signal.signal(number, handler.handler)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


class _Guarded:
    """A handler of a signal that runs only where it may raise.

    In Python code that TensorFlow's C++ calls, for example to turn an error into an exception,
    TensorFlow 2.16 treats a KeyboardInterrupt as its own fault: a RuntimeError about a "mismatch",
    or a crash. So the handler runs when that call of C++ ends.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], object]):
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        caller = _caller_of_cpp(frame)
        if caller is None:
            self.handler(number, frame)
            return
        former = sys.gettrace()

        def when_it_ends(frame: FrameType, _event: str, _argument: object) -> None:
            sys.settrace(former)
            self.handler(number, frame)

        caller.f_trace = when_it_ends
        sys.settrace(lambda *_: None)  # without a function here, no f_trace is called


def _caller_of_cpp(frame: FrameType | None) -> FrameType | None:
    """Return the frame of TensorFlow's function whose call of C++ led to this frame, or None."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name in CALLS_OF_CPP:
            return frame
    return None


def _after_fork_in_child() -> None:
    global _listener
    if _listener is not None:
        _listener.give_up()
        _listener = None


os.register_at_fork(after_in_child=_after_fork_in_child)
