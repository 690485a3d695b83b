"""Settings of Kafka clients, under librdkafka's names.

`load` reads them from a file. librdkafka lists them, with meanings and defaults:
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

from tfkafka._util import arguments
from tfkafka.config import files
from tfkafka.errors import ConfigurationError

__all__ = ["load"]

# Names a file for `load`, where a command has no --command-config.
COMMAND_CONFIG_VARIABLE = "TFKAFKA_COMMAND_CONFIG"
DEFAULT_SERVERS = "localhost:9092"
# tensorflow-io marks topic settings with this prefix; librdkafka accepts them without it.
TOPIC_PREFIX = "conf.topic."

PREFETCH_BYTES = 32 << 20
BROKER_TIMEOUT_MS = 30_000
# The value of `stream_timeout` with which a stream never ends.
FOREVER = -1

# librdkafka prints fatal errors at any log level; tfkafka raises them.
_silent = logging.getLogger("tfkafka.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
# What tfkafka sets: ..._DEFAULTS, which a user may change, and ..._FIXED, which they may not. Of
# ADMIN_DEFAULTS and TRANSACTIONS_DEFAULTS they may change what `connection_settings` takes.
_QUIET = {"bootstrap.servers": DEFAULT_SERVERS, "log_level": 0}
CONSUMER_DEFAULTS: dict[str, object] = {
    **_QUIET,
    # How soon the client fetches again after its queue was full. The default of 1 s halves the
    # speed of a fast reader.
    "fetch.queue.backoff.ms": 10,
}
CONSUMER_FIXED: dict[str, object] = {
    "enable.partition.eof": True,
    # tfkafka commits by itself: librdkafka would commit whatever it has delivered, used or not.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # tfkafka determines every offset to begin at: librdkafka would skip or repeat records, and
    # report nothing.
    "auto.offset.reset": "error",
}
# For a consumer that reads ranges. It joins no group, but librdkafka requires a group name.
RANGES_DEFAULTS: dict[str, object] = {"group.id": "tfkafka-reader"}
# How clients of exactly-once inference recover after a broker died. librdkafka's default is to
# forget all brokers and start from the bootstrap list; with it, some calls hung for minutes.
RECOVERY: dict[str, object] = {
    "metadata.recovery.strategy": "none",
    "reconnect.backoff.max.ms": 1000,
    "logger": _silent,
}
# Of exactly-once inference. With group.protocol=consumer the broker decides on these, and
# librdkafka refuses them.
CLASSIC_DEFAULTS: dict[str, object] = {
    "session.timeout.ms": 10_000,
    "partition.assignment.strategy": "range",
}
EXACTLY_ONCE_FIXED: dict[str, object] = {
    # Committed offsets, too, are then read only once no transaction on them is open.
    "isolation.level": "read_committed",
}
# Notice soon that a broker is back: the client's default is 10 s.
ADMIN_DEFAULTS: dict[str, object] = {**_QUIET, "reconnect.backoff.max.ms": 1000}
# `Admin` counts all records, including those of an open transaction.
ADMIN_ISOLATION: dict[str, object] = {"isolation.level": "read_uncommitted"}
# The broker decides how large a record may be.
_ANY_SIZE = {"message.max.bytes": 100_000_000}
# The Java client and kafka-python use it too: a key has the same partition whoever writes it.
_PARTITIONER = {"partitioner": "murmur2_random"}
WRITER_DEFAULTS: dict[str, object] = {
    **_QUIET,
    **_ANY_SIZE,
    **_PARTITIONER,
    "logger": _silent,
    "enable.idempotence": True,
    "linger.ms": 20,
    # A topic's `max.message.bytes` limits a whole batch. 100 kB is small enough for almost any
    # topic; `write` sends larger ones where it can: see client.batch_size. A larger record is sent
    # as a batch of its own.
    "batch.size": 100_000,
    # A queue for more takes more CPU time for a record, and is no faster.
    "queue.buffering.max.messages": 100_000,
}
# A Python callback for each record would be the slowest part: only failures have one, and what
# `flush` leaves in the queue is counted.
WRITER_FIXED: dict[str, object] = {"delivery.report.only.error": True}
TRANSACTIONS_DEFAULTS: dict[str, object] = {
    **_QUIET,
    **_ANY_SIZE,
    **_PARTITIONER,
    **RECOVERY,
    "linger.ms": 5,
    "batch.size": 1_000_000,
    # Retry soon where the broker is not yet ready for the next transaction.
    "retry.backoff.ms": 10,
    "queue.buffering.max.messages": 1_000_000,
}

_SECRET = re.compile(
    r"password|secret|\.pem$|oauthbearer\.config|assertion\.private|sasl\.username"
)
_CONNECTION = re.compile(
    r"bootstrap\.servers|metadata\.broker\.list|client\.|security\.|s(sl|asl)\."
    r"|enable\.(ssl|sasl)\.|https\.|oauth_cb|broker\.address\.|plugin\."
)

Configuration = Mapping[str, object] | Iterable[str] | None


@dataclass(frozen=True)
class Limits:
    """How much is read ahead, and how long a broker may be away.

    Args:
        chunk_records: maximum number of records in a chunk.
        chunk_bytes: approximate memory of a chunk, in bytes; a chunk has at least one record.
        prefetch_bytes: approximate size of the records that are read ahead, in bytes.
        broker_timeout: ms without any answer from a broker after which reading fails.
    """

    chunk_records: int = 4096
    chunk_bytes: int = 4 << 20
    prefetch_bytes: int = PREFETCH_BYTES
    broker_timeout: int = BROKER_TIMEOUT_MS

    def __post_init__(self) -> None:
        for name in ("chunk_records", "chunk_bytes", "prefetch_bytes"):
            arguments.whole_number(name, getattr(self, name), 1)
        arguments.milliseconds("broker_timeout", self.broker_timeout)

    @property
    def buffer_bytes(self) -> int:
        """The share of `prefetch_bytes` that is tfkafka's own buffer; the rest is librdkafka's."""
        return max(1, self.prefetch_bytes // 2)


class Settings(dict[str, object]):
    """Settings by name. `str` and `repr` mask passwords and keys, for printing and logging.

    `dict(settings)` and `{**settings}` mask nothing.
    """

    def __repr__(self) -> str:
        shown = {name: "***" if is_secret(name) else value for name, value in self.items()}
        return f"Settings({shown})"

    __str__ = __repr__

    def copy(self) -> Settings:
        """Return a copy, which masks passwords and keys too."""
        return Settings(self)

    def __or__(self, others: Mapping[str, object]) -> Settings:  # type: ignore[override]
        return Settings({**self, **others})

    def __ror__(self, others: Mapping[str, object]) -> Settings:  # type: ignore[override]
        return Settings({**others, **self})


def load(path: str | os.PathLike[str]) -> Settings:
    """Return the settings in a file, for the argument `configuration` of any class.

    A line is `name=value`; empty lines, and those that begin with `#`, are left out. The names are
    librdkafka's, or those of a Java client (`client.properties`), which are translated:
    `sasl.jaas.config` to a user's name and password, stores of type PEM to their locations.

    Args:
        path: the file. Let only its owner read it.

    Raises:
        ConfigurationError: the file cannot be read, a line is no setting, a setting is there twice,
            or one of a Java client has no counterpart, such as a key store of type JKS. The message
            names the setting, never its value.

    Example:
        Path("client.properties").write_text("client.id=trainer")
        settings = tfkafka.config.load("client.properties")
        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", configuration=settings
        )
    """
    return parse(files.read(arguments.path("path", path)))


def is_secret(name: str) -> bool:
    """Return whether the value of this setting must not be printed."""
    return _SECRET.search(name) is not None


def parse(configuration: Configuration, argument: str = "configuration") -> Settings:
    """Return the settings in `["name=value", ...]` or a mapping.

    A value may contain "=". A name may begin with `conf.topic.`, as tensorflow-io requires for
    topic settings. Names are checked when a client is created with them: see `client.create`.

    Raises:
        ConfigurationError: an entry has no "=" or no name.
        TypeError: it is neither a list of texts nor a dict.
    """
    if isinstance(configuration, str | bytes):
        raise ConfigurationError(
            f'{argument} is a single text; give a list, ["name=value", ...], or a dict'
        )
    if isinstance(configuration, Mapping):
        pairs = [(_text(argument, name), value) for name, value in configuration.items()]
    elif configuration is None:
        pairs = []
    elif isinstance(configuration, Iterable):
        pairs = [_split(argument, _text(argument, entry)) for entry in configuration]
    else:
        raise _no_configuration(argument, configuration)
    settings = Settings({name.strip().removeprefix(TOPIC_PREFIX): each for name, each in pairs})
    for name, value in settings.items():
        if not name or not name.isprintable():
            raise ConfigurationError(
                f"{argument} has {arguments.shown(name)} as the name of a setting"
            )
        _refuse_wrong_type(name, value)
    return settings


def consumer_settings(
    servers: str | Iterable[str] | None, configuration: Configuration
) -> Settings:
    """Return the settings of a consumer; `servers` takes precedence over `configuration`."""
    settings = parse(configuration)
    if "metadata.broker.list" in settings:  # librdkafka's alias; the last one set would win
        settings.setdefault("bootstrap.servers", settings.pop("metadata.broker.list"))
    if servers is not None:
        settings["bootstrap.servers"] = ",".join(arguments.texts("servers", servers))
    settings.setdefault("bootstrap.servers", DEFAULT_SERVERS)
    return settings


def whole_number(settings: Mapping[str, object], name: str, default: int) -> int:
    """Return a setting that is a whole number, given as an int or as text.

    Raises ConfigurationError where it is another text.
    """
    value = settings.get(name, default)
    try:
        return int(str(value))
    except ValueError:
        raise ConfigurationError(
            f"the setting {name} is {arguments.shown(value)}, must be a whole number"
        ) from None


def refuse(settings: Mapping[str, object], name: str, why: str) -> None:
    """Raise ConfigurationError where there is a setting of this name."""
    if name in settings:
        raise ConfigurationError(f"{name} {why}")


def connection_settings(settings: Mapping[str, object]) -> Settings:
    """Return only the settings that locate a cluster and authenticate the client.

    A producer takes them from the consumer that it accompanies.
    """
    kept = (name for name in settings if _CONNECTION.match(name))
    return Settings({name: settings[name] for name in kept})


def with_read_ahead(settings: Mapping[str, object], limits: Limits) -> Settings:
    """Return the settings, with librdkafka's share of `limits.prefetch_bytes` as its limit.

    A quarter is for librdkafka's queue. Another is for the response in flight: librdkafka limits
    `fetch.max.bytes` to the size of its queue.
    """
    queue_kilobytes = max(1, min(limits.prefetch_bytes >> 12, 2_097_151))
    return Settings({"queued.max.messages.kbytes": queue_kilobytes, **settings})


def has_new_protocol(settings: Mapping[str, object]) -> bool:
    """Return whether members use the protocol of Kafka 4: `group.protocol=consumer` (KIP-848)."""
    return str(settings.get("group.protocol", "")).strip().lower() == "consumer"


def is_cooperative(settings: Mapping[str, object]) -> bool:
    """Return whether a rebalance of the group revokes only the partitions that move."""
    strategy = str(settings.get("partition.assignment.strategy", ""))
    return "cooperative" in strategy or has_new_protocol(settings)


def worker_name(settings: Mapping[str, object], worker: str) -> dict[str, object]:
    """Return the setting that names a worker of exactly-once inference within its group.

    With `group.protocol=consumer` a `group.instance.id` would keep the partitions of a member that
    has left or died for its whole session, and end each other member of that name, even the next
    process of the same worker (Kafka 4.4.0).

    Raises ConfigurationError where there is one nevertheless.
    """
    if not has_new_protocol(settings):
        return {"group.instance.id": worker}
    refuse(
        settings,
        "group.instance.id",
        "keeps a stopped worker's partitions with group.protocol=consumer: leave it out, since "
        "InferenceJob's worker names the worker",
    )
    return {"client.id": worker}


def exactly_once_settings(settings: Mapping[str, object]) -> Settings:
    """Return the settings of a consumer whose offsets are committed in transactions."""
    defaults = RECOVERY if has_new_protocol(settings) else RECOVERY | CLASSIC_DEFAULTS
    return Settings({**defaults, **settings, **EXACTLY_ONCE_FIXED})


def has_users(settings: Mapping[str, object]) -> bool:
    """Return whether the cluster knows who the client is, and so may hide topics from it."""
    return str(settings.get("security.protocol", "plaintext")).lower() != "plaintext"


def isolation_level(settings: Mapping[str, object]) -> str:
    """Return "read_committed", which is librdkafka's default, or "read_uncommitted"."""
    return str(settings.get("isolation.level", "read_committed"))


