"""examples/launch/local.py: what a process is told, what follows when one dies, and signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.distributed.launching import DEADLINE_S, LOCAL, ROOT, Launched, launched
from tfkafka.testing import wait_for

pytestmark = pytest.mark.distributed

# On a busy machine, after SIGKILL.
ENDED_S = 10.0
PYTHON = [sys.executable, "-c"]
# Appends a line to a file whenever something is to be known.
NOTE = """
import json, os, pathlib, signal, subprocess, sys, time
names = "JAX_PROCESS_ID", "JAX_NUM_PROCESSES", "JAX_COORDINATOR_ADDRESS"
index, count, address = (os.environ[name] for name in names)
log = pathlib.Path(sys.argv[1])
def note(*what):
    with log.open("a") as file:
        file.write(json.dumps([index, count, address, os.getpid(), *what]) + "\\n")
"""


def run(log: Path, code: str, *options: str):
    """A launched local.py with two processes of NOTE and `code`."""
    return launched(
        LOCAL, "--processes", "2", *options, "--", *PYTHON, NOTE + textwrap.dedent(code), str(log)
    )


def notes(log: Path) -> list[list]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_process_learns_its_index_the_number_and_where_process_0_listens(tmp_path):
    log = tmp_path / "log"
    with run(log, "note()") as local:
        assert local.end() == 0
        assert local.output() == ""
    noted = notes(log)
    assert sorted(index for index, *_ in noted) == ["0", "1"]
    assert {count for _, count, *_ in noted} == {"2"}
    (address,) = {address for *_, address, _ in noted}
    host, _, port = address.partition(":")
    assert host == "127.0.0.1" and 0 < int(port) < 2**16


def test_when_one_dies_all_begin_again(tmp_path):
    log = tmp_path / "log"
    code = """
        begun = len(log.read_text().splitlines()) if log.exists() else 0
        note()
        while len(log.read_text().splitlines()) < 2:
            time.sleep(0.01)
        if begun < 2:
            if index == "1":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
    """
    with run(log, code) as local:
        assert local.end() == 0
        assert local.said() == [
            "local.py: process 1 of 2 was ended by SIGKILL: starting all again (restart 1 of 3)"
        ]
    noted = notes(log)
    assert [index for index, *_ in noted].count("0") == 2 and len(noted) == 4
    assert len({address for *_, address, _ in noted}) == 2


def test_it_gives_up_after_as_many_restarts(tmp_path):
    log = tmp_path / "log"
    code = 'note(); sys.exit(3 if index == "0" else 0)'
    with run(log, code, "--restarts", "1") as local:
        assert local.end() == 1
        assert local.said() == [
            "local.py: process 0 of 2 ended with status 3: starting all again (restart 1 of 1)",
            "local.py: process 0 of 2 ended with status 3: not started again",
        ]
    assert [index for index, *_ in notes(log)].count("0") == 2


# A child of the process's own, which ignores what is passed on.
WAITS = """
    ignore = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)];"
    child = [sys.executable, "-c", ignore + "print(flush=True); time.sleep(600)"]
    child = subprocess.Popen(child, stdout=subprocess.PIPE)
    child.stdout.readline()
    note(child.pid)
    time.sleep(600)
"""
STUBBORN = """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: note(number))
    note(0)
    while True:
        time.sleep(600)
"""


def interrupt(local: Launched, log: Path, number: signal.Signals) -> list[int]:
    """Send the signal once both processes are there. Return the ids of all that has run."""
    local.wait_until(lambda: len(notes(log)) == 2, "both processes have begun")
    local.process.send_signal(number)
    assert local.end() == 128 + number, local.output()
    return [pid for *_, pid, child in notes(log)[:2] for pid in (pid, child) if pid]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_running(tmp_path, number):
    log = tmp_path / "log"
    with run(log, WAITS) as local:
        pids = interrupt(local, log, number)
        assert local.said() == []
    assert len(pids) == 4
    wait_until_ended(pids)


def test_a_process_that_ignores_signals_is_killed(tmp_path):
    log = tmp_path / "log"
    with run(log, STUBBORN, "--grace", "1") as local:
        pids = interrupt(local, log, signal.SIGINT)
        assert local.said() == [
            f"local.py: process {index} has not ended in 1 s: killed" for index in range(2)
        ]
    assert len(pids) == 2
    wait_until_ended(pids)
    # It was asked before, by the same signal.
    assert sorted(number for *_, number in notes(log)) == [0, 0, signal.SIGINT, signal.SIGINT]


def test_nothing_is_left_where_nobody_reads_what_it_says(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, LOCAL, "--processes", "2", "--grace", "0", "--", *PYTHON]
    command += [NOTE + textwrap.dedent(STUBBORN), str(log)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        wait_for(lambda: len(notes(log)) == 2, "both processes have begun", DEADLINE_S)
        process.stderr.close()
        process.terminate()
        assert process.wait(DEADLINE_S) == 128 + signal.SIGTERM
    wait_until_ended([pid for *_, pid, _ in notes(log)])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--processes", "0", "--", "true"], "argument --processes: must be a whole number"),
        (["--processes", "x", "--", "true"], "argument --processes: must be a whole number"),
        (["--processes", "2", "--restarts", "-1", "--", "true"], "argument --restarts: "),
        (["--processes", "2"], "the following arguments are required: command"),
        (["--", "true"], "the following arguments are required: --processes"),
    ],
)
def test_a_wrong_option_is_one_line(options, line):
    with launched(LOCAL, *options) as local:
        assert local.end() == 2
        (said,) = local.output().splitlines()
    assert said.startswith(f"local.py: {line}") and said.endswith("(see --help)")


def test_a_command_that_is_not_there_is_one_line():
    with launched(LOCAL, "--processes", "2", "--", "./no such command") as local:
        assert local.end() == 1
        assert local.output() == (
            "local.py: ./no such command: cannot be started: No such file or directory\n"
        )


def wait_until_ended(pids: list[int]) -> None:
    """What is killed may take a moment to end; what it started is not waited for by anybody."""
    wait_for(lambda: not any(map(is_running, pids)), "all processes have ended", ENDED_S)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
