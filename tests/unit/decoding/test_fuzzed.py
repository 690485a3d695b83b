"""Damaged records: no exception, no crash, nothing on stderr, and the answers of the references."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECONDS, SEED = 1, 15


@pytest.mark.parametrize("kind", ["tensor", "example", "json", "png", "jpeg"])
def test_damaged_records(kind):
    pytest.importorskip("tensorflow")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.decoding.fuzz", kind, f"{SECONDS}", f"{SEED}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS + 600,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    # Damage within the compressed data of JPEG is found by libjpeg alone, which writes a line.
    assert kind == "jpeg" or done.stderr == ""
    rounds, decoded, bad = map(int, done.stdout.split())
    assert rounds and decoded and bad
