"""What scripts show: errors and warnings in a line or two, TensorFlow's messages in a log."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import signal
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

from reproduction.report.errors import ReportError
from reproduction.susy.errors import SusyDataError
from tfkafka._util.text import of_error
from tfkafka.errors import TfkafkaError

WIDTH = 100
LOG_TAIL_LINES = 20
MENDABLE = (TfkafkaError, SusyDataError, ReportError, OSError)
# What these say is about the data or Kafka. They are named, since importing them takes seconds.
LIBRARY_ERRORS = {
    "tensorflow.python.framework.errors_impl.OpError",
    "kafka.errors.KafkaError",
    "cimpl.KafkaException",
}

_interrupts: list[int] = []
_logs: list[Path] = []


def shown(path: Path) -> str:
    """Return the path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextlib.contextmanager
def quiet_tensorflow(arguments: argparse.Namespace) -> Iterator[None]:
    """Import TensorFlow in this block, and let its C++ code write to a log from then on.

    C++ writes to file descriptor 2, from threads that Python does not know: that becomes the log,
    and `sys.stderr` a copy of what it was. So errors and warnings of Python are still shown. With
    --verbose nothing is changed.
    """
    if arguments.verbose:
        yield
        return
    log = arguments.artifacts / f"{Path(sys.argv[0]).stem}.log"
    print(f"TensorFlow's own messages: {shown(log)} (--verbose shows them)", flush=True)
    sys.stderr.flush()
    terminal = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    _logs.append(log)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = terminal
        faulthandler.enable(terminal)  # a crash of C++ code must not go unseen


def install() -> None:
    """Let errors, warnings and Ctrl-C be shown as `_show_error` and `_format_warning` do."""
    sys.excepthook = _show_error
    # A path may have characters that the terminal's encoding lacks, or bytes that are not text.
    sys.stdout.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _format_warning
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_interrupt)


def _format_warning(message, category, filename, lineno, line=None) -> str:
    """Leave out the path and the source, which say nothing to a user, and wrap the rest."""
    progress_bar = "\n" if sys.stdout.isatty() else ""  # the cursor may be at the end of one
    return progress_bar + textwrap.fill(f"{category.__name__}: {message}", WIDTH) + "\n"


def _on_interrupt(number: int, frame) -> None:
    """Remember a Ctrl-C: pandas' parser, for one, makes another exception of it."""
    _interrupts.append(number)
    raise KeyboardInterrupt


def _show_error(kind: type[BaseException], error: BaseException, trace) -> None:
    """Print in one line what a user can mend. Anything else is a bug and keeps its traceback."""
    script = Path(sys.argv[0]).name
    if _interrupts or issubclass(kind, KeyboardInterrupt):
        print(f"\n{script}: interrupted", file=sys.stderr)
        # kafka-python sends what is left while Python ends, and raises where a broker is too slow.
        sys.unraisablehook = lambda _unraisable: None
    elif issubclass(kind, MENDABLE):
        print(f"{script}: {of_error(error)}", file=sys.stderr)
    else:
        _show_log()
        if _is_library_error(kind):
            print(f"{script}: {error}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)


def _show_log() -> None:
    """Print the end of TensorFlow's log, which may say more than the exception does."""
    for log in _logs:
        if lines := log.read_text(errors="backslashreplace").splitlines():
            print(f"The end of {shown(log)}:", *lines[-LOG_TAIL_LINES:], sep="\n", file=sys.stderr)


def _is_library_error(kind: type[BaseException]) -> bool:
    """Whether TensorFlow or a Kafka client raised it."""
    names = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    return not names.isdisjoint(LIBRARY_ERRORS)
