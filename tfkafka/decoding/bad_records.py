"""The policy for records that cannot be decoded, and their counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Fault
from tfkafka.errors import BadRecordError

Policy = Literal["error", "skip", "dead_letter"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

# Writes the records of a chunk that have a fault to the dead letter topic.
DeadLetters = Callable[[Chunk, Sequence[Fault]], None]


@dataclass
class Counts:
    """Numbers of records of one pass over a dataset: read = used + skipped + dead_lettered.

    `missing` counts those that were deleted before they were read: see `on_missing_offsets`.
    """

    read: int = 0
    used: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    missing: int = 0

    def add(self, read: int, faults: int, policy: Policy) -> None:
        """Count a chunk of `read` records, `faults` of which could not be decoded."""
        self.read += read
        self.used += read - faults
        if policy == "dead_letter":
            self.dead_lettered += faults
        else:
            self.skipped += faults


@dataclass
class BadRecords:
    """The policy for records that cannot be decoded.

    Args:
        policy: "error" raises BadRecordError; "skip" only counts the record; "dead_letter" writes
            it with `dead_letters`.
        dead_letters: writes the records; None: nothing is written.
        counts: the counts so far.
    """

    policy: Policy = "error"
    dead_letters: DeadLetters | None = None
    counts: Counts = field(default_factory=Counts)

    def handle(self, chunk: Chunk, faults: Sequence[Fault]) -> None:
        """Count a decoded chunk, and apply the policy to its faults.

        Raises:
            BadRecordError: the policy is "error" and there is a fault.
            WriteError: a record could not be written to the dead letter topic.
        """
        refuse(self.policy, chunk, faults)
        if faults and self.dead_letters is not None:
            self.dead_letters(chunk, faults)
        self.counts.add(len(chunk), len(faults), self.policy)


def check_policy(policy: Policy, topic: str | None) -> None:
    """Raise ValueError where the policy is unknown, or does not fit the dead letter topic."""
    if policy not in POLICIES:
        raise ValueError(f"on_bad_record is {policy!r}, must be one of {', '.join(POLICIES)}")
    if (policy == "dead_letter") != (topic is not None):
        raise ValueError('on_bad_record="dead_letter" and dead_letter_topic go together')


def refuse(policy: Policy, chunk: Chunk, faults: Sequence[Fault]) -> None:
    """Raise BadRecordError where the policy is "error" and there is a fault."""
    if faults and policy == "error":
        where = chunk.position(faults[0].index)
        raise BadRecordError(f"{where}: {faults[0].reason}", **where._asdict())
