"""Which filler readers use in a test."""

from __future__ import annotations

import ctypes

import pytest
from confluent_kafka import cimpl

from tfkafka import native

NAMES = ("python", "native")
# Runs a test once with each, by the fixture of tests/integration/tfkafka/conftest.py.
both = pytest.mark.usefixtures("filler")


def use(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let readers that are made from now on use this filler."""
    library = native_library() if name == "native" else None
    monkeypatch.setattr(native, "for_clients", lambda _librdkafka: library)


def native_library() -> ctypes.CDLL:
    """Return the native library. Skips the test where it was not built."""
    library = native.library()
    if library is None:
        pytest.skip("the native library is not there: make builds it")
    reason = ctypes.create_string_buffer(512)
    assert library.tk_find_librdkafka(cimpl.__file__.encode(), reason, 512) > 0, reason.value
    return library
