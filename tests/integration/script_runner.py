"""Run the scripts as a user would: each in a process of its own, output and all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE_S = 800


def command(script: str, *options: object) -> list[str]:
    return [sys.executable, str(ROOT / "scripts" / script), *map(str, options)]


def run(script: str, *options: object) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    return subprocess.run(
        command(script, *options),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        stdin=subprocess.DEVNULL,
    )


def error_line(done: subprocess.CompletedProcess[str], script: str) -> str:
    """The one line of a script that failed as it should; AssertionError if it failed otherwise."""
    assert done.returncode == 1, (done.returncode, done.stdout[-1000:], done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{script}: ")]
    assert len(lines) == 1, done.stderr[-2000:]
    return lines[0]
