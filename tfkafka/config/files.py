"""Files of settings, as `--command-config` of Kafka's own tools takes them.

They have librdkafka's names, one `name=value` on a line, or those of a Java client, which are
translated: see `java.py`. Errors name the file, the line and the setting, never a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfkafka.config import java, properties
from tfkafka.errors import ConfigurationError


def read(path: Path) -> dict[str, str]:
    """Return the settings of a file under librdkafka's names.

    Raises:
        ConfigurationError: the file cannot be read, a line is no setting, a setting is there twice,
            or one of a Java client cannot be translated.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{path} is not UTF-8: name a file of lines like security.protocol=SASL_SSL"
        ) from None
    try:
        # A file of a Java client has Java's syntax, in which a backslash begins an escape.
        escaped = list(properties.read_escaped(text))
        if java.is_java(name for _, name, _ in escaped):
            return java.translated(_unique(escaped))
        settings = _unique(properties.read_plain(text))
        java.refuse_key_stores(settings)
        return settings
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _unique(entries: Iterable[properties.Entry]) -> dict[str, str]:
    found: dict[str, tuple[int, str]] = {}
    for number, name, value in entries:
        if name in found:
            raise ConfigurationError(
                f"{name} is in line {found[name][0]} and in line {number}: leave one of them out"
            )
        found[name] = number, value
    return {name: value for name, (_, value) in found.items()}
