"""The settings of a reader, checked before it connects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tfkafka import config
from tfkafka.client import create

NOTHING: Mapping[str, object] = {}


def reader_settings(
    servers: str | Iterable[str] | None,
    configuration: config.Configuration,
    fixed: Mapping[str, object] = NOTHING,
) -> config.Settings:
    """Return the settings of a consumer that librdkafka accepts.

    Args:
        servers: takes precedence over `configuration`.
        configuration: librdkafka's settings.
        fixed: settings that take precedence over both.

    Raises:
        TypeError: an argument is of a wrong type.
        ConfigurationError: a setting is unknown or refused.
    """
    settings = config.consumer_settings(servers, configuration) | fixed
    create.check(settings)
    return settings
