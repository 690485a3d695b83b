"""The processes that learn together: each knows of the others' results, errors and deaths."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

from tfkafka._util.background import in_background
from tfkafka.errors import ProcessError, TfkafkaError
from tfkafka.reading import jax_processes

# While one of them works on what the others do not, they all meet this often. So a death is
# noticed, and no engine's time limit for a message matters.
MEETING_S = 1.0
QUOTED_LENGTH = 1000


class Processes:
    """This process and those that it learns with.

    Args:
        index: the number of this process, from 0.
        count: the number of all processes.
        is_stopped: returns whether this process shall stop.
    """

    def __init__(self, index: int, count: int, is_stopped: Callable[[], bool]):
        self.index, self.count = index, count
        self._is_stopped, self._stopped = is_stopped, False
        self._is_agreed = False

    @property
    def is_first(self) -> bool:
        return self.index == 0

    def is_stopped(self) -> bool:
        """Return whether one of them shall stop."""
        self._stopped = self._stopped or self._is_stopped()
        return self._stopped

    def each(self, work: Callable[[], Any]) -> list[Any]:
        """Do something in each process; return what it returns in each, which JSON must have.

        What it raises in one process is raised there, and ProcessError in the others.
        """
        if self.count == 1:
            return [work()]
        working = in_background(work)
        with self._noticing(everything=True):
            while not self._meet(working):
                pass
            failed = working.exception() is not None
            own = _one_line(working.exception()) if failed else working.result()
            found = jax_processes.bytes_of_each_process(json.dumps([failed, own]).encode())
        results = list(map(json.loads, found))
        self._is_agreed = any(is_failed for is_failed, _ in results)
        working.result()
        for number, (is_failed, result) in enumerate(results):
            if is_failed:
                raise ProcessError(f"{self._named(number)} failed, and all end: {result}")
        return [result for _, result in results]

    def first(self, work: Callable[[], Any]) -> Any:
        """Do something in the first process, and return in all what it returns: see `each`."""
        return self.each(work if self.is_first else lambda: None)[0]

    def sent(self, pack: Callable[[], bytes]) -> bytes:
        """Return in each process what `pack` returns in the first."""
        own = pack() if self.is_first else b""
        if self.count == 1:
            return own
        with self._noticing(everything=True):
            return jax_processes.bytes_of_first_process(own)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Raise ProcessError where another process ends, and let nothing hold up this one's end.

        Where it fails and the others do not, JAX would first wait for them to end, which wait for
        it.
        """
        try:
            with self._noticing(everything=False):
                yield
        except BaseException:
            if self.count > 1 and not self._is_agreed:
                # The last one that is registered is the first one that is called.
                atexit.register(_leave)
            raise

    def _meet(self, working: Future[Any]) -> bool:
        """Wait a while, then return whether the work is done in all processes.

        Each of them has to call it.
        """
        is_done = bool(wait([working], MEETING_S).done)
        found = jax_processes.numbers_of_each_process([is_done, self.is_stopped()])
        self._stopped = bool(found[:, 1].any())
        return bool(found[:, 0].all())

    @contextmanager
    def _noticing(self, everything: bool) -> Iterator[None]:
        """Raise ProcessError where JAX says that another process does not answer.

        Args:
            everything: whether that is the only thing that can fail here.
        """
        try:
            yield
        except Exception as error:
            # JAX 0.10 has no class for it: it raises ValueError, JaxRuntimeError and others; and
            # where the results of a step are first used, which may be long after it.
            is_ours = isinstance(error, TfkafkaError)
            if self.count == 1 or is_ours or not (everything or "Gloo" in str(error)):
                raise
            raise ProcessError(
                f"{self._named(self.index)}: another one has ended ({_one_line(error)}): start all "
                f"of them again with the same command: learning continues at the last saved state"
            ) from error

    def _named(self, number: int) -> str:
        return f"process {number} of {self.count}"


def _one_line(error: BaseException | None) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:QUOTED_LENGTH]


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
