"""Results in the shape of pytest-benchmark's JSON, which the report reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from reproduction.report.benchmarks import Limit, Ratio
from tests.benchmarks.turns import Comparison
from tests.benchmarks.worker import Side

_elapsed = 0.0


def measured_time() -> float:
    """The timer that pytest-benchmark asks: it shows what was measured elsewhere."""
    return _elapsed


def store(benchmark, walls: Sequence[float]) -> None:
    """Give measured seconds to pytest-benchmark as its rounds, for its table and its comparing."""
    left = iter(walls)
    benchmark.pedantic(_advance, setup=lambda: ((next(left),), {}), rounds=len(walls))


@dataclass(frozen=True)
class Point:
    """A size `x` at which something is measured; `records` and bytes of one round."""

    x: int
    records: int
    size: int
    side: Side


def entry(found: Comparison, ratios: Sequence[Ratio] = (), limits: Sequence[Limit] = ()) -> dict:
    """A comparison as `extra_info`: medians over the rounds, seconds, MiB, records/s."""
    return {
        "step": found.step,
        "title": found.title,
        "records": found.records,
        "bytes": found.size,
        "sides": {side.label: found.figures(side.label) for side in found.sides},
        "ceiling": next(iter(found.of("ceiling")), None),
        "ratios": [asdict(ratio) for ratio in ratios],
        "limits": [asdict(limit) for limit in limits],
        "apart": found.apart(),
        **_host(found),
    }


def observed_entry(found: Comparison, limits: Sequence[Limit]) -> dict:
    """Seconds that are no throughput as `extra_info`, by step and side, medians over the rounds."""
    seconds = {
        f"{found.step}, {side.label}": found.figures(side.label)["wall_s"] for side in found.sides
    }
    return {
        "step": found.step,
        "title": found.title,
        "sides": {},
        "apart": {**seconds, **found.apart()},
        "limits": [asdict(limit) for limit in limits],
        **_host(found),
    }


def scaling_entry(
    scaling: str, points: Sequence[Point], found: Comparison, limits: Sequence[Limit]
) -> dict:
    """The same work at several sizes as `extra_info`, medians over the rounds."""
    return {
        "scaling": scaling,
        "step": found.step,
        "title": found.title,
        "points": [_point(point, found) for point in points],
        "limits": [asdict(limit) for limit in limits],
        **_host(found),
    }


def _point(point: Point, found: Comparison) -> dict:
    figures = found.figures(point.side.label)
    return {
        "x": point.x,
        **{name: figures[name] for name in ("wall_s", "cpu_s", "stolen_s", "peak_mib")},
        "records_per_s": point.records / figures["wall_s"],
        "mb_per_s": point.size / figures["wall_s"] / 1e6,
    }


def _host(found: Comparison) -> dict:
    """How much of the machine others had meanwhile."""
    return {
        "disturbed_rounds": found.disturbed,
        "is_undisturbed": found.is_undisturbed,
        "stolen_s": found.stolen_s,
        "load": found.load,
    }


def _advance(seconds: float) -> None:
    global _elapsed
    _elapsed += seconds
