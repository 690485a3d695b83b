"""Names of topics and addresses of brokers, checked before a client is created with them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tfkafka._util.text import printable
from tfkafka.errors import ConfigurationError, TopicError

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
# librdkafka accepts a security protocol before an address.
_ADDRESS = re.compile(
    r"(?:(?:sasl_)?(?:plaintext|ssl)://)?(?P<host>\[[0-9a-f:.%\w]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?P<scheme>\w+)://")


@dataclass(frozen=True)
class Address:
    """Where a broker listens; the host of an IPv6 address has no brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def check_topic_name(topic: str) -> None:
    """Raise TopicError where Kafka allows no topic of this name."""
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise TopicError(
            f"{topic!r} is no topic name: a name has 1 to 249 ASCII letters, digits, dots, "
            f"underscores and hyphens",
            topic=str(topic),
        )


def parse_addresses(servers: object) -> list[Address]:
    """Return the addresses in `HOST:PORT[,HOST:PORT]`. Raises ConfigurationError."""
    entries = [entry.strip() for entry in str(servers).split(",")]
    found = [_parse_address(entry) for entry in entries if entry]
    if not found:
        raise ConfigurationError("bootstrap.servers is empty: give HOST:PORT of a broker")
    return found


def _parse_address(entry: str) -> Address:
    match = _ADDRESS.fullmatch(entry)
    if match and 0 < int(match["port"]) < 65536:
        return Address(match["host"].strip("[]"), int(match["port"]))
    # What is before an @ may be a password.
    given = entry.rpartition("@")[2]
    advice = "give HOST:PORT, and [HOST]:PORT for an IPv6 address"
    if _SCHEME.match(entry):
        advice = "give HOST:PORT alone"
    elif ":" not in entry:
        advice = f"it has no port; Kafka's usual one is 9092: {printable(given)}:9092"
    raise ConfigurationError(f"bootstrap.servers: {given!r} is no address of a broker: {advice}")
