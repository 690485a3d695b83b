"""Start the Java processes of embedded brokers, and wait until each broker answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError, TfkafkaError
from tfkafka.testing.brokers import class_archive, formatting, jars
from tfkafka.testing.brokers.base import live_brokers
from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.processes import (
    JavaProcess,
    ctrl_c_held_back,
    end_together,
    port_is_free,
    run_java,
    start_java,
)
from tfkafka.testing.brokers.settings import HOST, Ports, flag_of_flags, logging_flag

READY_DEADLINE_S = 120.0
ANSWER_TIMEOUT_S = 1.0
STARTS_ON_FREE_PORTS = 3
# The serial collector and only the first compiler: the fastest start on a small machine.
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
ZOOKEEPER_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
KAFKA_MAIN = "kafka.Kafka"
ZOOKEEPER_SHELL = "org.apache.zookeeper.ZooKeeperMain"
STORAGE_MAIN = "kafka.tools.StorageTool"


@dataclass(frozen=True)
class Node:
    """A broker that can be launched from the settings in its folder.

    Attributes:
        number: its id in the cluster.
        heap_mb: the memory of each of its Java processes, in MB.
        die_with_parent: whether it ends with the thread that launches it.
    """

    home: BrokerFolder
    lock: jars.Lock
    ports: Ports
    die_with_parent: bool
    number: int = 0
    heap_mb: int = 512

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports.broker}"

    @property
    def secured_address(self) -> str:
        """Of its listener with security, if it has one."""
        return f"{HOST}:{self.ports.secured}"

    @property
    def kafka_data(self) -> Path:
        return self.home.data / "kafka"

    @property
    def java_flags(self) -> list[str]:
        heap = [f"-Xmx{self.heap_mb}M", f"-Xms{self.heap_mb}M"]
        config = self.home.config
        own = [flag_of_flags(config), logging_flag(config, self.lock)]
        classes = [*class_archive.flags(self.lock), "-cp", jars.classpath(self.lock)]
        return [*heap, *JVM, *own, *classes]


def launch_on_free_ports(
    choose: Callable[[], list[Node]], attempts: int = STARTS_ON_FREE_PORTS
) -> tuple[list[Node], list[State]]:
    """Launch the nodes that `choose` returns; call it again where one of their ports was taken.

    Another program can take a free port before Java binds to it.
    """
    for attempt in range(1, attempts + 1):
        nodes = choose()
        logged = [len(node.home.read_log()) for node in nodes]
        try:
            return nodes, launch(nodes)
        except BrokerError:
            new = [n.home.read_log()[before:] for n, before in zip(nodes, logged, strict=True)]
            if attempt == attempts or not any("BindException" in log for log in new):
                raise
    raise AssertionError("the loop returns or raises")


def launch(nodes: Sequence[Node]) -> list[State]:
    """Start nodes of one cluster, record each in its folder, and wait until each one answers.

    Raises BrokerError where one does not come up; none of them runs then.
    """
    with class_archive.recording(nodes[0].lock) as recording:
        launch = _Launch(nodes, recording)
        try:
            # A Ctrl-C between a start and its record would leave a process that nobody ends.
            with ctrl_c_held_back() as deliver_ctrl_c:
                states = launch.run(deliver_ctrl_c)
            if recording:
                recording.make_archive()
        except BaseException:
            launch.undo()
            raise
    return states


class _Launch:
    def __init__(self, nodes: Sequence[Node], recording: class_archive.Recording | None):
        self._nodes = nodes
        self._recording = recording
        self._brokers: list[JavaProcess] = []
        self._zookeepers: list[JavaProcess] = []

    def run(self, deliver_ctrl_c: Callable[[], None]) -> list[State]:
        self._deliver_ctrl_c = deliver_ctrl_c
        self._format_storage()
        states = [self._start(node) for node in self._nodes]
        numbers = {node.number for node in self._nodes}
        for node in self._nodes:
            what = f"Kafka {node.lock.version} at {node.address}"
            self._wait(node, partial(_knows, node, numbers), what)
        return states

    def undo(self) -> None:
        # The brokers first: they need ZooKeeper to shut down cleanly.
        end_together(self._brokers)
        end_together(self._zookeepers)
        for node in self._nodes:
            node.home.forget_state()

    def _start(self, node: Node) -> State:
        zookeeper = self._start_zookeeper(node) if node.lock.uses_zookeeper else None
        broker = self._java(node, KAFKA_MAIN, "server.properties", self._brokers)
        state = State(node.lock.version, node.ports, broker, zookeeper)
        node.home.write_state(state)
        return state

    def _start_zookeeper(self, node: Node) -> JavaProcess:
        was_used = (node.home.data / "zookeeper").exists()
        zookeeper = self._java(node, ZOOKEEPER_MAIN, "zookeeper.properties", self._zookeepers)
        if was_used:
            port = node.ports.metadata
            address = f"{HOST}:{port}"
            self._wait(node, lambda: not port_is_free(port), f"ZooKeeper at {address}")
            _forget_dead_broker(node, address)
        return zookeeper

    def _java(
        self, node: Node, main: str, settings: str, started: list[JavaProcess]
    ) -> JavaProcess:
        self._deliver_ctrl_c()
        arguments = [*self._flags(node, main), main, str(node.home.config / settings)]
        started.append(start_java(arguments, node.home.log, node.die_with_parent))
        return started[-1]

    def _flags(self, node: Node, main: str) -> list[str]:
        return [*(self._recording.flags(main) if self._recording else []), *node.java_flags]

    def _wait(self, node: Node, answers: Callable[[], bool], what: str) -> None:
        def up() -> bool:
            self._deliver_ctrl_c()
            if not all(process.running() for process in self._brokers + self._zookeepers):
                raise BrokerError("one of its processes ended while starting")
            return answers()

        try:
            wait_for(up, "an answer", READY_DEADLINE_S)
        except TfkafkaError as error:
            raise BrokerError(
                f"{what} did not come up: {error}; the end of its log:\n{node.home.log_tail()}"
            ) from error

    def _format_storage(self) -> None:
        """Format the data folders with the cluster's id, which KRaft requires once."""
        nodes = [node for node in self._nodes if not node.lock.uses_zookeeper]
        found = [formatting.cluster_id(node.kafka_data) for node in nodes]
        cluster_id = next(filter(None, found), None) or formatting.new_id()
        for node, its_id in zip(nodes, found, strict=True):
            if its_id is None:
                self._format(node, cluster_id)

    def _format(self, node: Node, cluster_id: str) -> None:
        if formatting.copy(node.lock, node.kafka_data, cluster_id, node.number):
            return
        self._deliver_ctrl_c()
        _format(node, self._flags(node, STORAGE_MAIN), cluster_id)
        formatting.keep(node.lock, node.kafka_data)


def _knows(node: Node, numbers: set[int]) -> bool:
    """Return whether a broker answers, and has these in its metadata.

    Clients drop a broker, and their requests to it, when another one does not know it.
    """
    return numbers <= live_brokers(node.address, ANSWER_TIMEOUT_S)


def _forget_dead_broker(node: Node, zookeeper: str) -> None:
    """Delete the nodes that a killed broker left in ZooKeeper until its session ends.

    Until then (18 s) a broker with the same id is refused with NodeExistsException.
    """
    commands = "delete /brokers/ids/0\ndelete /controller\n"
    run_java([*node.java_flags, ZOOKEEPER_SHELL, "-server", zookeeper], commands)


def _format(node: Node, flags: list[str], cluster_id: str) -> None:
    settings = str(node.home.config / "server.properties")
    done = run_java([*flags, STORAGE_MAIN, "format", "-t", cluster_id, "-c", settings])
    if done.returncode:
        with node.home.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        raise BrokerError(f"Kafka could not format {node.home.data}:\n{node.home.log_tail()}")
