"""Numbered files of arrays that are there as a whole or not at all.

What the disk itself spoils is found by a checksum.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka._util.files import SCRATCH, replacing
from tfkafka.errors import CheckpointError

LOCK = "lock"
HEADER = "header"


@dataclass(frozen=True)
class Checkpoint:
    """What one file holds: a header that JSON can hold, and arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and keep others out of it; the lock ends with the process, whatever ends it.

    Raises CheckpointError where it cannot be made, or another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CheckpointError(
                f"{folder}: another process (pid {file.read().strip() or 'unknown'}) is learning "
                f"here: end it first, or give another folder"
            ) from None
        file.truncate(0)
        # The name of the process is for people; that a full disk has no room for it is no matter.
        with contextlib.suppress(OSError):
            os.write(file.fileno(), str(os.getpid()).encode())
        for left in folder.glob(f"{SCRATCH}*"):
            left.unlink()
        yield


def save(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a checkpoint: the sha256 of all that follows in hexadecimal, a line feed, an .npz.

    Returns when it is on the disk. Raises CheckpointError; then what was there before still is.
    """
    content = io.BytesIO()
    np.savez(content, **{HEADER: np.array(json.dumps(header))}, **arrays)
    checksum = hashlib.sha256(content.getbuffer()).hexdigest().encode() + b"\n"

    def write(scratch: Path) -> None:
        with scratch.open("wb") as file:
            file.write(checksum)
            file.write(content.getbuffer())

    replace(path, write)


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Put what `write` writes in the place of `path`.

    Raises CheckpointError, and leaves what was there, where the disk is full or refuses.
    """
    try:
        with replacing(path) as scratch:
            write(scratch)
    except OSError as error:
        raise CheckpointError(
            f"{path}: {error.strerror}; what was saved before is valid"
        ) from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises CheckpointError where it is damaged or cannot be read."""
    try:
        checksum, _, content = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise CheckpointError(f"{path}: is damaged: its sha256 is another")
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return Checkpoint(json.loads(str(arrays.pop(HEADER))), arrays)


@dataclass(frozen=True)
class Series:
    """Checkpoints `NAME-0000000000.ckpt`, `NAME-0000000001.ckpt`, ... of a folder."""

    folder: Path
    name: str

    def path(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number:010}.ckpt"

    def numbers(self) -> list[int]:
        """Those that are there, ascending."""
        paths = self.folder.glob(f"{self.name}-*.ckpt")
        return sorted(int(path.stem.removeprefix(f"{self.name}-")) for path in paths)

    def newest(self, notify: Callable[[str], None]) -> tuple[int, Checkpoint] | None:
        """The last one that is intact, or None where there is none at all.

        Each damaged one before which it looks is told to `notify`. Raises CheckpointError where
        all are damaged.
        """
        numbers = self.numbers()
        for number in reversed(numbers):
            try:
                return number, load(self.path(number))
            except CheckpointError as error:
                notify(f"{error}: the one before is used")
        if numbers:
            raise CheckpointError(
                f"{self.folder}: each {self.name} is damaged: delete the folder to begin again"
            )
        return None

    def forget_before(self, number: int) -> None:
        """Delete those with a smaller number."""
        for old in self.numbers():
            if old < number:
                self.path(old).unlink()
