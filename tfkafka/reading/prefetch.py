"""Reading ahead in a separate thread, into a buffer that is bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass

from tfkafka._util.processes import Owner
from tfkafka.chunk import Chunk, empty
from tfkafka.decoding.base import Decoded

CLOSE_S = 15.0
# A signal's handler, and what it raises, wait for this long if no broker answers.
URGENT_S = 0.3
WAIT_S = 0.1

# Called with each chunk in the thread that reads, while the model works.
Prepare = Callable[[Chunk], Decoded | None]


@dataclass(frozen=True)
class Prepared:
    """A chunk, what `Prepare` returned for it, and the check of its topics, where there is one."""

    chunk: Chunk
    result: Decoded | None = None
    check: Future[None] | None = None

    def is_confirmed(self) -> bool:
        """Return whether the chunk may be taken. Raises the error of a check that failed."""
        if self.check is None:
            return True
        return self.check.done() and not self.is_dropped() and self.check.result() is None

    def is_dropped(self) -> bool:
        """Return whether the chunk can never be taken: reading ended before its check was done."""
        return self.check is not None and self.check.cancelled()


class Prefetch:
    """Chunks that one thread reads and another takes.

    Args:
        read: runs in the thread; it calls `put`, and must end soon after `is_closing` is set. An
            exception that it raises is raised by `take` once the buffer has no chunk that may be
            taken.
        capacity: bytes of records to hold; the last chunk may exceed it.
        name: the name of the thread.
        leave: runs in the thread after `read`, when `take` already raises the exception: it may
            take long where a broker is away.
    """

    def __init__(
        self,
        read: Callable[[Prefetch], None],
        capacity: int,
        name: str,
        leave: Callable[[], None] = lambda: None,
    ):
        self._read, self._leave = read, leave
        self._capacity = capacity
        self._buffer: deque[Prepared] = deque()
        self._held = 0
        self._error: Exception | None = None
        self._is_done = False
        self._changed = threading.Condition(threading.RLock())
        self._owner = Owner()
        self.is_closing: bool = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def changed(self) -> threading.Condition:
        """The condition to hold, and to wait for. Raises ForkError in a forked child."""
        # The thread of the parent may have held the lock, which nobody releases in the child.
        self._owner.refuse_child("an iteration", "begin to iterate again in this process")
        return self._changed

    def start(self) -> None:
        self._thread.start()

    def put(self, prepared: Prepared) -> None:
        """Add a chunk, even beyond the capacity."""
        with self.changed:
            self._buffer.append(prepared)
            self._held += prepared.chunk.nbytes
            self.changed.notify_all()
        if prepared.check is not None:
            prepared.check.add_done_callback(self._notify)

    def has_room(self) -> bool:
        return self._held < self._capacity

    def wait_for_room(
        self, timeout_s: float | None, until: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait for room, `is_closing` or `until`; return False after `timeout_s` without any."""
        with self.changed:
            return self.changed.wait_for(
                lambda: self.has_room() or self.is_closing or until(), timeout_s
            )

    def take(self) -> Prepared | None:
        """Take the next chunk; None where there is none yet, or its check is not done.

        Raises what ended the reading, or the error of the check.
        """
        with self.changed:
            if self._buffer and self._buffer[0].is_confirmed():
                prepared = self._buffer.popleft()
                self._held -= prepared.chunk.nbytes
                self.changed.notify_all()
                return prepared
            is_over = not self._buffer or self._buffer[0].is_dropped()
            if is_over and self._error is not None:
                raise self._error
            return None

    def is_empty(self) -> bool:
        return not self._buffer

    def is_done(self) -> bool:
        """Return whether reading has ended without an error and all chunks have been taken."""
        with self.changed:
            return self._is_done and not self._buffer and self._error is None

    @property
    def error(self) -> Exception | None:
        """What ended the reading, or None."""
        return self._error

    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """End the thread, wait for its end, and return whether it has ended.

        Safe to call twice, and in a forked child.
        """
        if not self._owner.is_here():
            return True
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
        if not self.is_own_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _notify(self, _check: Future[None]) -> None:
        with self.changed:
            self.changed.notify_all()

    def _run(self) -> None:
        error = None
        try:
            self._read(self)
        except Exception as caught:
            error = caught
        with self.changed:
            self._error, self._is_done = error, True
            self.changed.notify_all()
        self._leave()


def read_ahead(
    chunks: Callable[[], Generator[Chunk, None, None]], capacity: int
) -> Generator[Prepared, None, None]:
    """Yield what `chunks` yields, read ahead in a separate thread.

    While no records arrive, an empty chunk is yielded now and then.
    """

    def read(buffer: Prefetch) -> None:
        reading = chunks()
        try:
            for chunk in reading:
                if len(chunk):
                    buffer.put(Prepared(chunk))
                    buffer.wait_for_room(None)
                if buffer.is_closing:
                    return
        finally:
            reading.close()

    buffer = Prefetch(read, capacity, "tfkafka-read")
    buffer.start()
    try:
        while (prepared := _next(buffer)) is not None or not buffer.is_done():
            yield prepared or Prepared(empty())
    finally:
        # There is nothing to commit and no group to leave: the thread may end later.
        buffer.close(URGENT_S)


def _next(buffer: Prefetch) -> Prepared | None:
    end = time.monotonic() + WAIT_S
    with buffer.changed:
        while (prepared := buffer.take()) is None and not buffer.is_done():
            if not buffer.changed.wait(max(0.0, end - time.monotonic())):
                break
        return prepared
