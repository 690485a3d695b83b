"""Processes recognised and signals held back: what no broker has to run for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tfkafka.testing.brokers import processes
from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.processes import JavaProcess, ctrl_c_held_back, free_ports
from tfkafka.testing.brokers.running import started_in
from tfkafka.testing.brokers.settings import Ports


def test_ctrl_c_comes_after_the_block():
    done, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_held_back():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_comes_where_the_block_lets_it():
    done, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_held_back() as deliver:
        deliver()
        done.append("nothing to deliver")
        signal.raise_signal(signal.SIGINT)
        deliver()
        done.append("never")
    assert done == ["nothing to deliver"]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_a_finalizer_is_not_lost():
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), ctrl_c_held_back():
        Finalized()


def test_handler_that_returns_lets_the_block_go_on():
    done: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: done.append("handler"))
    try:
        with ctrl_c_held_back() as deliver:
            signal.raise_signal(signal.SIGINT)
            deliver()
            done.append("the rest")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["handler", "the rest"]


def test_error_in_the_block_passes_through():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="mine"), ctrl_c_held_back():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is before


def test_pid_that_was_given_out_again_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    def must_not_wait(*_: object) -> None:
        raise AssertionError("waits for somebody else's process")

    monkeypatch.setattr(psutil.Process, "wait", must_not_wait)
    somebody_else = JavaProcess(os.getpid(), started=1.0)
    assert not somebody_else.running()
    somebody_else.end()  # a signal would end this test


def test_process_that_ignores_the_polite_signal_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tfkafka.testing.brokers.processes.STOP_DEADLINE_S", 0.0)
    program = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            process = JavaProcess.of(child.pid)
            assert process.running()
            process.end()
            assert not process.running()
        finally:
            child.kill()


def test_all_threads_have_stopped_when_freezing_returns():
    program = """
import threading
for _ in range(8):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
print(flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            process = JavaProcess.of(child.pid)
            process.freeze()
            threads = [psutil.Process(each.id) for each in psutil.Process(child.pid).threads()]
            assert {thread.status() for thread in threads} == {psutil.STATUS_STOPPED}
            assert len(threads) >= 9
        finally:
            child.kill()


def test_a_process_whose_pid_was_given_out_again_has_ended(monkeypatch):
    """While psutil looks at it: it finds no file, and then the other process's."""
    found = JavaProcess(os.getpid(), psutil.Process().create_time())
    assert found.running() and found.active()

    def without_file(_self) -> float:
        raise FileNotFoundError(f"/proc/{os.getpid()}/stat")

    monkeypatch.setattr(psutil.Process, "create_time", without_file)
    assert not found.running() and not found.active()


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the time of the start is all there is")
def test_a_broker_outlives_a_step_of_the_system_clock_and_can_be_stopped(tmp_path, monkeypatch):
    """As chronyc makestep does it, or a virtual machine that was paused: the time of boot moves."""
    program = "import signal; print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            process, boot = JavaProcess.of(child.pid), psutil.boot_time()
            BrokerFolder(tmp_path).write_state(State("4.4.0", Ports(1, 2), process, None))
            monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: boot + 3600)
            assert process.running()
            assert started_in(tmp_path).stop() == "Kafka 4.4.0 at 127.0.0.1:1 has stopped."
            assert not psutil.pid_exists(child.pid)
        finally:
            child.kill()


def test_a_process_is_known_by_its_start_and_by_the_time_that_earlier_versions_wrote():
    started, pid = JavaProcess.of(os.getpid()).started, os.getpid()
    assert JavaProcess(pid, started).running()
    assert JavaProcess(pid, psutil.Process().create_time()).running()
    for other in (psutil.Process().create_time() + 2, f"{started}0", f"1{started}"):
        assert not JavaProcess(pid, other).running()


@pytest.mark.skipif(not psutil.LINUX, reason="writes to /proc")
def test_a_process_is_known_whatever_its_name_is():
    found, name = JavaProcess.of(os.getpid()), Path(f"/proc/{os.getpid()}/comm")
    before = name.read_text()
    name.write_text("a) b (c) 1 2")
    try:
        assert found.running()
    finally:
        name.write_text(before)


def test_workers_of_pytest_xdist_have_ports_of_their_own(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.setattr(processes, "SERVER_PORTS", range(20_000, 20_010))
    monkeypatch.setattr(processes, "port_is_free", lambda _: True)
    assert sorted(free_ports(10)) == list(range(20_000, 20_010))
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    for worker, first in (("gw0", 20_000), ("gw1", 20_005), ("gw2", 20_000)):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        assert sorted(free_ports(5)) == list(range(first, first + 5))
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "a name given by --tx")
    assert sorted(free_ports(10)) == list(range(20_000, 20_010))
