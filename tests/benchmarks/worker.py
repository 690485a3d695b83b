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

DEADLINE_S = 600.0
_END_S = 10.0
PLAIN = ("java:", "writing:", "opening:imports", "reading:bare_loop")

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
    """

    label: str
    kind: str
    prepare: str
    arguments: dict[str, Any] = field(default_factory=dict)
    process: str | None = None
    fresh: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it needs no TensorFlow; otherwise its process begins with that imported."""
        return self.prepare.startswith(PLAIN)


class Worker:
    """A process in which sides are prepared and do their rounds."""

    def __init__(self, plain: bool):
        self._preparing: list[Side] = []
        context = multiprocessing.get_context("spawn") if plain else forked.context()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, side: Side) -> None:
        """Begin to prepare a side; `wait_ready` waits for it."""
        self._preparing.append(side)
        self._pipe.send((_prepare, side.label, side.prepare, side.arguments))

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


def _serve(pipe: Connection) -> None:
    """Do what comes through the pipe until it is closed."""
    try:
        while True:
            function, *arguments = pipe.recv()
            pipe.send(_attempt(function, arguments))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        # Past the destructors in which tensorflow-io can crash or hang.
        os._exit(0)


_rounds: dict[str, Round] = {}


def _prepare(label: str, name: str, arguments: dict[str, Any]) -> None:
    module, function = name.split(":")
    prepare = getattr(importlib.import_module(f"tests.benchmarks.sides.{module}"), function)
    _rounds[label] = prepare(**arguments)


def _round(label: str, number: int) -> Sample:
    return _rounds[label](number)


def _attempt(function: Callable[..., Any], arguments: list) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except Exception:
        return False, traceback.format_exc(limit=-8)
