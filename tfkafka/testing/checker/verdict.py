"""What a judge says: anomalies as data, each record named."""

from __future__ import annotations

from dataclasses import dataclass, field

LISTED = 20
ANOMALIES = ("lost", "duplicated", "reordered", "skipped", "phantom")


@dataclass(frozen=True)
class Finding:
    """A record with which something is wrong.

    Attributes:
        topic, partition, offset: where it is; partition and offset -1 where only its number is
            known.
        number: what the record calls itself, -1 where nobody wrote that down.
        reason: what is wrong, in words.
        in_kafka: of lost ones: True: the broker has it, so a reader lost it; False: the broker
            lost it; None: nobody looked.
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
    """What the operations say.

    Attributes:
        counts: of each of ANOMALIES, how many records.
        findings: of each, the first 20 by topic, partition and offset.
        operations: how many were judged.
        acknowledged: records that the broker took.
        used: distinct records that were used at least once.
        unanswered: records sent that nobody acknowledged, refused or saw: in Kafka or not.
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
        """Whether there is no anomaly, or none but the `allowed` ones."""
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
