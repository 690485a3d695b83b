"""What every form of the report says in the same words: the run, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reproduction import readers
from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN, Benchmarks, Limit, Ratio
from reproduction.report.sources import Sources, TestRun

NOT_RUN = {
    "tutorial": "Not run. make reproduce runs the tutorial and writes this section.",
    "tests": "Not run. make test runs the tests and writes this section.",
    "benchmarks": "Not run. make bench measures the steps and writes this section.",
    "scaling": "Not run. make bench-full measures how time and memory grow.",
    "faults": "Not run. make faults kills and freezes what it can, and fills this section.",
    "lag": "Not run. scripts/07_evaluate.py watches the lag; make reproduce runs it.",
    "records": "Not run. make reproduce trains the models and notes which records made them.",
    "roc": "Not run. scripts/10_predict.py draws the curve; make reproduce runs it.",
}
DEFAULT_COMMAND = "make reproduce && make test && make bench"


def command(sources: Sources) -> str:
    """How to run the tutorial again as it was run."""
    return sources.observations.get("run.command", DEFAULT_COMMAND)


def run_facts(observations: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the tutorial's run; empty where there was none."""
    names = {
        "started": "run.started",
        "ended at an error of": "run.failed",
        "seconds, all steps": "run.seconds",
        "CPU seconds the host took meanwhile (steal)": "run.stolen_s",
        "Kafka": "run.kafka",
        "reader": "run.reader",
        "rows": "run.rows",
        "epochs": "run.epochs",
        "seed": "run.seed",
        "data": "run.susy",
    }
    facts = {
        name: observations[key] for name, key in names.items() if observations.get(key) is not None
    }
    if "reader" in facts:
        facts["reader"] = readers.NAMES.get(facts["reader"], facts["reader"])
    if "rows" in facts:
        facts["rows"] = f"{facts['rows']:,}"
    return [(name, str(value)) for name, value in facts.items()]


RECORDS_AGAIN = (
    "tfkafka.KafkaDataset.from_manifest reads them again from artifacts/MODEL.manifest.json, "
    "or says what is gone."
)
RECORDS_HEADS = ("model", "topic", "offsets", "topic id", "cluster id")


def records_rows(manifests: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return for each model and range of offsets a row with `RECORDS_HEADS`."""
    return [
        (
            model,
            f"{manifest['topic']}, partition {each['partition']}",
            f"{each['start']:,} to {each['stop'] - 1:,}",
            manifest["topic_id"] or "none in this version of Kafka",
            manifest["cluster_id"],
        )
        for model, manifest in manifests.items()
        for each in manifest["ranges"]
        if each["stop"] > each["start"]
    ]


def machine_facts(observations: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the machine that the tutorial ran on; empty where nobody looked."""
    machine = observations.get("run.machine")
    if not machine:
        return []
    return [
        ("CPU", f"{machine['cpu']}, {machine['cores']} cores"),
        ("memory", f"{machine['memory_gib']} GiB"),
        ("system", machine["system"]),
        ("git commit", machine["commit"]),
        ("versions", ", ".join(f"{name} {v}" for name, v in machine["versions"].items())),
    ]


def benchmark_facts(benchmarks: Benchmarks | None) -> list[tuple[str, str]]:
    """(name, value) of the benchmarks' run; empty where there was none."""
    if benchmarks is None:
        return []
    measured = (*benchmarks.comparisons, *benchmarks.scalings)
    stolen = sum(each.host.stolen_s for each in measured)
    return [
        ("benchmarks, when", benchmarks.when),
        *((f"benchmarks, {name}", value) for name, value in benchmarks.machine.items()),
        ("benchmarks, git commit", benchmarks.commit),
        ("benchmarks, CPU seconds the host took meanwhile (steal)", f"{stolen:.1f}"),
    ]


def test_facts(runs: list[TestRun]) -> list[tuple[str, str]]:
    """(name, when) of each run of tests."""
    return [(f"{run.name}, started", run.started) for run in runs]


def is_measured(benchmarks: Benchmarks) -> bool:
    """Whether there is anything of steps, their floors and limits."""
    return bool(benchmarks.comparisons or bounds(benchmarks))


@dataclass(frozen=True)
class Bound:
    """A ratio and its floor, or a quantity and its limit, in words."""

    title: str
    what: str
    median: str
    rounds: str
    bound: str
    goal: str
    verdict: str


def bounds(benchmarks: Benchmarks) -> list[Bound]:
    """All of them, those that are broken first."""
    found = [_floor(c.title, ratio) for c in benchmarks.comparisons for ratio in c.ratios]
    for measured in (*benchmarks.comparisons, *benchmarks.scalings):
        found += [_limit(measured.title, limit) for limit in measured.limits]
    order = {BELOW: 0, UNKNOWN: 1, HOLDS: 2}
    return sorted(found, key=lambda bound: order[bound.verdict])


def count_bounds(benchmarks: Benchmarks) -> dict[str, int]:
    """How many floors and limits have each verdict."""
    verdicts = [bound.verdict for bound in bounds(benchmarks)]
    return {verdict: verdicts.count(verdict) for verdict in (HOLDS, BELOW, UNKNOWN)}


def bounds_summary(benchmarks: Benchmarks) -> str:
    """The counts in one line."""
    counts = count_bounds(benchmarks)
    return (
        f"{counts[HOLDS]} of {sum(counts.values())} floors and limits held, "
        f"{counts[BELOW]} broken, {counts[UNKNOWN]} unknown (too much of the time went to the host)"
    )


def _floor(title: str, ratio: Ratio) -> Bound:
    return Bound(
        title,
        f"{ratio.of} / {ratio.to}",
        f"{ratio.median:.3g}",
        _range(ratio.rounds),
        f"at least {ratio.floor:g}",
        _goal(ratio.goal),
        ratio.verdict,
    )


def _limit(title: str, limit: Limit) -> Bound:
    return Bound(
        title,
        limit.what,
        f"{limit.median:.3g} {limit.unit}",
        _range(limit.rounds),
        f"at most {limit.most:g}",
        _goal(limit.goal),
        limit.verdict,
    )


def _goal(goal: float | None) -> str:
    return "-" if goal is None else f"{goal:g}"


def _range(rounds: list[float]) -> str:
    return f"{min(rounds):.3g} to {max(rounds):.3g}" if rounds else "-"
