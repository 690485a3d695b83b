"""The collector: sides take turns, and a round that the host disturbed is repeated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from reproduction.report.machine import stolen_seconds
from tests.benchmarks.meter import Sample
from tests.benchmarks.worker import Side, Worker

ROUNDS = 5
# A round that lost more than this share of its time to the host is repeated.
STOLEN_SHARE = 0.1
# As many rounds as are wanted, times this, may be repeated; after that the verdict is "unknown".
REPEATS = 1

# A round: each side's sample by its label.
Samples = dict[str, Sample]


@dataclass(frozen=True)
class Comparison:
    """Rounds of several sides, all on the same records.

    Attributes:
        step: of the tutorial.
        title: in plain words.
        records: of one round of one side.
        size: bytes of their values and keys.
        sides: in their turn; shares are of the first ceiling.
        rounds: a sample of each side by its label; those that count.
        disturbed: rounds that lost too much time to the host and were repeated.
        stolen_s: CPU seconds that the host took, from the first preparation to the last round.
        is_undisturbed: whether there are as many rounds as were wanted.
        load: the machine's load average over one minute, at the end.
    """

    step: str
    title: str
    records: int
    size: int
    sides: Sequence[Side]
    rounds: list[Samples]
    disturbed: int
    is_undisturbed: bool
    stolen_s: float
    load: float

    def of(self, *kinds: str) -> list[str]:
        return [side.label for side in self.sides if side.kind in kinds]

    def ratios(self, of: str, to: str) -> list[float]:
        """Throughput of one side against another's, round by round."""
        return [samples[to].wall_s / samples[of].wall_s for samples in self.rounds]

    def figures(self, label: str) -> dict[str, float | str | None]:
        """Medians over the rounds, for one side; None for what is not known of it."""
        samples = [each[label] for each in self.rounds]
        kind = next(side.kind for side in self.sides if side.label == label)
        wall = median(sample.wall_s for sample in samples)
        cpu = [sample.cpu_s for sample in samples if sample.cpu_s is not None]
        found: dict[str, float | str | None] = {
            "kind": kind,
            "records_per_s": self.records / wall,
            "mb_per_s": self.size / wall / 1e6,
            "wall_s": wall,
            "cpu_s": median(cpu) if cpu else None,
            "stolen_s": median(sample.stolen_s for sample in samples),
            "peak_mib": max(sample.peak_mib for sample in samples),
        }
        if samples[0].steps:
            found["ms_per_step"] = 1000 * wall / samples[0].steps
        if kind != "ceiling" and (ceilings := self.of("ceiling")):
            found["share_of_ceiling"] = median(self.ratios(label, ceilings[0]))
        return found

    def apart(self) -> dict[str, float]:
        """Medians of what is measured beside the work, by name and side."""
        found = {}
        for label in [side.label for side in self.sides]:
            samples = [each[label].apart for each in self.rounds]
            # In the order of the first round that has them.
            for name in dict.fromkeys(name for sample in samples for name in sample):
                found[f"{name}, {label}"] = median(each.get(name, 0.0) for each in samples)
        return found


def take_turns(
    step: str, title: str, records: int, size: int, sides: Sequence[Side], rounds: int = ROUNDS
) -> Comparison:
    """Let all sides do a round, then all the next one, until there are enough rounds that count."""
    workers: dict[str, Worker] = {}
    stolen = stolen_seconds()
    try:
        for side in [side for side in sides if not side.fresh]:
            process = side.process or side.label
            if process not in workers:
                workers[process] = Worker(side)
            workers[process].prepare(side)
        for worker in workers.values():
            worker.wait_ready()
        counted, disturbed, enough = undisturbed(
            rounds,
            lambda number: {side.label: _sample(side, workers, number) for side in sides},
        )
    finally:
        for worker in workers.values():
            worker.close()
    stolen, load = stolen_seconds() - stolen, os.getloadavg()[0]
    return Comparison(step, title, records, size, sides, counted, disturbed, enough, stolen, load)


def undisturbed(rounds: int, once: Callable[[int], Samples]) -> tuple[list[Samples], int, bool]:
    """Do rounds until so many have lost little to the host, or too many have lost much.

    Returns the rounds that count, how many were disturbed, and whether there are enough. Where
    there are too few, the disturbed ones are among those that count: something has to be shown.
    """
    kept: list[Samples] = []
    disturbed: list[Samples] = []
    while len(kept) < rounds and len(disturbed) <= rounds * REPEATS:
        samples = once(len(kept) + len(disturbed))
        (disturbed if _is_disturbed(samples) else kept).append(samples)
    enough = len(kept) >= rounds
    return kept if enough else kept + disturbed, len(disturbed), enough


def _sample(side: Side, workers: dict[str, Worker], number: int) -> Sample:
    if not side.fresh:
        return workers[side.process or side.label].round(side, number)
    worker = Worker(side)
    try:
        worker.prepare(side)
        worker.wait_ready()
        return worker.round(side, number)
    finally:
        worker.close()


def _is_disturbed(samples: Samples) -> bool:
    wall = sum(sample.span_s or sample.wall_s for sample in samples.values())
    return sum(sample.stolen_s for sample in samples.values()) > STOLEN_SHARE * wall
