"""Launchers as processes: what they print, what they have started, and their end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tfkafka.testing import wait_for

ROOT = Path(__file__).parents[2]
LOCAL = "examples/launch/local.py"
DEADLINE_S = 240.0
CPU_ONLY = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}


class Launched:
    """A process of a script, whose output goes to a file."""

    def __init__(self, *command: str, **environment: str):
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **CPU_ONLY, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        self._output.seek(0)
        return self._output.read()

    def said(self) -> list[str]:
        """The lines of local.py itself."""
        return [line for line in self.output().splitlines() if line.startswith("local.py: ")]

    def descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        def look() -> bool:
            assert self.process.poll() is None, f"it has ended before {what}: {self.output()}"
            return bool(condition())

        wait_for(look, what, DEADLINE_S)

    def end(self) -> int:
        """Return the status with which it ends by itself."""
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.output()}") from None


@contextlib.contextmanager
def launched(*command: str, **environment: str) -> Iterator[Launched]:
    """Yield the process; afterwards nothing is left of it."""
    run = Launched(*command, **environment)
    try:
        yield run
    finally:
        for process in run.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        run.process.kill()
        run.process.wait()
