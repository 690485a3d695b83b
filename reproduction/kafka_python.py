"""A client's settings for kafka-python, with which the tutorial writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tfkafka.errors import ConfigurationError

# librdkafka's name: kafka-python's argument, and what it wants of the value.
_ARGUMENTS: dict[str, tuple[str, Callable[[str], object]]] = {
    "client.id": ("client_id", str),
    "security.protocol": ("security_protocol", str.upper),
    "sasl.mechanism": ("sasl_mechanism", str),
    "sasl.mechanisms": ("sasl_mechanism", str),
    "sasl.username": ("sasl_plain_username", str),
    "sasl.password": ("sasl_plain_password", str),
    "ssl.ca.location": ("ssl_cafile", str),
    "ssl.certificate.location": ("ssl_certfile", str),
    "ssl.key.location": ("ssl_keyfile", str),
    "ssl.key.password": ("ssl_password", str),
    "ssl.endpoint.identification.algorithm": ("ssl_check_hostname", lambda name: name == "https"),
}
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def kafka_python_arguments(settings: Mapping[str, object] | None) -> dict[str, object]:
    """Return what kafka-python's clients are to be called with, in place of these settings.

    Args:
        settings: librdkafka's; None: none.

    Raises ConfigurationError for a setting without a counterpart; it names no value.
    """
    found: dict[str, object] = {}
    for name, value in (settings or {}).items():
        if name not in _ARGUMENTS or not _is_known(name, str(value)):
            raise ConfigurationError(
                f"kafka-python, with which this writes, has no counterpart of this {name}: leave "
                f"it out, or write with tfkafka.write"
            )
        argument, convert = _ARGUMENTS[name]
        found[argument] = convert(str(value))
    return found


def _is_known(name: str, value: str) -> bool:
    if name.startswith("sasl.mechanism"):
        return value in _MECHANISMS
    return name != "ssl.ca.location" or not Path(value).is_dir()
