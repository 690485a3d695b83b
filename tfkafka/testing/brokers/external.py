"""A Kafka cluster that somebody else runs: it can be used, not disturbed."""

from __future__ import annotations

import re
from typing import NoReturn

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.base import Broker, answers_metadata

CONNECT_DEADLINE_S = 10.0


class ExternalBroker(Broker):
    """The cluster at `bootstrap_servers` (`HOST:PORT`, or several with commas between).

    Its log is not ours to read, so `logs()` is empty; `version` is `"external"`, for clients
    are told of a cluster's features and not of its version.

    Raises:
        BrokerError: the address is none, nothing answers there, or it is asked for what only
            the cluster's owner can do.
    """

    version = "external"

    def __init__(self, bootstrap_servers: str):
        for address in bootstrap_servers.split(","):
            _check_address(address.strip())
        if not answers_metadata(bootstrap_servers, CONNECT_DEADLINE_S):
            raise BrokerError(
                f"no Kafka broker at {bootstrap_servers} answered in {CONNECT_DEADLINE_S:.0f} s: "
                f"check that it runs, and that the addresses it advertises can be reached"
            )
        self.bootstrap_servers = bootstrap_servers

    def logs(self) -> str:
        return ""

    def kill(self) -> None:
        self._refuse("killed")

    def restart(self) -> None:
        self._refuse("restarted")

    def pause(self) -> None:
        self._refuse("paused")

    def resume(self) -> None:
        self._refuse("resumed")

    def stop(self) -> None:
        """Leave it running: it was there before us."""

    def _refuse(self, what: str) -> NoReturn:
        raise BrokerError(f"the broker at {self.bootstrap_servers} is not ours and is not {what}")


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
        raise BrokerError(f"{address!r} is not the address of a broker: HOST:PORT is expected")
