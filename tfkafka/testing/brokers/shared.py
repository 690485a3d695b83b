"""A broker that several test processes use: none of them may disturb it."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.external import ExternalBroker
from tfkafka.testing.brokers.folder import BrokerFolder


class SharedBroker(ExternalBroker):
    """The broker that all workers of pytest-xdist share.

    Args:
        folder: where it was started.
        bootstrap_servers: its address.
        version: its version.
    """

    def __init__(self, folder: Path, bootstrap_servers: str, version: str):
        super().__init__(bootstrap_servers)
        self.version = version
        self._folder = BrokerFolder(folder)

    def logs(self) -> str:
        return self._folder.read_log()

    def _refuse(self, what: str) -> NoReturn:
        raise BrokerError(
            f"the broker at {self.bootstrap_servers} is shared by all workers of pytest-xdist and "
            f"cannot be {what}: use kafka_cluster, or run pytest with --kafka-per-worker"
        )
