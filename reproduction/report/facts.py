"""What every form of the report says in the same words: the run, how to repeat it."""

from __future__ import annotations

from typing import Any

from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN, Benchmarks, Ratio
from reproduction.report.evidence import READERS
from reproduction.report.sources import Sources

NOT_RUN = {
    "tutorial": "Not run. make reproduce runs the tutorial and writes this section.",
    "tests": "Not run. make test runs the tests and writes this section.",
    "benchmarks": "Not run. make bench measures the steps and writes this section.",
    "scaling": "Not run. make bench-full measures how time and memory grow.",
    "faults": "Not run. make test kills brokers and readers, and writes this section.",
    "lag": "Not run. scripts/07_evaluate.py watches the lag; make reproduce runs it.",
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
        "seconds, all steps": "run.seconds",
        "CPU seconds the host took meanwhile (steal)": "run.stolen_s",
        "Kafka": "run.kafka",
        "reader": "run.reader",
        "rows": "run.rows",
        "epochs": "run.epochs",
        "seed": "run.seed",
        "data": "run.susy",
    }
    facts = {name: observations[key] for name, key in names.items() if key in observations}
    if "reader" in facts:
        facts["reader"] = READERS.get(facts["reader"], facts["reader"])
    if "rows" in facts:
        facts["rows"] = f"{facts['rows']:,}"
    return [(name, str(value)) for name, value in facts.items()]


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
    stolen = sum(
        side.stolen_s or 0 for comparison in benchmarks.comparisons for side in comparison.sides
    )
    return [
        ("benchmarks, when", benchmarks.when),
        *((f"benchmarks, {name}", value) for name, value in benchmarks.machine.items()),
        ("benchmarks, git commit", benchmarks.commit),
        ("benchmarks, stolen CPU seconds of all median rounds", f"{stolen:.1f}"),
    ]


def ratios(benchmarks: Benchmarks) -> list[tuple[str, Ratio]]:
    """(title, ratio) of all comparisons, those below their floor first."""
    found = [(c.title, ratio) for c in benchmarks.comparisons for ratio in c.ratios]
    order = {BELOW: 0, UNKNOWN: 1, HOLDS: 2}
    return sorted(found, key=lambda pair: order.get(pair[1].verdict, 1))


def floors_summary(benchmarks: Benchmarks) -> str:
    """How many ratios keep their floor, in one line."""
    held = [ratio for _, ratio in ratios(benchmarks) if ratio.floor is not None]
    counts = {verdict: sum(r.verdict == verdict for r in held) for verdict in (HOLDS, BELOW)}
    unknown = len(held) - sum(counts.values())
    return (
        f"{counts[HOLDS]} of {len(held)} ratios are above their floor, {counts[BELOW]} below, "
        f"{unknown} unknown (too much of the time went to the host)"
    )


def show_ratio(ratio: Ratio) -> tuple[str, str, str, str]:
    """What is compared, the median, the lowest and highest round, the floor."""
    rounds = f"{min(ratio.rounds):.3g} to {max(ratio.rounds):.3g}" if ratio.rounds else "-"
    floor = "none" if ratio.floor is None else f"{ratio.floor:g}"
    measure = "" if ratio.measure == "throughput" else f" ({ratio.measure})"
    return f"{ratio.of} / {ratio.to}{measure}", f"{ratio.median:.3g}", rounds, floor
