"""Everything that reads and writes, while brokers, readers and topics are disturbed at random.

SEED chooses the faults, CHAOS_MINUTES how long (2), CHAOS_VERSION the Kafka (3.9.2). What is read
and written meanwhile is judged afterwards. `make chaos`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests import stacks
from tests.chaos.arena import AGAIN, EXACTLY_ONCE, KEPT, PREDICTIONS, SHORTENED, Arena, arena
from tests.chaos.judging import Log, read_lives, silent_skips
from tests.chaos.nemesis import inflict
from tests.chaos.plan import steps
from tests.chaos.readers import MOST_RECORDS
from tfkafka.exactly_once import predictions
from tfkafka.online.checkpoints import Series
from tfkafka.testing.brokers import embedded
from tfkafka.testing.checker import Kind, Recorder, Verdict

MINUTES = float(os.environ.get("CHAOS_MINUTES", "2"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
VERSION = os.environ.get("CHAOS_VERSION", stacks.DEFAULT.version)
PROGRESS_S = 30.0
# Until the first records have passed through everything.
BEGIN_S = 120.0
REPORT = Path(__file__).parents[2] / "reports" / "chaos.txt"
ONCE = ("lost", "duplicated", "skipped", "phantom")
AT_LEAST_ONCE = ("lost", "skipped", "phantom")


@dataclass
class Outcome:
    """What a run has shown, and the lines of its report."""

    faults: Counter[str] = field(default_factory=Counter)
    heals: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)

    def healed(self, step: object, took: dict[str, float]) -> None:
        self.heals += 1
        for name, seconds in took.items():
            self.worst[name] = max(seconds, self.worst.get(name, 0.0))
            if seconds > PROGRESS_S:
                self.wrong.append(f"{name}: no progress within {PROGRESS_S:.0f} s after {step}")

    def judged(self, name: str, verdict: Verdict, refused: tuple[str, ...]) -> None:
        counts = ", ".join(f"{verdict.counts[each]:,} {each}" for each in verdict.counts)
        self.verdicts.append(f"{name:<16} {verdict.used:>9,} records  {counts}")
        if any(verdict.counts[each] for each in refused):
            self.wrong.append(f"{name}: {verdict}")

    def lines(self, minutes: float) -> list[str]:
        lines = [
            f"seed {SEED}, Kafka {VERSION}, {minutes:.0f} min, {self.heals} heals",
            *(f"{count:>4} x {kind}" for kind, count in sorted(self.faults.items())),
            "used:",
            *self.verdicts,
            "worst seconds from a heal to progress:",
            *(f"{name:<20} {seconds:6.1f}" for name, seconds in sorted(self.worst.items())),
        ]
        return [*lines, *(f"WRONG {line}" for line in self.wrong)]


@pytest.mark.chaos
@pytest.mark.timeout(60 * MINUTES + 900)
def test_nothing_is_lost_or_repeated_or_passed_over_in_silence(tmp_path, capsys):
    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    say(f"\nchaos: SEED={SEED} CHAOS_MINUTES={MINUTES:g} CHAOS_VERSION={VERSION}")
    outcome = Outcome()
    with (
        embedded.start_cluster(tmp_path / "kafka", VERSION, progress=False) as cluster,
        arena(cluster, tmp_path / "history") as everything,
    ):
        everything.begin(SEED)
        begun = time.monotonic()
        took = everything.wait_until_all_read(BEGIN_S)
        late = {each: everything.last_error(each) for each in took if took[each] > BEGIN_S}
        assert not late, f"not all have begun: {late}"
        for step in steps(SEED, list(everything.readers)):
            if time.monotonic() > begun + 60 * MINUTES:
                break
            time.sleep(step.calm_s)
            say(f"{time.monotonic() - begun:6.1f} s  {step}")
            # Topics first, since creating one needs all brokers; and last on the way back.
            heals = [inflict(everything, fault) for fault in reversed(step.faults)]
            time.sleep(step.duration_s)
            for heal in reversed(heals):
                heal()
            took = everything.wait_until_all_read(PROGRESS_S)
            slowest = max(took, key=took.get)
            say(f"{'':10}healed; the slowest after {took[slowest]:.1f} s: {slowest}")
            outcome.faults.update(str(fault.kind) for fault in step.faults)
            outcome.healed(step, took)
        minutes = (time.monotonic() - begun) / 60
        everything.drain()
        _judge(everything, outcome)
    report = "\n".join(outcome.lines(minutes))
    say(report)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report + "\n")
    assert not outcome.wrong, report


def _judge(arena: Arena, outcome: Outcome) -> None:
    log = Log.read(arena.direct, KEPT, arena.ends(KEPT))
    if lacking := log.lacking(arena.writers[KEPT].acknowledged):
        outcome.wrong.append(f"{len(lacking)} acknowledged and not in Kafka: {lacking[:20]}")
    if twice := len(log.numbers) - len(np.unique(log.numbers)):
        outcome.wrong.append(f"writer: {twice} records are in Kafka twice")
    outcome.judged("bounded", log.judge(arena.folder / "bounded"), (*ONCE, "reordered"))
    for group in ("group", "mini"):
        folder = arena.folder / group
        _record_commits(arena, group, folder)
        outcome.judged(group, log.judge(folder), AT_LEAST_ONCE)
    _record_learnt(arena.folder / "learner")
    outcome.judged("learner", log.judge(arena.folder / "learner" / "judged"), ONCE)
    _judge_predictions(arena, log, outcome)
    for name in (AGAIN, SHORTENED):
        lives = read_lives(arena.folder / name)
        records = sum(len(batch.records) for life in lives for batch in life.batches)
        errors = Counter(life.error.partition(":")[0] for life in lives if life.error)
        missing = sum(life.batches[-1].missing for life in lives if life.batches)
        findings = silent_skips(lives)
        outcome.verdicts.append(
            f"{name:<16} {records:>9,} records  {len(findings)} skipped in silence; "
            f"{len(lives)} lives, {dict(errors)}, {missing:,} reported as missing"
        )
        outcome.wrong += [f"{name}: {finding}" for finding in findings[:20]]
    for writer in arena.writers.values():
        outcome.verdicts.append(
            f"{f'writer {writer.topic}':<16} {sum(map(len, writer.acknowledged)):>9,} "
            f"acknowledged, {dict(writer.errors)}"
        )
    for reader in arena.readers.values():
        counts = Counter(reader.errors())
        outcome.verdicts += [f"{reader.name}: {count} x {line}" for line, count in counts.items()]
        outcome.wrong += [f"{reader.name}: {line}" for line in counts if "unexpected" in line[:12]]


def _record_commits(arena: Arena, group: str, folder: Path) -> None:
    with Recorder(folder, KEPT) as recorder:
        for row in arena.admin.describe_group(group):
            recorder.committed(row.partition, row.committed)


def _record_learnt(folder: Path) -> None:
    """What the surviving model says that it was trained on, as often as it says."""
    _, state = Series(folder / "learner", "state").newest(pytest.fail)
    [counts] = [each for each in state.arrays.values() if each.shape == (MOST_RECORDS, 1)]
    numbers = np.repeat(np.arange(MOST_RECORDS), counts[:, 0].astype(int))
    with Recorder(folder / "judged", KEPT) as recorder:
        recorder.delivered(-1, -1, numbers)


def _judge_predictions(arena: Arena, log: Log, outcome: Outcome) -> None:
    predictions.wait_until_settled({"bootstrap.servers": arena.direct}, PREDICTIONS)
    found = predictions.read_predictions(arena.direct, PREDICTIONS)
    folder = arena.folder / EXACTLY_ONCE
    with Recorder(folder, KEPT) as recorder:
        for (_, partition), (offsets, _) in found.items():
            recorder.predicted(partition, offsets)
    _record_commits(arena, EXACTLY_ONCE, folder)
    outcome.judged(EXACTLY_ONCE, log.judge(folder, Kind.PREDICTED), ONCE)
    if wrong := log.wrong_predictions(found):
        outcome.wrong.append(f"exactly-once: {len(wrong)} predictions are wrong: {wrong[:5]}")
