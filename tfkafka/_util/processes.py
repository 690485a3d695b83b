"""What belongs to one process, and does not survive a fork: a forked child has no other threads."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import Protocol

from tfkafka.errors import ForkError


class Closeable(Protocol):
    def close(self) -> None: ...


_immortal_in_children: weakref.WeakSet[object] = weakref.WeakSet()
_closed_in_children: weakref.WeakSet[Closeable] = weakref.WeakSet()


class Owner:
    """The process that something belongs to, which is the one that created this."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def is_here(self) -> bool:
        return os.getpid() == self._process

    def refuse_child(self, what: str, advice: str) -> None:
        """Raise ForkError in a process that was forked from the owner."""
        if not self.is_here():
            raise ForkError(
                f"{what} belongs to process {self._process}, and process {os.getpid()} was "
                f"forked from it: {advice}"
            )


class LostThreads:
    """Whether a library's threads were lost in a fork: in the child its calls may wait forever.

    Args:
        what: the library, for errors.
        are_started: returns whether its threads run; called before each fork.
    """

    def __init__(self, what: str, are_started: Callable[[], bool]):
        self._what = what
        self._is_used = self._are_started = self._are_lost = False

        def before() -> None:
            self._are_started = self._is_used or are_started()

        def after_in_child() -> None:
            self._are_lost = self._are_lost or self._are_started

        os.register_at_fork(before=before, after_in_child=after_in_child)

    def refuse(self, user: str) -> None:
        """Raise ForkError where they were lost; else note that they are used from now on.

        Of threads that have just been started, `are_started` may not see any (seen with polars 2.1,
        whose threads take a moment to have their names).

        Args:
            user: what uses the library, for the error.
        """
        if self._are_lost:
            raise ForkError(
                f"{user} uses {self._what}, whose threads were lost when process {os.getpid()} was "
                f'forked: start processes with multiprocessing.get_context("forkserver") or "spawn"'
            )
        self._is_used = True


def keep_in_children(thing: object) -> None:
    """Never destroy `thing` in a forked child: destroying it would wait for its threads."""
    _immortal_in_children.add(thing)


def close_in_children(thing: Closeable) -> None:
    """Close `thing` in a forked child: a copy would hold what its owner has, a lock or a port."""
    _closed_in_children.add(thing)


def _close() -> None:
    for thing in list(_closed_in_children):
        thing.close()
    _closed_in_children.clear()


def _keep() -> None:
    for thing in list(_immortal_in_children):
        # Not a list: the end of the interpreter would empty it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


os.register_at_fork(after_in_child=_close)
os.register_at_fork(after_in_child=_keep)
