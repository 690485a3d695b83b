"""Run the command as a user would: in a process of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
DEADLINE_S = 200
NOTHING: Mapping[str, str] = MappingProxyType({})


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tfkafka", *map(str, arguments)]


def environment(home: Path, more: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """Return an environment in which the command's default folder is within `home`."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(home), **more}


def run(
    home: Path, *arguments: object, more: Mapping[str, str] = NOTHING
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in `home`."""
    return subprocess.run(
        command(*arguments),
        cwd=home,
        env=environment(home, more),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL,
    )


def refusal(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The one line of a command that failed as it should; AssertionError if it did otherwise."""
    assert done.returncode == status, (done.returncode, done.stdout[-1000:], done.stderr[-2000:])
    [line] = done.stderr.splitlines()
    assert line.startswith("tfkafka")
    return line
