"""What every form of the report says in the same words: the run, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reproduction import readers
from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN, Benchmarks, Limit, Ratio
from reproduction.report.sources import Sources

DEFAULT_COMMAND = "make reproduce && make test && make bench"


def commands(sources: Sources) -> dict[str, str]:
    """Return for each reader how to run the tutorial again as it was run."""
    commands = {
        readers.NAMES.get(reader, reader): seen["run.command"]
        for reader, seen in sources.runs.items()
        if "run.command" in seen
    }
    return commands or {"everything": DEFAULT_COMMAND}


def conditions(observations: Mapping[str, Any]) -> list[str]:
    """Return under which conditions the tutorial was run, as far as they are known."""
    forms = {"run.kafka": "Kafka {}", "run.rows": "{:,} rows", "run.epochs": "{} epochs"}
    return [form.format(observations[key]) for key, form in forms.items() if key in observations]


def missing(sources: Sources) -> dict[str, str]:
    """Return what the report lacks, and what makes it."""
    runs, found = sources.runs.values(), sources.benchmarks
    parts = [
        ("The tutorial", sources.runs, "make reproduce runs it"),
        *(
            (f"The tutorial with {name}", reader in sources.runs, f"make reproduce READER={reader}")
            for reader, name in readers.NAMES.items()
            if sources.runs
        ),
        (
            "Lag over time",
            any("evaluate.lag_over_time" in seen for seen in runs) or not sources.runs,
            "scripts/07_evaluate.py watches it",
        ),
        (
            "The ROC curve",
            any("predict.roc" in seen for seen in runs) or not sources.runs,
            "scripts/10_predict.py draws it",
        ),
        (
            "Which records made the models",
            sources.manifests or not sources.runs,
            "scripts/06_train.py and 09_train_online.py note them",
        ),
        ("Tests", sources.tests, "make test runs them"),
        ("Delivery under faults", sources.faults, "make faults kills and freezes what it can"),
        ("Throughput", found and is_measured(found), "make bench measures the steps"),
        (
            "How time and memory grow",
            found and found.scalings,
            "make bench-full measures it",
        ),
    ]
    return {what: maker for what, present, maker in parts if not present}


def run_facts(observations: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known of a run of the tutorial, by name."""
    names = {
        "started": "run.started",
        "ended at an error of": "run.failed",
        "seconds, all steps": "run.seconds",
        "CPU seconds the host took meanwhile (steal)": "run.stolen_s",
        "Kafka": "run.kafka",
        "rows": "run.rows",
        "epochs": "run.epochs",
        "seed": "run.seed",
        "data": "run.susy",
    }
    facts = {
        name: observations[key] for name, key in names.items() if observations.get(key) is not None
    }
    if "rows" in facts:
        facts["rows"] = f"{facts['rows']:,}"
    return {name: str(value) for name, value in facts.items()}


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


def machine_facts(observations: Mapping[str, Any]) -> dict[str, str]:
    """Return what is known of the machine that the tutorial ran on; empty where nobody looked."""
    machine = observations.get("run.machine")
    if not machine:
        return {}
    return {
        "CPU": f"{machine['cpu']}, {machine['cores']} cores",
        "memory": f"{machine['memory_gib']} GiB",
        "system": machine["system"],
        "git commit": machine["commit"],
        "versions": ", ".join(f"{name} {v}" for name, v in machine["versions"].items()),
    }


def runs_table(sources: Sources) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows: facts of the tutorial's runs, with a column for each run."""
    columns = {
        readers.NAMES.get(reader, reader): run_facts(seen) | machine_facts(seen)
        for reader, seen in sources.runs.items()
    }
    names = dict.fromkeys(name for facts in columns.values() for name in facts)
    rows = [[name, *(facts.get(name, "-") for facts in columns.values())] for name in names]
    return ["fact", *(name or "the scripts" for name in columns)], rows


def machine_tables(sources: Sources) -> list[tuple[list[str], list[list[str]]]]:
    """Return heads and rows of what is known of the machine, for the runs and for all else."""
    tables = [runs_table(sources), (["fact", "value"], [list(row) for row in other_facts(sources)])]
    return [(heads, rows) for heads, rows in tables if rows]


def other_facts(sources: Sources) -> list[tuple[str, str]]:
    """Return (name, value) of the runs of tests and benchmarks."""
    found = [(f"{run.name}, started", run.started) for run in sources.tests]
    measured = sources.benchmarks
    if measured is None:
        return found
    return [
        *found,
        ("benchmarks, when", measured.when),
        *((f"benchmarks, {name}", value) for name, value in measured.machine.items()),
        ("benchmarks, git commit", measured.commit),
        (
            "benchmarks, CPU seconds the host took meanwhile (steal)",
            f"{stolen_seconds(measured):.1f}",
        ),
    ]


def stolen_seconds(benchmarks: Benchmarks) -> float:
    """Return the CPU seconds that the host took while it was measured."""
    measured = (*benchmarks.comparisons, *benchmarks.scalings)
    return sum(each.host.stolen_s for each in measured)


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


def apart_rows(benchmarks: Benchmarks) -> list[tuple[str, str, str]]:
    """Return (title, what, seconds) of what was measured apart."""
    return [
        (f"{comparison.title} {comparison.host}".strip(), name, f"{seconds:.3g}")
        for comparison in benchmarks.comparisons
        for name, seconds in comparison.apart.items()
    ]


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
