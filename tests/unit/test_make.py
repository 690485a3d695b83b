"""`make` passes paths on as they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Without what make tells the makes that it starts.
TOLD = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "STACK")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in TOLD}
ODD = """a b,c'd "e" $HOME `f` é;*.csv"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


def make(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run make with an environment that is installed, and a Python that prints its arguments."""
    (folder / "installed").touch()
    command = ["make", "--no-print-directory", f"VENV={folder}", r"RUN=@printf '%s\n'", *options]
    return run(command)


@pytest.mark.parametrize(
    ("target", "variable", "flag"),
    [("reproduce", "SUSY", "--susy"), ("fidelity", "REAL", "--real")],
)
def test_a_path_is_one_argument(target: str, variable: str, flag: str, tmp_path: Path):
    done = make(tmp_path, target, f"{variable}={ODD}")
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[said.index(flag) + 1] == ODD


def test_real_rows_must_be_named(tmp_path: Path):
    done = make(tmp_path, "fidelity")
    assert (done.returncode, done.stdout) == (
        2,
        "make fidelity: name real rows, REAL=path/to/SUSY.csv.gz\n",
    )


def test_a_python_may_be_in_a_folder_with_blanks(tmp_path: Path):
    """It is asked for its version, and then makes the environment."""
    python = tmp_path / "a b" / "it's python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s;" "$@" >> "$0.log"\ntest "$1" != -m\n')
    python.chmod(0o755)
    target = tmp_path / "venv" / "installed"
    command = ["make", f"VENV={target.parent}", str(target), f"PYTHON={python}"]
    done = run(command)
    assert done.returncode == 2
    assert f"Installing into {target.parent} with {python}" in done.stdout
    said = python.with_name(f"{python.name}.log").read_text()
    assert said.endswith(f"--version;-m;venv;{target.parent};")


def test_a_python_that_is_none_is_refused_in_one_line(tmp_path: Path):
    target = tmp_path / "installed"
    command = ["make", f"VENV={tmp_path}", str(target), "PYTHON=no such python"]
    done = run(command)
    lines = done.stderr.splitlines()
    assert lines[0].startswith(
        "make: needs one of Python 3.12 3.11, and none of these is one: no such"
    )
    assert lines[1].startswith("make: ***") and len(lines) == 2
