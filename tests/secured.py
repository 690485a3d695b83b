"""--kafka-secured: all clients of a session use a listener with TLS and a password.

Tests name an address alone, as they do without security. So their clients get the settings here,
where clients are made: those of tfkafka in its one function for that, and those that tests make of
confluent-kafka's classes. Everything else asks `client_settings`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient

from tests.client_settings import SECURED_VARIABLE, client_settings
from tfkafka.client import create
from tfkafka.config import COMMAND_CONFIG_VARIABLE
from tfkafka.testing.brokers import embedded, private
from tfkafka.testing.brokers.embedded import EmbeddedBroker, Security

Settings = Mapping[str, Any]
USER, MECHANISM = "tests", "SCRAM-SHA-512"


def start(folder: Path, version: str) -> EmbeddedBroker:
    """A broker whose address is that of the listener with security, for all clients here."""
    security = Security((MECHANISM,), "server", {USER: secrets.token_urlsafe(24)})
    broker = embedded.start(folder / "kafka", version, security=security, progress=False)
    settings = broker.client_configuration(USER, MECHANISM)
    file = folder / "client.properties"
    private.write_client_settings(file, settings)
    broker.bootstrap_servers = broker.secured_servers
    # Child processes inherit both.
    os.environ |= {
        COMMAND_CONFIG_VARIABLE: str(file),
        SECURED_VARIABLE: broker.secured_servers,
    }
    return broker


def with_settings(settings: Settings) -> dict[str, Any]:
    """Those of a client, and what the listener with security needs where it connects there."""
    if settings.get("bootstrap.servers") != os.environ.get(SECURED_VARIABLE, ""):
        return dict(settings)
    return {**client_settings(), **settings}


def give_settings_to_clients() -> None:
    """To all that are made from now on, of `confluent_kafka.Consumer` and `Producer` as well.

    What a conftest imports has taken these two names before.
    """
    for name in ("Consumer", "Producer"):
        setattr(confluent_kafka, name, _knowing(getattr(confluent_kafka, name)))
    make, init = create.make_client, AdminClient.__init__
    create.make_client = lambda kind, settings: make(kind, with_settings(settings))
    AdminClient.__init__ = lambda self, settings, **options: init(
        self, with_settings(settings), **options
    )


def _knowing(kind: Any) -> Any:
    class Knowing(kind):
        def __init__(self, settings: Settings, **options: Any):
            super().__init__(with_settings(settings), **options)

    return Knowing
