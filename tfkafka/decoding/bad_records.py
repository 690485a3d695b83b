"""The policy for records that cannot be decoded, and their counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Fault
from tfkafka.errors import BadRecordError

Policy = Literal["error", "skip", "dead_letter"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

# Writes the records of a chunk that have a fault to the dead letter topic.
DeadLetters = Callable[[Chunk, Sequence[Fault]], None]


# How many kinds of faults are counted apart, and how many of them a summary names.
_KINDS, _NAMED_KINDS = 1000, 5
_OTHER = "other reasons"


@dataclass
class Counts:
    """Numbers of records of one pass over a dataset: read = used + skipped + dead_lettered.

    Attributes:
        missing: records that were deleted before they were read: see `on_missing_offsets`.
        reasons: why records were skipped or dead-lettered, with the number of records of each kind.
        absent: the fields that none of the records that were used has; None: there was no record.
    """

    read: int = 0
    used: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    missing: int = 0
    reasons: dict[str, int] = field(default_factory=dict, compare=False)
    absent: frozenset[str] | None = field(default=None, init=False, compare=False)

    def add(
        self,
        read: int,
        faults: Sequence[Fault],
        policy: Policy,
        absent: frozenset[str] = frozenset(),
    ) -> None:
        """Count a chunk of `read` records, some of which could not be decoded.

        Args:
            absent: the fields that none of them has.
        """
        self.read += read
        if read > len(faults):
            self.absent = absent if self.absent is None else self.absent & absent
        self.used += read - len(faults)
        if policy == "dead_letter":
            self.dead_lettered += len(faults)
        else:
            self.skipped += len(faults)
        for fault in faults:
            self._add_reason(fault.kind or fault.reason, 1)

    def _add_reason(self, kind: str, number: int) -> None:
        if kind not in self.reasons and len(self.reasons) >= _KINDS:
            kind = _OTHER
        self.reasons[kind] = self.reasons.get(kind, 0) + number

    def merge(self, other: Counts) -> None:
        """Count the records of another pass, too."""
        for name, number in other.numbers().items():
            setattr(self, name, getattr(self, name) + number)
        for kind, number in other.reasons.items():
            self._add_reason(kind, number)
        if other.absent is not None:
            self.absent = other.absent if self.absent is None else self.absent & other.absent

    def to_json(self) -> dict[str, Any]:
        """Return the counts in a form that `json.dump` accepts and `of` reads."""
        absent = None if self.absent is None else sorted(self.absent)
        return {**self.numbers(), "reasons": self.reasons, "absent": absent}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Counts:
        """Return the counts that `to_json` described."""
        counts = cls(**{name: each for name, each in content.items() if name != "absent"})
        absent = content["absent"]
        counts.absent = None if absent is None else frozenset(absent)
        return counts

    def numbers(self) -> dict[str, int]:
        """Return the numbers alone."""
        numbers: dict[str, int] = asdict(self)
        del numbers["reasons"], numbers["absent"]
        return numbers

    def summary(self) -> str:
        """Return what is odd about the records; "" where nothing is.

        That is how many could not be decoded, and why; and fields that none of the others has.
        """
        return "; ".join(filter(None, [self.of_faults(), self._of_fields()]))

    def of_faults(self) -> str:
        """Return how many records could not be decoded, and why; "" where all could."""
        bad = self.skipped + self.dead_lettered
        if not bad:
            return ""
        what = "skipped" if self.skipped else "written to the dead letter topic"
        kinds = sorted(self.reasons.items(), key=lambda item: -item[1])
        named = [f"{count:,} x {kind}" for kind, count in kinds[:_NAMED_KINDS]]
        if rest := sum(count for _, count in kinds[_NAMED_KINDS:]):
            named.append(f"{rest:,} x {_OTHER}")
        none_left = "" if self.used else ": does the decoder fit the topic?"
        return (
            f"{bad:,} of {self.read:,} records could not be decoded and were {what}: "
            f"{'; '.join(named)}{none_left}"
        )

    def _of_fields(self) -> str:
        if not self.absent:
            return ""
        named = sorted(self.absent)[:_NAMED_KINDS]
        if rest := len(self.absent) - len(named):
            named.append(f"{rest:,} others")
        right = "are the names right?" if len(named) > 1 else "is the name right?"
        return f"none of the {self.used:,} records that were used has {', '.join(named)}: {right}"


@dataclass
class BadRecords:
    """The policy for records that cannot be decoded.

    Args:
        policy: "error" raises BadRecordError; "skip" only counts the record; "dead_letter" writes
            it with `dead_letters`.
        dead_letters: writes the records; None: nothing is written.
        counts: the counts so far.
        total: where several iterations are counted together; None: nowhere.
    """

    policy: Policy = "error"
    dead_letters: DeadLetters | None = None
    counts: Counts = field(default_factory=Counts)
    total: Counts | None = None

    def handle(
        self, chunk: Chunk, faults: Sequence[Fault], absent: frozenset[str] = frozenset()
    ) -> None:
        """Count a decoded chunk, and apply the policy to its faults.

        Args:
            absent: the fields that none of its records has.

        Raises:
            BadRecordError: the policy is "error" and there is a fault.
            WriteError: a record could not be written to the dead letter topic.
        """
        refuse(self.policy, chunk, faults)
        if faults and self.dead_letters is not None:
            self.dead_letters(chunk, faults)
        for counts in (self.counts, self.total):
            if counts is not None:
                counts.add(len(chunk), faults, self.policy, absent)


def check_policy(policy: Policy, topic: str | None, read: Sequence[str]) -> None:
    """Check how bad records of the topics `read` are treated.

    Raises ValueError where the policy is unknown, where it does not fit the dead letter topic, and
    where that is one of those that are read.
    """
    arguments.choice("on_bad_record", policy, POLICIES)
    arguments.optional(arguments.text, "dead_letter_topic", topic)
    if (policy == "dead_letter") != (topic is not None):
        raise ValueError('on_bad_record="dead_letter" and dead_letter_topic go together')
    if topic is not None:
        refuse_loop("dead_letter_topic", topic, read)


def refuse_loop(name: str, topic: str, read: Sequence[str]) -> None:
    """Raise ValueError where a topic that is written is one of those that are read.

    Args:
        name: the argument that names the topic.
        topic: the topic that is written.
        read: the topics that are read; one that begins with "^" is a pattern, as for Kafka's
            client.
    """
    for each in read:
        # Where the syntax of a pattern is unknown, Kafka's client says what is wrong with it.
        if config.is_read(topic, [each]):
            raise ValueError(
                f"{name} is {topic!r}, which is read ({each!r}): what is written would be read "
                f"again: give another topic"
            )


def refuse(policy: Policy, chunk: Chunk, faults: Sequence[Fault]) -> None:
    """Raise BadRecordError where the policy is "error" and there is a fault."""
    if faults and policy == "error":
        where = chunk.position(faults[0].index)
        raise BadRecordError(f"{where}: {faults[0].reason}", **where._asdict())
