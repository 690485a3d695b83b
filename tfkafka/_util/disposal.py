"""Things that wait for threads when they are destroyed, and are freed in any thread.

Python's garbage collector runs in whatever thread allocates. Where that is a thread in which
TensorFlow prefetches for an iterator, and the collector frees this iterator, the thread waits for
itself: forever, and no thread of the process can collect any more (seen with TensorFlow 2.16).
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import weakref

_AGAIN_S = 0.05
# What refers to a thing that nobody else has: the box that it is in, and the question itself.
_OWN_REFERENCES = 2

_here = threading.local()
_destroyer: _Destroyer | None = None


def destroy_with(owner: object, thing: object) -> None:
    """Have `thing`, which `owner` uses, destroyed after it: never in a thread of others.

    Where this thread frees `owner`, it destroys `thing`, too, and may wait. Else another thread of
    this module does, once nobody else refers to `thing`.
    """
    global _destroyer
    if _destroyer is None:
        _destroyer = _Destroyer()
    finalizer = weakref.finalize(owner, _freed, [thing], _this_thread(), _destroyer)
    finalizer.atexit = False


class _Destroyer:
    """A thread that destroys; it runs before it is needed, since a finalizer may start none."""

    def __init__(self) -> None:
        self._boxes: queue.SimpleQueue[list[object]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="tfkafka-destroy", daemon=True).start()

    def take(self, box: list[object]) -> None:
        """Destroy what is in the box. Does not wait."""
        self._boxes.put(box)

    def _run(self) -> None:
        boxes: list[list[object]] = []
        while True:
            if not boxes:
                boxes.append(self._boxes.get())
            while not self._boxes.empty():
                boxes.append(self._boxes.get())
            # The garbage that it was freed with may refer to it still: the last one destroys it.
            for box in boxes:
                if sys.getrefcount(box[0]) == _OWN_REFERENCES:
                    box.clear()
            boxes = [box for box in boxes if box]
            if boxes:
                time.sleep(_AGAIN_S)


def _freed(box: list[object], maker: object, destroyer: _Destroyer) -> None:
    if _this_thread() is not maker:
        destroyer.take(box)


def _this_thread() -> object:
    """Return what no other thread has; numbers of threads are used again."""
    if not hasattr(_here, "mark"):
        _here.mark = object()
    return _here.mark


def _after_fork_in_child() -> None:
    global _destroyer
    _destroyer = None


os.register_at_fork(after_in_child=_after_fork_in_child)
