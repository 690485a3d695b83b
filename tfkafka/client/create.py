"""Clients of confluent-kafka, created with settings that librdkafka has checked.

The names of settings come from the installed librdkafka.
"""

from __future__ import annotations

import ctypes
import difflib
import functools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import KafkaException

from tfkafka._util import arguments
from tfkafka._util.processes import Owner, keep_in_children
from tfkafka.client.names import parse_addresses
from tfkafka.client.oauth import with_first_token, without_function
from tfkafka.config import is_secret
from tfkafka.errors import ConfigurationError

Client = TypeVar("Client")

# Settings that a client sends as they are.
_SENT_NAMES = {"client.id", "client.rack", "group.id", "group.instance.id", "transactional.id"}

# Settings of which every character counts.
_EXACT = _SENT_NAMES | {"sasl.username", "sasl.password", "ssl.key.password"}
# What C takes for blanks.
_BLANKS = " \t\n\v\f\r"

_UNKNOWN = re.compile(r'No such configuration property: "(?P<name>[^"]*)"')
_OF_THE_BROKER = re.compile(r"`(?P<name>[^`]*)` is not supported for `group\.protocol=consumer`")
# What to set instead of a setting that librdkafka refuses with group.protocol=consumer.
_INSTEAD = {
    "session.timeout.ms": "consumer.session.timeout.ms of the group, on the broker",
    "heartbeat.interval.ms": "consumer.heartbeat.interval.ms of the group, on the broker",
    "partition.assignment.strategy": "group.remote.assignor, to uniform or range",
}
_WRONG_VALUE = re.compile(r'configuration property "(?P<name>[^"]*)"')


def make_client(kind: Callable[[dict[str, Any]], Client], settings: Mapping[str, object]) -> Client:
    """Return a confluent-kafka client (`Consumer`, `Producer`, ...) with these settings.

    In a forked child its methods raise ForkError: librdkafka's threads exist in the parent alone,
    and most calls would wait for them.

    Raises:
        ConfigurationError: librdkafka does not know a name (the message suggests similar ones), or
            refuses a value; an address is not HOST:PORT; or `oauth_cb` returns no token.
    """
    if "bootstrap.servers" in settings:
        parse_addresses(settings["bootstrap.servers"])
    if settings.get("group.id", "any") in ("", None):
        # confluent-kafka 2.16 aborts the process.
        raise ConfigurationError("group.id is empty: give the consumer group a name")
    _refuse_long_names(settings)
    _refuse_first_blanks(settings)
    chosen = with_first_token(settings)
    try:
        client: Client = _of_one_process(kind)(chosen)
    except KafkaException as error:
        raise _explained(error.args[0].str()) from None
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the Kafka client refuses its configuration: {error}") from None
    keep_in_children(client)
    return client


def _refuse_long_names(settings: Mapping[str, object]) -> None:
    """Raise ConfigurationError for a name that does not fit into Kafka's requests.

    A broker closes the connection on such a request, and librdkafka 2.16 repeats it forever.
    """
    for name in _SENT_NAMES & settings.keys():
        length = len(str(settings[name]).encode())
        if length > arguments.LONGEST_TEXT:
            raise ConfigurationError(
                f"{name} has {length:,} bytes: Kafka takes at most {arguments.LONGEST_TEXT:,}"
            )


def _refuse_first_blanks(settings: Mapping[str, object]) -> None:
    """Raise ConfigurationError for text that begins with blanks, which librdkafka 2.16 leaves out.

    The name of a group would be that of another one. If it is blank, the process ends.
    """
    for name in _EXACT & settings.keys():
        value = str(settings[name])
        if value != value.lstrip(_BLANKS):
            raise ConfigurationError(
                f"{name} begins with a blank, and Kafka's client would leave that out: begin it "
                f"with another character"
            )


@functools.cache
def _of_one_process(kind: Any) -> Any:
    """Return a subclass of a client's class that refuses to be used in a forked child."""

    class Owned(kind):  # type: ignore[misc]  # a variable
        def __init__(self, settings: dict[str, object]):
            self._owner = Owner()
            super().__init__(settings)

        def __getattribute__(self, name: str) -> Any:
            owner: Owner = object.__getattribute__(self, "_owner")
            owner.refuse_child(
                f"a Kafka client ({kind.__name__})",
                "create the dataset, writer, worker or Admin again in this process",
            )
            return super().__getattribute__(name)

    return Owned


def check(settings: Mapping[str, object]) -> None:
    """Raise ConfigurationError if a consumer cannot be created with these settings."""
    if "bootstrap.servers" in settings:
        parse_addresses(settings["bootstrap.servers"])
    unconnected = {k: v for k, v in without_function(settings).items() if k != "bootstrap.servers"}
    # Without an address the client makes no connection.
    fixed = {"log_level": 0, "error_cb": lambda _error: None}
    make_client(confluent_kafka.Consumer, {"group.id": "any", **unconnected, **fixed}).close()


def nearest_names(name: str) -> list[str]:
    """Return at most three of librdkafka's settings that are spelled like `name`."""
    return difflib.get_close_matches(name, known_names(), n=3)


def known_names() -> list[str]:
    """Return all settings of the installed librdkafka; none where its library is not found."""
    library = _librdkafka()
    if library is None:
        return []
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    c.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    c.fclose.argtypes = [ctypes.c_void_p]
    library.rd_kafka_conf_properties_show.argtypes = [ctypes.c_void_p]
    # In memory: no folder may be there that can be written to.
    with open(os.memfd_create("properties"), encoding="utf-8") as table:
        stream = c.fopen(f"/proc/self/fd/{table.fileno()}".encode(), b"w")
        library.rd_kafka_conf_properties_show(stream)
        c.fclose(stream)
        rows = re.findall(r"^([a-z][\w.]*)\s*\|", table.read(), re.MULTILINE)
    return sorted(set(rows))


def _librdkafka() -> ctypes.CDLL | None:
    """Return the copy of librdkafka inside the confluent-kafka wheel."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.with_name("confluent_kafka.libs"), package / ".dylibs")
    for folder in folders:
        for path in folder.glob("librdkafka*"):
            return ctypes.CDLL(str(path))
    return None


def _explained(reason: str) -> ConfigurationError:
    unknown = _UNKNOWN.search(reason)
    if unknown:
        near = ", ".join(nearest_names(unknown["name"]))
        advice = f"did you mean {near}?" if near else "see librdkafka's CONFIGURATION.md"
        return ConfigurationError(f"Kafka has no setting {unknown['name']}: {advice}")
    of_the_broker = _OF_THE_BROKER.search(reason)
    if of_the_broker:
        name = of_the_broker["name"]
        instead = f", or set {_INSTEAD[name]}" if name in _INSTEAD else ""
        return ConfigurationError(
            f"{name} does not go together with group.protocol=consumer: leave it out{instead}"
        )
    wrong = _WRONG_VALUE.search(reason)
    if wrong and is_secret(wrong["name"]):
        reason = f"invalid value for {wrong['name']}"
    return ConfigurationError(f"the Kafka client refuses its configuration: {reason}")
