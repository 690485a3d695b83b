"""The interface of all brokers: embedded, in Docker, or run by others."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tfkafka.errors import BrokerError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient, ClusterMetadata


CHANGE_DEADLINE_S = 60.0
Changed = TypeVar("Changed")


class Broker(ABC):
    """A Kafka broker that a test or a script can use and, if it started it, disturb.

    Attributes:
        bootstrap_servers: `HOST:PORT`, for clients.
    """

    bootstrap_servers: str

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of Kafka, for example `"3.9.2"`."""

    @abstractmethod
    def logs(self) -> str:
        """Return everything that the broker has logged so far."""

    @abstractmethod
    def kill(self) -> None:
        """End the broker at once (SIGKILL), like a power cut."""

    @abstractmethod
    def restart(self) -> None:
        """Start again on the same data and port, and wait until the broker answers."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze the broker: connections stay open, but nothing is answered."""

    @abstractmethod
    def resume(self) -> None:
        """Let a paused broker continue."""

    @abstractmethod
    def stop(self) -> None:
        """Shut down cleanly; no process keeps running. Safe to call twice."""


NOBODY = -1


@dataclass(frozen=True)
class Replicas:
    """Where a partition is, as ids of brokers; `leader` is NOBODY where it has none."""

    leader: int
    all: frozenset[int]
    in_sync: frozenset[int]


def answers_metadata(
    bootstrap_servers: str,
    timeout_s: float,
    configuration: Mapping[str, object] = MappingProxyType({}),
) -> bool:
    """Return whether a broker at this address answers with metadata that has a live broker.

    `configuration` has further settings of the client.
    """
    return len(live_brokers(bootstrap_servers, timeout_s, configuration)) > 0


def live_brokers(
    bootstrap_servers: str,
    timeout_s: float,
    configuration: Mapping[str, object] = MappingProxyType({}),
) -> set[int]:
    """Return the ids of the live brokers of a cluster; none where nobody answers."""
    metadata = _metadata(bootstrap_servers, timeout_s, configuration)
    return set(metadata.brokers) if metadata else set()


def replicas(bootstrap_servers: str, timeout_s: float) -> dict[tuple[str, int], Replicas] | None:
    """Return where each partition of each topic is, or None where nobody answers."""
    metadata = _metadata(bootstrap_servers, timeout_s, {})
    if metadata is None:
        return None
    return {
        (name, number): Replicas(found.leader, frozenset(found.replicas), frozenset(found.isrs))
        for name, topic in metadata.topics.items()
        for number, found in topic.partitions.items()
    }


def admin_client(
    bootstrap_servers: str, configuration: Mapping[str, object] = MappingProxyType({})
) -> AdminClient:
    """Return a client that logs nothing: while a broker starts, connections are refused."""
    from confluent_kafka.admin import AdminClient

    settings: dict[str, Any] = {"log_level": 0, "log.connection.close": False, **configuration}
    settings["bootstrap.servers"] = bootstrap_servers
    return AdminClient(settings, logger=_silent_logger())


def change(
    bootstrap_servers: str,
    what: str,
    requests: Callable[[AdminClient], Iterable[Future[Changed]]],
    done: int | None = None,
) -> None:
    """Send requests that change a cluster, again where a new client drops them.

    Args:
        what: is changed, for error messages.
        requests: sends them.
        done: the code of the error by which a broker says that one had been carried out already.

    Raises BrokerError where one is refused, or not answered within `CHANGE_DEADLINE_S`.
    """
    from confluent_kafka import KafkaException

    from tfkafka.client.change import change as change_cluster
    from tfkafka.client.cluster import Cluster

    settings = {"bootstrap.servers": bootstrap_servers}
    deadline_ms = int(1000 * CHANGE_DEADLINE_S)
    # It answered when it was started: a broker that does not is waited for.
    cluster = Cluster(settings, deadline_ms, BrokerError, was_reached=True)
    try:
        change_cluster(cluster, what, lambda: requests(cluster.client), done)
    except KafkaException as error:
        raise BrokerError(f"cannot change {what}: {error.args[0].str()}") from error


def _metadata(
    bootstrap_servers: str, timeout_s: float, configuration: Mapping[str, object]
) -> ClusterMetadata | None:
    from confluent_kafka import KafkaException

    try:
        return admin_client(bootstrap_servers, configuration).list_topics(timeout=timeout_s)
    except KafkaException:
        return None


def _silent_logger() -> logging.Logger:
    logger = logging.getLogger("tfkafka.silent")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
