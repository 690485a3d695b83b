"""What every broker offers, whether it is embedded, in Docker or somebody else's."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod


class Broker(ABC):
    """A Kafka broker that a test or a script can talk to, and (if it is ours) disturb.

    Attributes:
        bootstrap_servers: `HOST:PORT`, as clients take it.
    """

    bootstrap_servers: str

    @property
    @abstractmethod
    def version(self) -> str:
        """Version of Kafka, for example `"3.9.2"`."""

    @abstractmethod
    def logs(self) -> str:
        """Everything that the broker logged so far."""

    @abstractmethod
    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a power cut would."""

    @abstractmethod
    def restart(self) -> None:
        """Start again on the same data and the same port; returns when it answers."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze the broker: connections stay open and nothing is answered."""

    @abstractmethod
    def resume(self) -> None:
        """Let a paused broker go on."""

    @abstractmethod
    def stop(self) -> None:
        """Shut down in an orderly way; nothing of it keeps running. Calling it twice is fine."""


def answers_metadata(bootstrap_servers: str, timeout_s: float) -> bool:
    """Whether a broker at this address answers a metadata request and knows of a live broker."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    # librdkafka logs each refused connection by itself; while a broker starts that is no news.
    client = AdminClient(
        {"bootstrap.servers": bootstrap_servers, "log_level": 0, "log.connection.close": False},
        logger=_silent_logger(),
    )
    try:
        return len(client.list_topics(timeout=timeout_s).brokers) > 0
    except KafkaException:
        return False


def _silent_logger() -> logging.Logger:
    logger = logging.getLogger("tfkafka.silent")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
