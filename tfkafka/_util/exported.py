"""The names of exported models: `model-0000000007-1a2b3c4d5e6f.keras`.

Numbers ascend. What follows the number tells models of one number apart.
"""

from __future__ import annotations

import re
from pathlib import Path

PATTERN = "model-NUMBER.keras"
_NAME = re.compile(r"model-(\d+)(-\w+)?\.keras", re.ASCII)


def exported(folder: Path) -> list[Path]:
    """Return the exported models of a folder by their numbers; [] where there is no folder.

    Raises OSError where the folder cannot be read.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    return sorted((each for each in paths if _NAME.fullmatch(each.name)), key=_order)


def number_of(path: Path) -> int:
    """Return the number of an exported model."""
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def _order(path: Path) -> tuple[int, str]:
    return number_of(path), path.name
