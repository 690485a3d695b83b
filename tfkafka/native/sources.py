"""The native library's file and sources.

An installation has no sources: its library was compiled with the package.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
# The loader of Python and that of librdkafka take this name on macOS as well.
LIBRARY = FOLDER / "libtfkafka_native.so"


def sources() -> list[Path]:
    """Return the files to compile."""
    return sorted(FOLDER.glob("*.cc"))


def digest() -> str:
    """Return a text that changes with any file that the library is made of; "" without sources."""
    files = [*sources(), *sorted(FOLDER.rglob("*.h"))]
    hashed = hashlib.sha256()
    for path in files:
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.hexdigest() if files else ""


def is_current(library: Path) -> bool:
    """Return whether a library was compiled from these sources. It contains their digest."""
    return digest().encode() in library.read_bytes()
