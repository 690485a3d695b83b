"""Clients that the native library can use.

librdkafka loads the library as a plugin, and shows it the clients that are created. Where the
library is missing or not wanted, Python does the work: this is the only place where that is chosen.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import cimpl

from tfkafka import native
from tfkafka.client import create
from tfkafka.errors import ConfigurationError

Client = TypeVar("Client")

_PLUGINS = "plugin.library.paths"


class NativeClient(NamedTuple):
    """What the native library calls a client. It must not be used once the client is destroyed."""

    library: ctypes.CDLL
    pointer: int


def make_client(
    kind: Callable[[dict[str, Any]], Client], settings: Mapping[str, object]
) -> tuple[Client, NativeClient | None]:
    """Return a client as `create.make_client` does, and the native one, or None for Python."""
    library = native.for_clients(cimpl.__file__)
    if library is None:
        return create.make_client(kind, settings), None
    client = create.make_client(kind, with_plugin(settings))
    pointer: int | None = library.tk_take_new_client()
    if pointer is None:
        raise ConfigurationError(
            f"librdkafka has not loaded its plugin {native.PATH}: set {native.VARIABLE}=0"
        )
    return client, NativeClient(library, pointer)


def with_plugin(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a client that the native library is to use."""
    paths = [str(settings[_PLUGINS])] if _PLUGINS in settings else []
    return {**settings, _PLUGINS: ";".join([*paths, str(native.PATH)])}
