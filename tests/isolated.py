"""Run a function in a Python process of its own, and bring back what it returns.

tensorflow-io's Kafka datasets keep state in process-wide statics, and a process that made several
of them can crash while exiting; so each use of them gets a fresh process.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DEADLINE_S = 280.0


class ProcessFailed(AssertionError):
    """The function raised, or its process ended without a result."""


def run(function: Callable[..., Any], *args: Any, deadline_s: float = DEADLINE_S, **kwargs: Any):
    """Call `function`, which a module holds at its top level, in a new process.

    Raises ProcessFailed, with the end of what the process printed, unless it returns.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder, "request"), Path(folder, "answer")
        request.write_bytes(pickle.dumps((function.__module__, function.__name__, args, kwargs)))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        done = subprocess.run(
            [sys.executable, "-m", "tests.isolated", str(request), str(answer)],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=deadline_s,
        )  # fmt: skip
        if not answer.exists():
            output = (done.stdout + done.stderr)[-3000:]
            raise ProcessFailed(f"{function.__name__} ended with {done.returncode}:\n{output}")
        return pickle.loads(answer.read_bytes())


def _serve(request: Path, answer: Path) -> None:
    module, name, args, kwargs = pickle.loads(request.read_bytes())
    result = getattr(importlib.import_module(module), name)(*args, **kwargs)
    scratch = answer.with_suffix(".new")
    scratch.write_bytes(pickle.dumps(result))
    scratch.rename(answer)
    sys.stdout.flush()
    # Past the destructors in which tensorflow-io can crash: that is a defect with its own test.
    os._exit(0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
