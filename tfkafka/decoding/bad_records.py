"""What to do with records that cannot be decoded, and how many there were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Fault
from tfkafka.errors import PoisonedRecordError

POLICIES = ("fail", "skip", "quarantine")

# Writes the records of a chunk that have a fault to where they are kept.
Quarantine = Callable[[Chunk, Sequence[Fault]], None]


@dataclass
class Counts:
    """Records of one pass over a dataset: read = used + skipped + quarantined."""

    read: int = 0
    used: int = 0
    skipped: int = 0
    quarantined: int = 0

    def add(self, read: int, faults: int, policy: str) -> None:
        """Count a chunk of so many records, of which `faults` could not be decoded."""
        self.read += read
        self.used += read - faults
        if policy == "quarantine":
            self.quarantined += faults
        else:
            self.skipped += faults


@dataclass
class BadRecords:
    """The policy for records that cannot be decoded.

    Args:
        policy: "fail" raises; "skip" counts; "quarantine" writes the record by `quarantine`.
    """

    policy: str = "fail"
    quarantine: Quarantine | None = None
    counts: Counts = field(default_factory=Counts)

    def handle(self, chunk: Chunk, faults: Sequence[Fault]) -> None:
        """Count a decoded chunk, and treat its faults.

        Raises:
            PoisonedRecordError: the policy is "fail" and there is a fault.
            WriteError: a record could not be written to the quarantine.
        """
        refuse(self.policy, chunk, faults)
        if faults and self.quarantine is not None:
            self.quarantine(chunk, faults)
        self.counts.add(len(chunk), len(faults), self.policy)


def check_policy(policy: str, topic: str | None) -> None:
    """Raise ValueError where the policy is unknown, or does not fit the quarantine's topic."""
    if policy not in POLICIES:
        raise ValueError(f"on_poison is {policy!r}, must be one of {', '.join(POLICIES)}")
    if (policy == "quarantine") != (topic is not None):
        raise ValueError('on_poison="quarantine" and quarantine_topic go together')


def refuse(policy: str, chunk: Chunk, faults: Sequence[Fault]) -> None:
    """Raise PoisonedRecordError where the policy is "fail" and there is a fault."""
    if faults and policy == "fail":
        raise PoisonedRecordError(f"{chunk.position(faults[0].index)}: {faults[0].reason}")
