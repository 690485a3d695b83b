"""What became of the records of a run on the arena's kept topic, reader by reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.arena import EXACTLY_ONCE, KEPT, PREDICTIONS, Arena
from tests.chaos.judging import Log
from tests.chaos.readers import MOST_RECORDS
from tfkafka.exactly_once import predictions
from tfkafka.online.checkpoints import Series
from tfkafka.testing.checker import Kind, Recorder

ONCE = ("lost", "duplicated", "skipped", "phantom")
AT_LEAST_ONCE = ("lost", "skipped", "phantom")
LEARNT = "learner/judged"
# What no reader may do, by the folder of its history.
REFUSED = {
    "bounded": (*ONCE, "reordered"),
    "group": AT_LEAST_ONCE,
    "mini": AT_LEAST_ONCE,
    LEARNT: ONCE,
    EXACTLY_ONCE: ONCE,
}


@dataclass
class Findings:
    """The lines of a report, and what of it is wrong."""

    wrong: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def written(self, log: Log, acknowledged: Iterable[np.ndarray]) -> None:
        """Judge a topic: each acknowledged record must be in it, and none twice."""
        if lacking := log.lacking(acknowledged):
            self.wrong.append(f"{len(lacking)} acknowledged and not in Kafka: {lacking[:20]}")
        if twice := len(log.numbers) - len(np.unique(log.numbers)):
            self.wrong.append(f"writer: {twice} records are in Kafka twice")

    def used(self, log: Log, folder: Path) -> None:
        """Judge the histories in `folder` of all readers: each record of the log must be used."""
        for name, refused in REFUSED.items():
            use = Kind.PREDICTED if name == EXACTLY_ONCE else Kind.DELIVERED
            verdict = log.judge(folder / name, use)
            counts = ", ".join(f"{count:,} {each}" for each, count in verdict.counts.items())
            self.verdicts.append(f"{name:<16} {verdict.used:>9,} records  {counts}")
            if any(verdict.counts[each] for each in refused):
                self.wrong.append(f"{name}: {verdict}")

    def errors(self, arena: Arena) -> None:
        """Note with which errors writers and readers ended; some must not occur."""
        for writer in arena.writers.values():
            self.verdicts.append(
                f"{f'writer {writer.topic}':<16} {sum(map(len, writer.acknowledged)):>9,} "
                f"acknowledged, {dict(writer.errors)}"
            )
        for reader in arena.readers.values():
            counts = Counter(reader.errors())
            self.verdicts += [f"{reader.name}: {count} x {line}" for line, count in counts.items()]
            self.wrong += [f"{reader.name}: {line}" for line in counts if "unexpected" in line[:12]]


def judge_kept(arena: Arena, findings: Findings) -> None:
    """Judge what was written to the kept topic, and every reader of it, once all is drained."""
    log = Log.read(arena.direct, KEPT, arena.ends(KEPT))
    findings.written(log, arena.writers[KEPT].acknowledged)
    for group in ("group", "mini", EXACTLY_ONCE):
        _record_commits(arena, group)
    _record_learnt(arena.folder)
    predictions.wait_until_settled({"bootstrap.servers": arena.direct}, PREDICTIONS)
    found = predictions.read_predictions(arena.direct, PREDICTIONS)
    with Recorder(arena.folder / EXACTLY_ONCE, KEPT) as recorder:
        for (_, partition), (offsets, _) in found.items():
            recorder.predicted(partition, offsets)
    if wrong := log.wrong_predictions(found):
        findings.wrong.append(f"exactly-once: {len(wrong)} predictions are wrong: {wrong[:5]}")
    findings.used(log, arena.folder)


def _record_commits(arena: Arena, group: str) -> None:
    with Recorder(arena.folder / group, KEPT) as recorder:
        for row in arena.admin.describe_group(group):
            recorder.committed(row.partition, row.committed)


def _record_learnt(folder: Path) -> None:
    """What the surviving model says that it was trained on, as often as it says."""
    _, state = Series(folder / "learner" / "learner", "state").newest(pytest.fail)
    [counts] = [each for each in state.arrays.values() if each.shape == (MOST_RECORDS, 1)]
    numbers = np.repeat(np.arange(MOST_RECORDS), counts[:, 0].astype(int))
    with Recorder(folder / LEARNT, KEPT) as recorder:
        recorder.delivered(-1, -1, numbers)
