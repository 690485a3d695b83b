"""Which versions of Kafka can be started: those that have a lock file."""

from __future__ import annotations

from importlib import resources

LOCKS = resources.files(__package__) / "locks"


def known_versions() -> list[str]:
    """Return the Kafka versions that have a lock file, oldest first."""
    names = [entry.name.removesuffix(".toml") for entry in LOCKS.iterdir()]
    versions = [name for name in names if name[0].isdigit()]
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")])
