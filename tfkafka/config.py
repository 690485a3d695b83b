"""Settings of Kafka clients, as librdkafka names them.

librdkafka's list, with meanings and defaults:
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
    settings of topics. Names are checked when a client is made with them, see `client.create`.

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
