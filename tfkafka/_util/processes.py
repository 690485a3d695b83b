"""What belongs to one process, and does not survive a fork: a forked child has no other threads."""

from __future__ import annotations

import ctypes
import os
import weakref

from tfkafka.errors import ForkError

_immortal_in_children: weakref.WeakSet[object] = weakref.WeakSet()


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


def keep_in_children(thing: object) -> None:
    """Never destroy `thing` in a forked child: destroying it would wait for its threads."""
    _immortal_in_children.add(thing)


def _keep() -> None:
    for thing in list(_immortal_in_children):
        # Not a list: the end of the interpreter would empty it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


os.register_at_fork(after_in_child=_keep)
