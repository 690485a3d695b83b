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

import pytest

from tests import stacks
from tests.chaos.arena import AGAIN, SHORTENED, Arena, arena
from tests.chaos.judging import read_lives, silent_skips
from tests.chaos.nemesis import inflict
from tests.chaos.plan import steps
from tests.chaos.verdicts import Findings, judge_kept
from tfkafka.testing.brokers import embedded

MINUTES = float(os.environ.get("CHAOS_MINUTES", "2"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
VERSION = os.environ.get("CHAOS_VERSION", stacks.DEFAULT.version)
PROGRESS_S = 30.0
# Until the first records have passed through everything.
BEGIN_S = 120.0
REPORT = Path(__file__).parents[2] / "reports" / "chaos.txt"


@dataclass
class Outcome(Findings):
    """What a run has shown, and the lines of its report."""

    faults: Counter[str] = field(default_factory=Counter)
    heals: int = 0
    worst: dict[str, float] = field(default_factory=dict)

    def healed(self, step: object, took: dict[str, float]) -> None:
        self.heals += 1
        for name, seconds in took.items():
            self.worst[name] = max(seconds, self.worst.get(name, 0.0))
            if seconds > PROGRESS_S:
                self.wrong.append(f"{name}: no progress within {PROGRESS_S:.0f} s after {step}")

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
        everything.wait_until_begun(BEGIN_S)
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
    judge_kept(arena, outcome)
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
    outcome.errors(arena)
