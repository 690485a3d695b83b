"""Numbered files of arrays, each written whole or not at all.

A checksum finds damage by the disk.
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
from tfkafka._util.processes import close_in_children
from tfkafka.errors import CheckpointError

LOCK = "lock"
HEADER = "header"


@dataclass(frozen=True)
class Checkpoint:
    """The content of one file: a header for JSON, and arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder and lock it; the lock ends with the process, however that ends.

    A process that is forked from it does not have the lock.

    Raises CheckpointError where it cannot be created, or another process has the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be used: {error.strerror}") from error
    close_in_children(file)
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
        # The process id is only for people: that a full disk has no room for it does not matter.
        with contextlib.suppress(OSError):
            os.write(file.fileno(), str(os.getpid()).encode())
        for left in folder.glob(f"{SCRATCH}*"):
            left.unlink()
        yield


def save(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a checkpoint: see `packed`.

    Returns when it is on the disk. Raises CheckpointError, and then keeps the previous file.
    """
    content = packed(header, arrays)
    replace(path, lambda scratch: scratch.write_bytes(content))


def packed(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a file's content: the sha256 of an .npz in hexadecimal, a line feed, the .npz."""
    content = io.BytesIO()
    # Any: NumPy 2 has an option among the names, which takes no array.
    entries: dict[str, Any] = {HEADER: np.array(json.dumps(header)), **arrays}
    np.savez(content, **entries)
    checksum = hashlib.sha256(content.getbuffer()).hexdigest().encode() + b"\n"
    return checksum + content.getbuffer()


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Replace `path` with the file that `write` writes.

    Raises CheckpointError, and keeps the previous file, where the disk is full or refuses.
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
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    return unpacked(content, path)


def unpacked(content: bytes, where: object) -> Checkpoint:
    """Return the checkpoint that was packed. Raises CheckpointError where it is damaged."""
    checksum, _, archived = content.partition(b"\n")
    if hashlib.sha256(archived).hexdigest().encode() != checksum:
        raise CheckpointError(f"{where}: is damaged: its sha256 does not match")
    with np.load(io.BytesIO(archived)) as archive:
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
        """Return the numbers of the existing checkpoints, ascending."""
        paths = self.folder.glob(f"{self.name}-*.ckpt")
        return sorted(int(path.stem.removeprefix(f"{self.name}-")) for path in paths)

    def newest(self, notify: Callable[[str], None]) -> tuple[int, Checkpoint] | None:
        """Return the newest intact checkpoint and its number, or None where there is none.

        Calls `notify` with a line about each damaged one. Raises CheckpointError where all are
        damaged.
        """
        numbers = self.numbers()
        for number in reversed(numbers):
            try:
                return number, load(self.path(number))
            except CheckpointError as error:
                notify(f"{error}: using the one before")
        if numbers:
            raise CheckpointError(
                f"{self.folder}: every {self.name} is damaged: delete the folder to start again"
            )
        return None

    def forget_before(self, number: int) -> None:
        """Delete the checkpoints with smaller numbers."""
        for old in self.numbers():
            if old < number:
                self.path(old).unlink()
