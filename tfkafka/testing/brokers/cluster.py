"""Several embedded brokers that form a cluster, of which each can be disturbed."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.base import NOBODY, Replicas, answers_metadata, live_brokers, replicas
from tfkafka.testing.brokers.folder import State
from tfkafka.testing.brokers.launch import Node, launch
from tfkafka.testing.brokers.listener import SecuredListener
from tfkafka.testing.brokers.processes import end_together
from tfkafka.testing.brokers.secured import Secured
from tfkafka.testing.brokers.settings import cluster_properties, write_settings

ANSWER_DEADLINE_S = 30.0
ANSWER_TIMEOUT_S = 1.0
IN_SYNC_DEADLINE_S = 60.0


class EmbeddedCluster(Secured):
    """A cluster of Apache Kafka on 127.0.0.1; see `embedded.start_cluster`.

    Brokers are named by their numbers, from 0, which are their ids in Kafka's metadata as well.
    As a context manager it stops at the end of the block.

    Attributes:
        bootstrap_servers: the addresses of all brokers, `HOST:PORT,HOST:PORT,...`.
        folder: the folder of the cluster, with one of each broker.
        version: the version of Kafka with which it was started, for example `"3.9.2"`.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[Node],
        states: Sequence[State],
        secured: SecuredListener | None = None,
    ):
        self.bootstrap_servers: str = ",".join(node.address for node in nodes)
        self.version: str = nodes[0].lock.version
        self.folder: Path = folder
        self._nodes = list(nodes)
        self._states = list(states)
        self._secured = secured
        self._secured_addresses = tuple(node.secured_address for node in nodes)

    def __enter__(self) -> EmbeddedCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __len__(self) -> int:
        return len(self._nodes)

    def address(self, broker: int) -> str:
        """Return the address of one broker, `HOST:PORT`."""
        return self._nodes[self._checked(broker)].address

    def running(self) -> set[int]:
        """Return the brokers whose process runs, paused or not."""
        return {number for number, state in enumerate(self._states) if state.kafka.running()}

    def kill(self, broker: int) -> None:
        """End a broker at once (SIGKILL), and wait until its process has ended."""
        self._states[self._checked(broker)].kafka.kill()

    def pause(self, broker: int) -> None:
        """Freeze a broker, and wait until it answers nothing; its connections stay open."""
        self._states[self._checked(broker)].kafka.freeze()

    def resume(self, broker: int) -> None:
        """Let a paused broker continue, and wait until it answers."""
        state = self._states[self._checked(broker)]
        state.kafka.signal(signal.SIGCONT)
        wait_for(
            lambda: answers_metadata(state.address, ANSWER_TIMEOUT_S),
            f"broker {broker} at {state.address} to answer",
            ANSWER_DEADLINE_S,
            BrokerError,
        )

    def restart(self, *brokers: int) -> None:
        """Start brokers again, with the same data and ports, and wait until the cluster has them.

        More than half of all brokers must run then: where more were killed, name several at once.
        """
        numbers = [self._checked(broker) for broker in brokers]
        if not numbers:
            return
        end_together([self._states[number].kafka for number in numbers])
        states = launch([self._nodes[number] for number in numbers])
        for number, state in zip(numbers, states, strict=True):
            self._states[number] = state

    def upgrade(self, broker: int, version: str) -> None:
        """Restart a broker with another version of Kafka, and wait until the cluster has it.

        One after the other, with `wait_until_in_sync` in between, that is a rolling upgrade. Until
        `metadata.version` is raised (`kafka-features.sh`), the cluster does what the version before
        did, and a broker may go back to that.

        Raises BrokerError for a version without a lock file or KRaft; the broker then runs on.
        """
        number = self._checked(broker)
        lock = jars.read_kraft_lock(version, "a cluster")
        jars.fetch(lock, progress=False)
        node = replace(self._nodes[number], lock=lock)
        own = cluster_properties(number, [each.ports for each in self._nodes])
        if self._secured is not None:
            own |= self._secured.broker_properties(node.ports)
        write_settings(node.home.config, node.home.data, lock, node.ports, own)
        node.home.mark_data(version)
        self._nodes[number] = node
        self.restart(number)

    def leader(self, topic: str, partition: int) -> int:
        """Return the broker that leads a partition, once all agree on one."""
        return self._led(topic, partition).leader

    def in_sync(self, topic: str, partition: int) -> set[int]:
        """Return the brokers whose replica of a partition is in sync, once all agree on them."""
        return set(self._led(topic, partition).in_sync)

    def wait_until_in_sync(self, deadline_s: float = IN_SYNC_DEADLINE_S) -> None:
        """Wait until each broker knows all brokers, and each replica of each topic is in sync."""
        wait_for(
            self._are_in_sync,
            f"all replicas at {self.bootstrap_servers} to be in sync",
            deadline_s,
            BrokerError,
        )

    def logs(self, broker: int | None = None) -> str:
        """Return everything that one broker, or each of them, has logged so far."""
        nodes = self._nodes if broker is None else [self._nodes[self._checked(broker)]]
        return "".join(node.home.read_log() for node in nodes)

    def stop(self) -> None:
        """End all brokers; no process keeps running. Safe to call twice."""
        end_together([state.kafka for state in self._states])
        for node in self._nodes:
            node.home.forget_state()

    def _that_run(self) -> list[str]:
        return [state.address for state in self._states if state.kafka.active()]

    def _checked(self, broker: int) -> int:
        if broker not in range(len(self)):
            raise BrokerError(f"there is no broker {broker!r}: there are 0 to {len(self) - 1}")
        return broker

    def _led(self, topic: str, partition: int) -> Replicas:
        # The brokers learn of a change one after the other.
        def agreed() -> list[Replicas]:
            active = [number for number, state in enumerate(self._states) if state.kafka.active()]
            found = {(self._replicas(number) or {}).get((topic, partition)) for number in active}
            return [each for each in found if each and each.leader != NOBODY and len(found) == 1]

        what = (
            f"the brokers of {self.bootstrap_servers} to agree on a leader of {topic}-{partition}"
        )
        [led] = wait_for(agreed, what, ANSWER_DEADLINE_S, BrokerError)
        return led

    def _are_in_sync(self) -> bool:
        answers = [self._replicas(number) for number in range(len(self))]
        everybody = set(range(len(self)))
        known = [live_brokers(self.address(number), ANSWER_TIMEOUT_S) for number in everybody]
        return all(ids == everybody for ids in known) and all(
            answer is not None
            and all(each.leader != NOBODY and each.in_sync == each.all for each in answer.values())
            for answer in answers
        )

    def _replicas(self, broker: int) -> dict[tuple[str, int], Replicas] | None:
        return replicas(self.address(broker), ANSWER_TIMEOUT_S)
