"""A local web server, and the loader cut off from UCI and from the user's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduction.susy import download, loader
from tests.unit.reproduction.susy.http_server import SusyServer


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No UCI, no cache of the user's, no pauses to speak of."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SUSY_URL", raising=False)
    monkeypatch.setattr(loader, "UCI_ADDRESSES", ("http://127.0.0.1:1/nowhere",))
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def server() -> Iterator[SusyServer]:
    with SusyServer() as running:
        yield running


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tfkafka" / "susy"
