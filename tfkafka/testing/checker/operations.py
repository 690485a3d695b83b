"""Histories of operations on Kafka records, in files that survive kill -9.

Each process appends whole entries of a fixed size to its own files. Written data is with the
kernel, and remains when the process is killed. A torn last entry is left out on reading.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

SUFFIX = ".operations"
UNKNOWN = -1
CHUNK_OPERATIONS = 1 << 17
# `time` is the monotonic clock of the machine, in ns, which all its processes share.
ENTRY = np.dtype(
    [
        ("kind", "u1"),
        ("outcome", "u1"),
        ("unused", "u2"),
        ("partition", "<i4"),
        ("offset", "<i8"),
        ("number", "<i8"),
        ("time", "<i8"),
    ]
)


class Kind(IntEnum):
    """The kind of an operation on a record."""

    SENT = 1
    ACKNOWLEDGED = 2
    DELIVERED = 3
    COMMITTED = 4
    PREDICTED = 5


class Outcome(IntEnum):
    """The outcome of an operation; UNKNOWN where no answer arrived."""

    OK = 1
    FAILED = 2
    UNKNOWN = 3


class OperationsError(ValueError):
    """A file of operations is damaged, and not only at its end."""


class Recorder:
    """Appends operations on one topic to a new file in `folder`. Use it from one thread only.

    Order is judged for each recorder: use one for each reader (consumer).

    All methods take scalars or arrays of one length. `number` identifies a record in its topic: an
    integer, counted up from 0 (the checker's memory grows with ranges of numbers), or -1 where it
    is unknown.
    """

    def __init__(self, folder: Path | str, topic: str):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.path: Path = Path(folder) / f"{os.getpid()}-{uuid.uuid4().hex[:12]}{SUFFIX}"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._append(json.dumps({"topic": topic}).encode() + b"\n")

    def sent(self, number: ArrayLike) -> None:
        """Record that a record is about to be given to a producer. Call it before that."""
        self._record(Kind.SENT, UNKNOWN, UNKNOWN, number, Outcome.UNKNOWN)

    def acknowledged(
        self,
        partition: ArrayLike,
        offset: ArrayLike,
        number: ArrayLike = UNKNOWN,
        outcome: Outcome = Outcome.OK,
    ) -> None:
        """Record the broker's answer.

        FAILED means certainly not written (or aborted); then the position may be unknown, -1, and
        the number counts.
        """
        self._record(Kind.ACKNOWLEDGED, partition, offset, number, outcome)

    def delivered(
        self, partition: ArrayLike, offset: ArrayLike, number: ArrayLike = UNKNOWN
    ) -> None:
        """Record that a reader received records; without positions, give -1, -1 and the number."""
        self._record(Kind.DELIVERED, partition, offset, number, Outcome.OK)

    def committed(
        self, partition: ArrayLike, offset: ArrayLike, outcome: Outcome = Outcome.OK
    ) -> None:
        """Record that a group's offset was committed: that of the next record, as in Kafka."""
        self._record(Kind.COMMITTED, partition, offset, UNKNOWN, outcome)

    def predicted(
        self, partition: ArrayLike, offset: ArrayLike, number: ArrayLike = UNKNOWN
    ) -> None:
        """Record that there is a prediction for the record at this position of the input topic."""
        self._record(Kind.PREDICTED, partition, offset, number, Outcome.OK)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _record(
        self,
        kind: Kind,
        partition: ArrayLike,
        offset: ArrayLike,
        number: ArrayLike,
        outcome: Outcome,
    ) -> None:
        partitions, offsets, numbers = np.broadcast_arrays(partition, offset, number)
        if kind in (Kind.DELIVERED, Kind.PREDICTED) and np.any((offsets < 0) & (numbers < 0)):
            raise ValueError(f"{kind.name.lower()}: neither an offset nor a number is given")
        entries = np.zeros(partitions.size, ENTRY)
        entries["kind"], entries["outcome"] = kind, outcome
        entries["partition"], entries["offset"] = partitions, offsets
        entries["number"], entries["time"] = numbers, time.monotonic_ns()
        self._append(entries.tobytes())

    def _append(self, data: bytes) -> None:
        if os.write(self._file, data) != len(data):
            raise OSError(f"{self.path}: no room for all operations")


@dataclass(frozen=True)
class OperationsFile:
    """A file that a `Recorder` wrote."""

    path: Path
    topic: str
    _start: int

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Yield all whole entries in their order, as arrays of ENTRY.

        Raises OperationsError where an entry is not valid.
        """
        with self.path.open("rb") as file:
            file.seek(self._start)
            while data := file.read(CHUNK_OPERATIONS * ENTRY.itemsize):
                entries = np.frombuffer(data[: len(data) // ENTRY.itemsize * ENTRY.itemsize], ENTRY)
                wrong = ~np.isin(entries["kind"], [*Kind]) | ~np.isin(
                    entries["outcome"], [*Outcome]
                )
                if wrong.any():
                    raise OperationsError(f"{self.path}: an entry is damaged: not judged")
                yield entries


def find_files(folder: Path | str) -> list[OperationsFile]:
    """Return the operations files in `folder`, by name, without those whose first line is torn."""
    files = []
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            line = file.readline()
        if line.endswith(b"\n"):
            files.append(OperationsFile(path, json.loads(line)["topic"], len(line)))
    return files
