"""A process of its own for each thing that is measured, told in turns to do a round.

So that nobody pays for what another has imported, traced or left in memory, and that what is
compared can take turns although it shares no process.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from tests import forked
from tests.benchmarks.meter import Sample
from tests.benchmarks.threads import by_thread

DEADLINE_S = 600.0
_END_S = 10.0
PLAIN = (
    *("java:", "writing:", "c_loop:", "many_cores:", "opening:imports", "reading:bare_loop"),
    "workers:",
)

# Does a round, by its number, and measures it.
Round = Callable[[int], Sample]


class WorkerFailed(AssertionError):
    """A side raised, or its process ended or hung."""


@dataclass(frozen=True)
class Side:
    """One of the things that are compared.

    Args:
        label: what a reader of the report sees.
        kind: "subject", which is held to floors; "ceiling", the most that is possible; or
            "alternative", what a user would take instead.
        prepare: `module:function` under tests.benchmarks.sides; makes all that may be made before
            the clock runs, warms up, and returns a function of the round's number that does and
            measures one round.
        arguments: of `prepare`.
        process: sides that name the same one share it: less to start, but a peak of memory that
            belongs to all of them. None: one of its own.
        fresh: a new process for each round, for what can be used once only.
        environment: variables of its process, set before it imports anything of tfkafka.
        by_thread: whether `apart` has the CPU seconds of each thread; it costs some.
    """

    label: str
    kind: str
    prepare: str
    arguments: dict[str, Any] = field(default_factory=dict)
    process: str | None = None
    fresh: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    by_thread: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it needs no TensorFlow; otherwise its process begins with that imported."""
        return self.prepare.startswith(PLAIN)


class Worker:
    """A process in which sides like the given one are prepared and do their rounds."""

    def __init__(self, side: Side):
        self._preparing: list[Side] = []
        self._environment = side.environment
        context = multiprocessing.get_context("spawn") if side.is_plain else forked.context()
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, side.environment)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, side: Side) -> None:
        """Begin to prepare a side; `wait_ready` waits for it."""
        assert side.environment == self._environment, f"{side.label}: another environment"
        self._preparing.append(side)
        self._pipe.send((_prepare, side))

    def wait_ready(self) -> None:
        while self._preparing:
            self._answer(self._preparing.pop(0))

    def round(self, side: Side, number: int) -> Sample:
        """Let a side that is ready do a round."""
        self._pipe.send((_round, side.label, number))
        return self._answer(side)

    def close(self) -> None:
        """End the process; kill it if it doesn't."""
        self._pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_END_S)

    def _answer(self, side: Side) -> Any:
        """What the process sends, or WorkerFailed with what it says."""
        if not self._pipe.poll(DEADLINE_S):
            self._process.kill()
            raise WorkerFailed(f"{side.label}: no answer for {DEADLINE_S:.0f} s")
        try:
            done, value = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join(_END_S)
            raise WorkerFailed(
                f"{side.label}: its process ended with {self._process.exitcode}"
            ) from None
        if not done:
            raise WorkerFailed(f"{side.label}:\n{value}")
        return value


def _serve(pipe: Connection, environment: dict[str, str]) -> None:
    """Do what comes through the pipe until it is closed."""
    os.environ.update(environment)
    try:
        while True:
            function, *arguments = pipe.recv()
            pipe.send(_attempt(function, arguments))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        # Past the destructors in which tensorflow-io can crash or hang.
        os._exit(0)


_rounds: dict[str, Round] = {}


def _prepare(side: Side) -> None:
    module, function = side.prepare.split(":")
    prepare = getattr(importlib.import_module(f"tests.benchmarks.sides.{module}"), function)
    rounds = prepare(**side.arguments)
    _rounds[side.label] = by_thread(rounds) if side.by_thread else rounds


def _round(label: str, number: int) -> Sample:
    return _rounds[label](number)


def _attempt(function: Callable[..., Any], arguments: list) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except Exception:
        return False, traceback.format_exc(limit=-8)
