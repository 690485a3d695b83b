"""Folders and files that only their owner can read: settings with passwords, keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make a folder, or take what it allows to others away from one that is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def write(path: Path, content: bytes) -> None:
    """Write a file, which replaces one that is there."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)


def write_client_settings(path: Path, settings: Mapping[str, object]) -> None:
    """Write librdkafka's settings, one `name=value` a line, as `tfkafka.config.load` reads them."""
    write(path, "".join(f"{name}={value}\n" for name, value in settings.items()).encode())