def begins_at_end(settings: Mapping[str, object]) -> bool:
    """Return whether a group without a committed offset begins at the end of a partition."""
    reset = settings.get("auto.offset.reset", "latest")
    return reset not in ("earliest", "smallest", "beginning")


def is_read(topic: str, read: Iterable[str]) -> bool | None:
    """Return whether a topic is one of those that are read.

    None where that is unknown: what begins with "^" is a pattern, as for Kafka's client, which has
    a syntax of its own.
    """
    is_known = True
    for each in read:
        try:
            if topic == each or (each.startswith("^") and re.search(each, topic)):
                return True
        except re.error:
            is_known = False
    return False if is_known else None


def _text(argument: str, entry: object) -> str:
    """Return a name of a setting, or an entry of a list; bytes are accepted as text."""
    if not isinstance(entry, str | bytes):
        raise _no_configuration(argument, entry)
    return entry if isinstance(entry, str) else entry.decode(errors="replace")


def _refuse_wrong_type(name: str, value: object) -> None:
    """Raise where confluent-kafka would make another text of the value, or crash.

    The value is not quoted: it may be a password.
    """
    if isinstance(value, str):
        if "\0" in value or not _is_utf8(value):
            raise ConfigurationError(
                f"the setting {name} has a value with a null byte, or one that UTF-8 cannot encode"
            )
    elif not (value is None or isinstance(value, Real | logging.Logger) or callable(value)):
        raise TypeError(
            f"the setting {name} is of type {type(value).__name__}, must be text or a number"
        )


def _is_utf8(value: str) -> bool:
    return value.encode(errors="replace").decode() == value


def _no_configuration(argument: str, found: object) -> TypeError:
    # The value is not quoted: it may be a password.
    return TypeError(
        f"{argument} has {type(found).__name__}, must be a list of texts, "
        f'["name=value", ...], or a dict'
    )


def _split(argument: str, entry: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not equals or not name.strip():
        # The entry is not quoted: it may be a password whose name was left out.
        raise ConfigurationError(
            f"an entry of {argument} is not of the form name=value: "
            'write for example "session.timeout.ms=7000"'
        )
    return name, value
