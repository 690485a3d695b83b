"""The notebook from top to bottom, as a script with few rows: make notebook makes the real one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from reproduction.readers import MODULES
from tests.documents import ROOT

NOTEBOOK = ROOT / "notebooks" / "kafka.py"
DEADLINE_S = 300
# tensorflow-io's stream has to outlast the time in which a member joins its group.
STREAM_TIMEOUT_MS = {"tfkafka": 2_000, "tfio": 10_000}


@pytest.mark.parametrize("reader", MODULES)
def test_it_runs_from_top_to_bottom(reader, tmp_path):
    options = {
        "NOTEBOOK_READER": reader,
        "NOTEBOOK_ROWS": "2500",
        "NOTEBOOK_EPOCHS": "1",
        "NOTEBOOK_STREAM_TIMEOUT": str(STREAM_TIMEOUT_MS[reader]),
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, str(NOTEBOOK)],
        cwd=tmp_path,
        env=os.environ | options,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    said = done.stdout.splitlines()
    assert "susy-train: 1,500 records" in said, done.stderr[-3000:]
    assert any(line.startswith("1,000 records, accuracy 0.") for line in said), done.stderr[-3000:]
    assert said[-1] == "mini datasets: 1", done.stderr[-3000:]
    # A process with several datasets of tensorflow-io may crash while it exits.
    assert done.returncode == 0 or reader == "tfio", done.stderr[-3000:]
