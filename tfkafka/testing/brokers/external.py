"""A Kafka cluster that others run: it can be used, but not disturbed."""

from __future__ import annotations

import re
from typing import NoReturn

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.base import Broker, answers_metadata

CONNECT_DEADLINE_S = 10.0


class ExternalBroker(Broker):
    """The cluster at `bootstrap_servers`, `HOST:PORT[,HOST:PORT]`.

    Its log cannot be read, so `logs()` is empty. `version` is `"external"`, because a cluster
    reports its features to clients, but not its version.

    Args:
        bootstrap_servers: the address.
        configuration: librdkafka's settings, such as those of a secured cluster.

    Raises:
        ConfigurationError: a setting is unknown or refused.
        BrokerError: the address is not valid, nothing answers there, or a method was called that
            only the cluster's owner may use.
    """

    version = "external"

    def __init__(self, bootstrap_servers: str, configuration: config.Configuration = None):
        # confluent-kafka, which not every run of pytest needs.
        from tfkafka.client import create

        settings = config.parse(configuration)
        create.check(settings)
        arguments.instance("bootstrap_servers", bootstrap_servers, str, "text")
        for address in bootstrap_servers.split(","):
            _check_address(address.strip())
        if not answers_metadata(bootstrap_servers, CONNECT_DEADLINE_S, settings):
            raise BrokerError(
                f"no Kafka broker at {bootstrap_servers} answered in {CONNECT_DEADLINE_S:.0f} s: "
                f"tfkafka check says why"
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
        """Do nothing: the cluster belongs to others."""

    def _refuse(self, what: str) -> NoReturn:
        raise BrokerError(
            f"the broker at {self.bootstrap_servers} is not ours and cannot be {what}"
        )


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
        raise BrokerError(f"{address!r} is not the address of a broker: HOST:PORT is expected")
