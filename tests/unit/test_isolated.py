"""The harness for functions in processes of their own: result, exception, crash, deadline."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.isolated import ProcessFailed, run


def describe(*args, **kwargs) -> tuple:
    return args, kwargs, os.getpid()


def fail(text: str) -> None:
    raise ValueError(text)


def end(how: str) -> None:
    if how == "exit":
        sys.exit(0)
    print("last words", flush=True)
    os.kill(os.getpid(), signal.Signals[how])


def crash_at_exit() -> str:
    atexit.register(os.abort)
    return "a result"


def hang(noted: Path) -> None:
    noted.write_text(str(os.getpid()))
    time.sleep(600)


def unpicklable():
    return lambda: None


def environment(name: str) -> str | None:
    return os.environ.get(name)


def test_result_comes_back_from_another_process():
    args, kwargs, pid = run(describe, 1, b"\x00", path=Path("x"))
    assert (args, kwargs) == ((1, b"\x00"), {"path": Path("x")})
    assert pid != os.getpid()


def test_each_call_has_a_fresh_process():
    assert run(describe)[2] != run(describe)[2]


def test_environment_is_passed_on(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "7")
    assert run(environment, "TF_CPP_MIN_LOG_LEVEL") == "7"


def test_exception_is_shown_with_its_traceback():
    with pytest.raises(ProcessFailed) as raised:
        run(fail, "too bad")
    text = str(raised.value)
    assert text.startswith("fail ended with 1:")
    assert "ValueError: too bad" in text
    assert "in fail\n    raise ValueError(text)" in text


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV"])
def test_crash_is_shown_with_its_signal(how):
    with pytest.raises(ProcessFailed) as raised:
        run(end, how)
    assert str(raised.value).startswith(f"end ended with -{signal.Signals[how].value}:")
    assert "last words" in str(raised.value)


def test_orderly_exit_without_a_result_is_a_failure():
    with pytest.raises(ProcessFailed, match="SystemExit: 0"):
        run(end, "exit")


def test_result_that_cannot_be_brought_back_is_a_failure():
    with pytest.raises(ProcessFailed, match="pickle"):
        run(unpicklable)


def test_crash_after_the_result_does_not_take_it_away():
    assert run(crash_at_exit) == "a result"


def test_deadline_ends_the_process(tmp_path):
    run(describe)  # The first process of all waits for TensorFlow's import.
    with pytest.raises(TimeoutError, match="hang did not end within 10 s"):
        run(hang, tmp_path / "pid", deadline_s=10)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
