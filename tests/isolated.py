"""Run a function in a Python process of its own, and bring back what it returns.

tensorflow-io's Kafka datasets keep state in process-wide statics, and a process that made several
of them can crash while exiting; so each use of them gets a fresh process.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import forked
from tests.client_settings import SECURED_VARIABLE

DEADLINE_S = 800.0


class ProcessFailed(AssertionError):
    """The function raised, or its process ended without a result."""


def run(function: Callable[..., Any], *args: Any, deadline_s: float = DEADLINE_S, **kwargs: Any):
    """Call `function`, which a module holds at its top level, in a new process.

    Raises ProcessFailed, with the end of what the process printed, unless it returns, and
    TimeoutError if it does not end in time.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call = pickle.dumps((function, args, kwargs))
        process = forked.context().Process(target=_serve, args=(folder, dict(os.environ), call))
        process.start()
        try:
            process.join(deadline_s)
            if process.is_alive():
                raise TimeoutError(f"{function.__name__} did not end within {deadline_s:g} s")
        finally:
            if process.is_alive():
                process.kill()
                process.join()
        answer = folder / "answer"
        if not answer.exists():
            log = folder / "output"
            output = log.read_text(errors="replace")[-3000:] if log.exists() else ""
            raise ProcessFailed(f"{function.__name__} ended with {process.exitcode}:\n{output}")
        return pickle.loads(answer.read_bytes())


def _serve(folder: Path, environment: dict[str, str], call: bytes) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if SECURED_VARIABLE in environment:
        # Before the function's module imports clients.
        from tests.secured import give_settings_to_clients

        give_settings_to_clients()
    with (folder / "output").open("wb") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    status = 0
    try:
        function, args, kwargs = pickle.loads(call)
        scratch = folder / "answer.new"
        scratch.write_bytes(pickle.dumps(function(*args, **kwargs)))
        scratch.rename(folder / "answer")
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Past the destructors in which tensorflow-io can crash: that is a defect with its own test.
    _keep_coverage()
    os._exit(status)


def _keep_coverage() -> None:
    """Write what `make coverage` has measured in this process, whose end nothing else notices."""
    if coverage := sys.modules.get("coverage"):
        measured = coverage.Coverage.current()
        if measured:
            measured.stop()
            measured.save()
