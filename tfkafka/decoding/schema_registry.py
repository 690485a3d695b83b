"""Schema registries that speak Confluent's protocol. The only module that knows their client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tfkafka._util import arguments
from tfkafka._util.background import in_background
from tfkafka._util.text import printable
from tfkafka.config import Settings
from tfkafka.errors import ConfigurationError, ReadError, TfkafkaError, WriteError

# A registry that is away is reported within 3 s: the client asks twice, and the whole has an end.
_DEFAULTS: dict[str, object] = {
    "timeout": 1.2,
    "max.retries": 1,
    "retries.wait.ms": 100,
    "retries.max.wait.ms": 100,
}
_DEADLINE_S = 2.8
# What a registry says beside "404 Not Found" where it does not have a schema; a server that is no
# registry says 404 alone.
_NO_SCHEMA = range(40400, 40500)
# So long is a number not asked for again that is unknown: the copy of a registry may be behind.
_UNKNOWN_S = 5.0
# After so many unknown numbers within that time, no new ones are asked for. Records in which any
# bytes are taken as a number have a new one each, and each would be a request.
_MOST_UNKNOWN = 10

Result = TypeVar("Result")


class UnknownSchemaError(Exception):
    """The registry does not have a schema of this number; the text goes on after its name."""


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema as a registry has it.

    Attributes:
        kind: "AVRO", "JSON" or "PROTOBUF".
        text: the schema.
        references: the Avro schemas whose types it names, each after those that it names itself.
    """

    kind: str
    text: str
    references: tuple[str, ...]


class Registry:
    """A client of a registry. Schemas are kept by their numbers, which never change their meaning.

    Args:
        url: the address, for example "http://localhost:8081"; several are separated by commas.
        settings: further settings of confluent-kafka's `SchemaRegistryClient`.
    """

    def __init__(self, url: str, settings: Mapping[str, object]):
        self._url = url
        self._known: dict[int, RegisteredSchema] = {}
        # When each number was unknown. It is replaced, never changed: threads share it.
        self._unknown: dict[int, float] = {}
        timeout = settings.get("timeout", 0)
        self._deadline_s = max(_DEADLINE_S, timeout if isinstance(timeout, int | float) else 0)
        client, self._error = _client()
        try:
            self._client = client.new_client({**_DEFAULTS, **settings, "url": url})
        # ssl.SSLError of a certificate that cannot be read is an OSError.
        except (ValueError, TypeError, OSError) as error:
            # Its messages name settings, not their values.
            raise ConfigurationError(f"registry_config cannot be used: {_line(error)}") from None

    def schema(self, number: int) -> RegisteredSchema:
        """Return the schema of a number.

        Raises:
            UnknownSchemaError: there is none, or too many others were unknown just now.
            ReadError: the registry cannot be reached, or refuses.
        """
        if number in self._known:
            return self._known[number]
        unknown = self._recently_unknown()
        if number in unknown:
            raise UnknownSchemaError(_UNKNOWN)
        if len(unknown) >= _MOST_UNKNOWN:
            raise UnknownSchemaError(
                f"was not asked for: the registry did not know {len(unknown)} others within "
                f"{_UNKNOWN_S:.0f} s"
            )
        found = self._asked(number)
        if found is None:
            self._unknown = {**self._recently_unknown(), number: time.monotonic()}
            raise UnknownSchemaError(_UNKNOWN)
        self._known[number] = found
        return found

    def _recently_unknown(self) -> dict[int, float]:
        now = time.monotonic()
        return {each: at for each, at in self._unknown.items() if now - at < _UNKNOWN_S}

    def _asked(self, number: int) -> RegisteredSchema | None:
        """Return what the registry has for a number."""

        def ask() -> RegisteredSchema | None:
            references: dict[tuple[str, int], str] = {}
            try:
                found = self._client.get_schema(number)
                self._collect(found, references)
            except self._error as error:
                if error.http_status_code == 404 and error.error_code in _NO_SCHEMA:
                    return None
                raise
            kind = found.schema_type or "AVRO"
            return RegisteredSchema(kind, found.schema_str or "", tuple(references.values()))

        return self._ask(ask, ReadError)

    def register(self, subject: str, text: str) -> int:
        """Return the number of an Avro schema, which becomes the newest of a subject if it is new.

        Raises WriteError where the registry cannot be reached, or refuses it.
        """
        from confluent_kafka.schema_registry import Schema

        def ask() -> int:
            return int(self._client.register_schema(subject, Schema(text, "AVRO")))

        return self._ask(ask, WriteError)

    def _collect(self, schema: Any, found: dict[tuple[str, int], str]) -> None:
        """Note the schemas that one refers to, each after those that it refers to itself."""
        for each in schema.references or ():
            if (each.subject, each.version) not in found:
                version = self._client.get_version(each.subject, each.version, True)
                self._collect(version.schema, found)
                found[each.subject, each.version] = version.schema.schema_str

    def _ask(self, question: Callable[[], Result], kind: type[TfkafkaError]) -> Result:
        """Return the registry's answer, or raise an error of a kind."""
        who = f"the schema registry at {self._url}"
        try:
            return in_background(question).result(self._deadline_s)
        except self._error as error:
            what = f"{error.http_status_code} {printable(str(error.error_message))[:200]}"
            raise kind(
                f"{who} answered {what}: check its address, and user and rights in registry_config"
            ) from error
        except TimeoutError as error:
            raise kind(
                f"{who} did not answer within {self._deadline_s:.0f} s: {_ADVICE}"
            ) from error
        except Exception as error:
            raise kind(f"{who} cannot be asked: {_line(error)}: {_ADVICE}") from error


