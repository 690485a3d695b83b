"""Destroy what waits for threads, in a thread that it does not wait for.

Python's garbage collector runs in whatever thread allocates. Where that is a thread in which
TensorFlow prefetches for an iterator, and the collector frees this iterator, the thread waits for
itself: forever, and no thread of the process can collect any more (seen with TensorFlow 2.16).
Where it is a thread in which a Kafka client calls back, and the collector frees this client,
librdkafka 2.16 aborts the process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import sys
import threading
import time
import weakref
from typing import Any

from tfkafka._util.waiting import wait_for
from tfkafka.errors import TfkafkaError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
# What refers to a thing that nobody else has: its box, the question itself, and the owner if any.
_REFERENCES, _OWNERS_REFERENCES = 2, 3

_here = threading.local()
_destroyer: _Destroyer | None = None


def destroy_with(owner: object, thing: object) -> None:
    """Have `thing`, which `owner` refers to, destroyed when nobody refers to it any more.

    Another thread does that where the garbage collector frees `owner`, or others still refer to
    `thing`. Else `thing` is destroyed at once, where the last reference to `owner` ends.
    Where `thing` leads back to `owner`, both stay forever.
    """
    global _destroyer
    if _destroyer is None:
        # Before it is needed: a finalizer may start no thread.
        _destroyer = _Destroyer()
    weakref.finalize(owner, _destroyer.take_over, [thing]).atexit = False


def wait_until_destroyed(deadline_s: float) -> None:
    """Wait until what was freed has been destroyed, or until `deadline_s` has passed."""
    destroyer = _destroyer
    if destroyer is not None:
        with contextlib.suppress(TfkafkaError):
            wait_for(destroyer.is_idle, "what was freed to be destroyed", deadline_s)


class _Destroyer:
    """A thread that destroys what is in boxes. No method may wait: finalizers call them."""

    def __init__(self) -> None:
        self._boxes: dict[int, list[object]] = {}
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="tfkafka-destroy", daemon=True).start()

    def take_over(self, box: list[object]) -> None:
        """Destroy what is in the box, unless it will be destroyed at once, and may be."""
        is_last = sys.getrefcount(box[0]) <= _OWNERS_REFERENCES
        if getattr(_here, "is_collecting", False) or not is_last:
            self._boxes[id(box)] = box
            self._news.put(None)

    def is_idle(self) -> bool:
        """Return whether all has been destroyed."""
        return not self._boxes

    def _run(self) -> None:
        while True:
            self._news.get()
            pause_s = _FIRST_PAUSE_S
            while self._boxes:
                self._destroy()
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _destroy(self) -> None:
        """Destroy what nobody else refers to: other garbage, which is not cleared yet, may."""
        for key in list(self._boxes):
            box = self._boxes[key]
            if sys.getrefcount(box[0]) <= _REFERENCES:
                box.clear()
                del self._boxes[key]


# The default values are still there when the interpreter ends.
def _note_collection(phase: str, _counts: dict[str, int], here: Any = _here) -> None:
    here.is_collecting = phase == "start"


def _after_fork_in_child() -> None:
    global _destroyer
    _destroyer = None


gc.callbacks.append(_note_collection)
os.register_at_fork(after_in_child=_after_fork_in_child)
