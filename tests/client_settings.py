"""The settings of clients of a cluster that --kafka HOST:PORT names: TFKAFKA_COMMAND_CONFIG.

Child processes of tests inherit the variable, and so the settings; no test has them as an argument,
which pytest would print where it fails.
"""

from __future__ import annotations

import os

from reproduction.kafka_python import kafka_python_arguments
from tfkafka import config

# With --kafka-secured, the address of the broker whose clients need the settings.
SECURED_VARIABLE = "TFKAFKA_TESTS_SECURED"


def client_settings() -> config.Settings:
    """librdkafka's; none without the variable."""
    path = os.environ.get(config.COMMAND_CONFIG_VARIABLE)
    return config.load(path) if path else config.Settings()


def as_list() -> list[str]:
    """The same, as tensorflow-io takes them."""
    return [f"{name}={value}" for name, value in client_settings().items()]


def for_kafka_python() -> dict[str, object]:
    return kafka_python_arguments(client_settings())
