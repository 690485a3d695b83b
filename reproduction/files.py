"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` once all went well and is on the disk.

    So a reader never sees half a file, and a full disk costs nothing that was there before.

    Raises:
        OSError: with `path` as its file name.
    """
    scratch = path.with_name(".new-" + path.name)
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error
    finally:
        scratch.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8; what was there before stays where this fails."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