_UNKNOWN = "is unknown to the registry"
_ADVICE = "check that it runs, its address, and registry_config"


def checked_registry(who: str, url: str, config: Mapping[str, object] | None) -> Settings:
    """Check the address of a registry and its settings, and return the settings.

    Args:
        who: the name of the decoder or encoder, for errors.
    """
    arguments.text(f"{who}: registry", url)
    # First, and wherever it is: the other error, repr and manifests show the address.
    if "@" in url:
        raise ValueError(
            f'{who}: registry has "@", and a password in it would be shown: give '
            f'registry_config={{"basic.auth.user.info": "name:password"}}'
        )
    for each in url.split(","):
        try:
            parts = urlsplit(each.strip())
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https", "mock") or not parts.netloc:
            raise ValueError(
                f"{who}: registry is {arguments.shown(url)}, must be an address, for example "
                f'"http://localhost:8081"'
            )
    if config is None:
        return Settings()
    arguments.mapping(f"{who}: registry_config", config)
    if "url" in config:
        raise ValueError(f'{who}: registry_config has "url": give it as registry=')
    return Settings(config)


def shared_registry(url: str, settings: Mapping[str, object]) -> Registry:
    """Return the client of a registry that all decoders and encoders of this process share."""
    key = (url, *sorted((name, repr(value)) for name, value in settings.items()))
    with _lock:
        if key not in _shared:
            _shared[key] = Registry(url, settings)
        return _shared[key]


_shared: dict[tuple[object, ...], Registry] = {}
_lock = threading.Lock()


def _forget() -> None:
    """Have a forked child connect again: its connections are those of its parent."""
    global _lock
    _lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget)


def _client() -> tuple[Any, Any]:
    """Return the class of clients, and that of a registry's refusals."""
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.error import SchemaRegistryError
    except ImportError as error:
        raise ConfigurationError(
            f"registry needs {error.name}, which is not installed: pip install 'tfkafka[avro]'"
        ) from error
    return SchemaRegistryClient, SchemaRegistryError


def _line(error: BaseException) -> str:
    return printable(" ".join(str(error).split())[:200]) or type(error).__name__
