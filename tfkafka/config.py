"""Settings of Kafka clients, as librdkafka names them.

The names come from librdkafka itself, so they are those of the installed version. Its list, with
meanings and defaults: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import ctypes
import difflib
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import confluent_kafka
from confluent_kafka import KafkaException

from tfkafka.errors import ConfigurationError

DEFAULT_SERVERS = "localhost:9092"
# tensorflow-io's way to mark a setting of a topic; librdkafka takes those like all others.
TOPIC_PREFIX = "conf.topic."

# Of a producer: what a record may measure is the broker's to judge.
ANY_SIZE = {"message.max.bytes": 100_000_000}

_SECRET = re.compile(
    r"password|secret|\.pem$|oauthbearer\.config|assertion\.private|sasl\.username"
)
_CONNECTION = re.compile(
    r"bootstrap\.servers|metadata\.broker\.list|client\.|security\.|s(sl|asl)\."
    r"|enable\.(ssl|sasl)\.|https\.|oauth_cb|broker\.address\.|plugin\."
)
_UNKNOWN = re.compile(r'No such configuration property: "(?P<name>[^"]*)"')
_WRONG_VALUE = re.compile(r'configuration property "(?P<name>[^"]*)"')

Configuration = Mapping[str, object] | Iterable[str] | None


class Settings(dict[str, object]):
    """Settings by name. Its text masks passwords and keys, so that it can be printed and logged."""

    def __repr__(self) -> str:
        shown = {name: "***" if is_secret(name) else value for name, value in self.items()}
        return f"Settings({shown})"

    __str__ = __repr__


def is_secret(name: str) -> bool:
    """Whether the value of this setting must not be printed."""
    return _SECRET.search(name) is not None


def parse(configuration: Configuration) -> Settings:
    """Settings from `["name=value", ...]` or a mapping.

    A value may contain "=". A name may begin with `conf.topic.`, as tensorflow-io wants it for
    settings of topics. Names are checked when a client is made with them, see `make_client`.

    Raises:
        ConfigurationError: an entry has no "=" or no name.
    """
    if isinstance(configuration, str | bytes):
        raise ConfigurationError(
            'configuration is a single text; give a list, ["name=value", ...], or a dict'
        )
    if isinstance(configuration, Mapping):
        pairs = [(_text(name), value) for name, value in configuration.items()]
    else:
        pairs = [_split(_text(entry)) for entry in configuration or []]
    return Settings({name.strip().removeprefix(TOPIC_PREFIX): value for name, value in pairs})


def consumer_settings(
    servers: str | Iterable[str] | None, configuration: Configuration
) -> Settings:
    """Settings of a consumer; `servers` takes precedence over what `configuration` says."""
    settings = parse(configuration)
    if "metadata.broker.list" in settings:  # librdkafka's other name of it; the last one would win
        settings.setdefault("bootstrap.servers", settings.pop("metadata.broker.list"))
    if servers is not None:
        settings["bootstrap.servers"] = servers if isinstance(servers, str) else ",".join(servers)
    settings.setdefault("bootstrap.servers", DEFAULT_SERVERS)
    return settings


def connection_settings(settings: Mapping[str, object]) -> Settings:
    """Those of them that say where a cluster is and who asks: for a producer beside a consumer."""
    kept = (name for name in settings if _CONNECTION.match(name))
    return Settings({name: settings[name] for name in kept})


def make_client(kind: Callable, settings: Mapping[str, object], **arguments):
    """A confluent-kafka client (`Consumer`, `Producer`, ...) with these settings.

    Raises:
        ConfigurationError: librdkafka doesn't know a name (the nearest known ones are told) or
            refuses a value.
    """
    if settings.get("group.id") == "":
        # confluent-kafka 2.16 aborts the process.
        raise ConfigurationError("group.id is empty: give the consumer group a name")
    try:
        return kind(dict(settings), **arguments)
    except KafkaException as error:
        raise _explained(error.args[0].str()) from None
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the Kafka client refuses its configuration: {error}") from None


def check(settings: Mapping[str, object]) -> None:
    """Raise ConfigurationError if a consumer could not be made with these settings."""
    unconnected = {k: v for k, v in settings.items() if k != "bootstrap.servers"}
    # Without an address nothing is connected to.
    fixed = {"log_level": 0, "error_cb": lambda _error: None}
    make_client(confluent_kafka.Consumer, {"group.id": "any", **unconnected, **fixed}).close()


def nearest_names(name: str) -> list[str]:
    """At most three names that librdkafka knows and that are spelled like `name`."""
    return difflib.get_close_matches(name, known_names(), n=3)


def known_names() -> list[str]:
    """All settings of the installed librdkafka; empty where its library file is not found."""
    library = _librdkafka()
    if library is None:
        return []
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    c.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    c.fclose.argtypes = [ctypes.c_void_p]
    library.rd_kafka_conf_properties_show.argtypes = [ctypes.c_void_p]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "properties.md"
        stream = c.fopen(str(table).encode(), b"w")
        library.rd_kafka_conf_properties_show(stream)
        c.fclose(stream)
        rows = re.findall(r"^([a-z][\w.]*)\s*\|", table.read_text(), re.MULTILINE)
    return sorted(set(rows))


def _librdkafka() -> ctypes.CDLL | None:
    """The copy of librdkafka inside the confluent-kafka wheel."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.with_name("confluent_kafka.libs"), package / ".dylibs")
    for folder in folders:
        for path in folder.glob("librdkafka*"):
            return ctypes.CDLL(str(path))
    return None


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _split(entry: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not equals or not name.strip():
        # The entry itself may be a password that lost its name: it is not repeated here.
        raise ConfigurationError(
            "an entry of configuration is not of the form name=value: "
            'write for example "session.timeout.ms=7000"'
        )
    return name, value


def _explained(reason: str) -> ConfigurationError:
    unknown = _UNKNOWN.search(reason)
    if unknown:
        near = ", ".join(nearest_names(unknown["name"]))
        advice = f"did you mean {near}?" if near else "see librdkafka's CONFIGURATION.md"
        return ConfigurationError(f"Kafka has no setting {unknown['name']}: {advice}")
    wrong = _WRONG_VALUE.search(reason)
    if wrong and is_secret(wrong["name"]):
        reason = f"invalid value for {wrong['name']}"
    return ConfigurationError(f"the Kafka client refuses its configuration: {reason}")
