"""The checker's verdict: anomalies as data, each with its record."""

from __future__ import annotations

from dataclasses import dataclass, field

LISTED = 20
ANOMALIES = ("lost", "duplicated", "reordered", "skipped", "phantom")


@dataclass(frozen=True)
class Finding:
    """A record with an anomaly.

    Attributes:
        topic, partition, offset: its position; partition and offset are -1 where only the number
            is known.
        number: the record's number, -1 where it was not recorded.
        reason: what is wrong, in words.
        in_kafka: for a lost record: True: the broker has it, so a reader lost it; False: the
            broker lost it; None: not checked.
    """

    topic: str
    partition: int
    offset: int
    number: int
    reason: str
    in_kafka: bool | None = None

    def __str__(self) -> str:
        where = {True: ", it is in Kafka", False: ", it is not in Kafka", None: ""}
        name = "" if self.number < 0 else f", number {self.number}"
        return (
            f"topic {self.topic}, partition {self.partition}, offset {self.offset}{name}: "
            f"{self.reason}{where[self.in_kafka]}"
        )


@dataclass
class Verdict:
    """The verdict on a history.

    Attributes:
        counts: the number of records with each of ANOMALIES.
        findings: the first 20 records with each, by topic, partition and offset.
        operations: the number of operations judged.
        acknowledged: the number of records that the broker accepted.
        used: the number of distinct records that were used at least once.
        unanswered: the number of records that were sent, but not acknowledged, refused or seen:
            they may be in Kafka or not.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ANOMALIES, 0))
    findings: dict[str, list[Finding]] = field(
        default_factory=lambda: {anomaly: [] for anomaly in ANOMALIES}
    )
    operations: int = 0
    acknowledged: int = 0
    used: int = 0
    unanswered: int = 0

    def is_clean(self, *allowed: str) -> bool:
        """Return whether there are no anomalies except the `allowed` ones."""
        return not any(count for anomaly, count in self.counts.items() if anomaly not in allowed)

    def add(self, anomaly: str, findings: list[Finding], count: int) -> None:
        """Note `count` records; `findings` are the first of them."""
        self.counts[anomaly] += count
        room = LISTED - len(self.findings[anomaly])
        self.findings[anomaly] += findings[:room]

    def __str__(self) -> str:
        totals = ", ".join(f"{count:,} {anomaly}" for anomaly, count in self.counts.items())
        lines = [
            f"{self.operations:,} operations: {self.acknowledged:,} records acknowledged, "
            f"{self.used:,} used, {self.unanswered:,} sent without an answer; {totals}"
        ]
        for anomaly in ANOMALIES:
            lines += [f"{anomaly}: {finding}" for finding in self.findings[anomaly]]
            more = self.counts[anomaly] - len(self.findings[anomaly])
            lines += [f"{anomaly}: and {more:,} more"] if more else []
        return "\n".join(lines)
