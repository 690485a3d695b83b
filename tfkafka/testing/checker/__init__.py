"""The checker: finds lost, duplicated, reordered, skipped and phantom records in a history.

Operations are recorded first, each with the outcome that its process saw (`Recorder`), and judged
afterwards (`judge`). Memory grows with the number of distinct records, about 50 bytes for each, not
with the number of operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tfkafka.config import Limits
from tfkafka.errors import OffsetError, TopicError
from tfkafka.reading.ranges import read, resolve
from tfkafka.testing.checker.evidence import Evidence
from tfkafka.testing.checker.operations import (
    UNKNOWN,
    Kind,
    OperationsError,
    Outcome,
    Recorder,
    find_files,
)
from tfkafka.testing.checker.verdict import ANOMALIES, LISTED, Finding, Verdict

__all__ = [
    "ANOMALIES",
    "LISTED",
    "UNKNOWN",
    "Finding",
    "Kind",
    "OperationsError",
    "Outcome",
    "Recorder",
    "Verdict",
    "is_in_kafka",
    "judge",
]


def judge(
    folder: Path | str,
    use: Kind = Kind.DELIVERED,
    servers: str | None = None,
    configuration: Mapping[str, object] | None = None,
) -> Verdict:
    """Judge all operations that recorders wrote into `folder`.

    - lost: acknowledged, and never used.
    - duplicated: used more than once, by any recorder; or its number is in the log more than once.
    - reordered: first used by a recorder after a later record of its partition.
    - skipped: the group's committed offset passed it before it was used (or, if predictions count
      as use, passed it and there is no prediction for it).
    - phantom: used, but never sent, or sent only in vain; or it is not what was acknowledged there.
      (For an unacknowledged record without a number this is known only if every record that was
      sent has an answer.)

    Args:
        folder: the folder that the recorders wrote into.
        use: what counts as use: DELIVERED or PREDICTED.
        servers: `HOST:PORT`, to look there for the lost records that are listed.
        configuration: more librdkafka settings for that consumer.

    Raises:
        OperationsError: a file is damaged, and not only at its end.
        ReadError: the broker at `servers` does not answer.
    """
    topics: dict[str, Evidence] = {}
    verdict = Verdict()
    files = find_files(folder)
    for file in files:
        evidence = topics.setdefault(file.topic, Evidence(file.topic, use))
        for entries in file.chunks():
            verdict.operations += len(entries)
            evidence.learn(entries)
    for file in files:
        topics[file.topic].follow(file)
    for name in sorted(topics):
        topics[name].conclude(verdict)
    if servers is not None:
        verdict.findings["lost"] = [
            replace(finding, in_kafka=is_in_kafka(finding, servers, configuration or {}))
            for finding in verdict.findings["lost"]
        ]
    return verdict


def is_in_kafka(finding: Finding, servers: str, configuration: Mapping[str, object]) -> bool:
    """Return whether the broker has this record, committed or not."""
    settings = {
        **configuration,
        "bootstrap.servers": servers,
        "isolation.level": "read_uncommitted",
    }
    place = (finding.topic, [finding.partition], finding.offset, finding.offset + 1)
    try:
        return any(map(len, read(resolve(settings, Limits(), *place), settings, Limits())))
    except (OffsetError, TopicError):
        return False
