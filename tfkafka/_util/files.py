"""Files that are written whole or not at all.

A file is written under another name, flushed to the disk and then renamed; the folder is flushed
too. Whatever is killed and when, there is never half a file under the final name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH = ".new-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` once the block has ended without an error.

    Raises:
        OSError: with `path` as its file name; the previous file is kept.
    """
    scratch = path.with_name(SCRATCH + path.name)
    try:
        yield scratch
        _flush(scratch)
        os.replace(scratch, path)
        _flush(path.parent)
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}"
        raise OSError(error.errno, reason, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8; keep the previous file where this fails."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
