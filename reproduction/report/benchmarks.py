"""What pytest-benchmark wrote down, as far as a report shows it.

A benchmark's `extra_info` holds either a comparison (`sides` that took turns on the same records,
and the `ratios` between them) or a scaling (`points` of one step at several sizes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SUBJECT, CEILING, ALTERNATIVE = "subject", "ceiling", "alternative"
HOLDS, BELOW, UNKNOWN = "holds", "below", "unknown"


@dataclass(frozen=True)
class Side:
    """One way to do a step: medians of its rounds; None where it was not measured.

    Rates in records/s and MB/s (10^6 bytes), ms a training step, seconds of wall clock, CPU and
    stolen time, peak memory in MiB; throughput against the first ceiling's, median of the rounds.
    """

    label: str
    kind: str
    records_per_s: float | None = None
    mb_per_s: float | None = None
    ms_per_step: float | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    stolen_s: float | None = None
    peak_mib: float | None = None
    share_of_ceiling: float | None = None


@dataclass(frozen=True)
class Ratio:
    """Throughput of one side against another's, as the median of rounds.

    Below `floor` it fails; `goal` is what is wished for.
    """

    of: str
    to: str
    median: float
    rounds: list[float]
    floor: float
    verdict: str
    goal: float | None = None


@dataclass(frozen=True)
class Limit:
    """A quantity that may be `most`, such as seconds or MiB, as the median of rounds."""

    what: str
    unit: str
    median: float
    rounds: list[float]
    most: float
    verdict: str
    goal: float | None = None


@dataclass(frozen=True)
class Host:
    """What the host took while something was measured.

    Attributes:
        disturbed_rounds: lost more than a tenth of their time.
        is_undisturbed: whether enough others were left to tell anything.
        stolen_s: CPU seconds.
    """

    disturbed_rounds: int = 0
    is_undisturbed: bool = True
    stolen_s: float = 0.0

    def __str__(self) -> str:
        if not self.disturbed_rounds:
            return ""
        kind = "of which some are shown" if not self.is_undisturbed else "which were repeated"
        return f"rounds that the host disturbed, {kind}: {self.disturbed_rounds}"


@dataclass(frozen=True)
class Comparison:
    """A step of the tutorial done in several ways; `apart` has seconds that no side includes.

    Shares are of the side `ceiling`. `load` is the machine's load average over a minute, at the
    end.
    """

    step: str
    title: str
    records: int | None
    sides: list[Side]
    ratios: list[Ratio]
    limits: list[Limit]
    apart: dict[str, float]
    ceiling: str | None
    host: Host
    load: float | None


@dataclass(frozen=True)
class Point:
    """A step at size `x`."""

    x: float
    wall_s: float | None = None
    cpu_s: float | None = None
    records_per_s: float | None = None
    peak_mib: float | None = None


@dataclass(frozen=True)
class Scaling:
    """How time and memory of a step grow with `of`: records, partitions, batch, ..."""

    of: str
    step: str
    title: str
    points: list[Point]
    limits: list[Limit]
    host: Host


@dataclass(frozen=True)
class Benchmarks:
    """All of it; `others` names benchmarks that hold neither a comparison nor a scaling."""

    when: str
    machine: dict[str, str]
    commit: str
    comparisons: list[Comparison] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def parse_benchmarks(data: dict[str, Any]) -> Benchmarks:
    """Raises KeyError or TypeError where `data` is not what pytest-benchmark writes."""
    comparisons, scalings, others = [], [], []
    for benchmark in data["benchmarks"]:
        extra = benchmark["extra_info"]
        if "sides" in extra:
            comparisons.append(_comparison(extra))
        elif "scaling" in extra:
            scalings.append(_scaling(extra))
        else:
            others.append(benchmark["name"])
    commit = data.get("commit_info", {})
    return Benchmarks(
        when=data.get("datetime", "")[:19].replace("T", " "),
        machine=_machine(data.get("machine_info", {})),
        commit=f"{commit.get('id', 'unknown')}{', with changes' if commit.get('dirty') else ''}",
        comparisons=comparisons,
        scalings=scalings,
        others=others,
    )


def _machine(info: dict[str, Any]) -> dict[str, str]:
    """What a report says of the machine; not its name."""
    cpu = info.get("cpu", {})
    versions = {"Python": info.get("python_version", "unknown"), **info.get("versions", {})}
    cores = info.get("cores", cpu.get("count", "?"))
    facts = {
        "CPU": f"{cpu.get('brand_raw', 'unknown')}, {cores} cores",
        "system": f"{info.get('system', '')} {info.get('release', '')}".strip(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    if "memory_mb" in info:
        facts["memory"] = f"{info['memory_mb'] / 1024:.1f} GiB"
    if "kafka" in info:
        facts["Kafka"] = str(info["kafka"])
    if "native" in info:
        facts["tfkafka"] = str(info["native"])
    return facts


def _comparison(extra: dict[str, Any]) -> Comparison:
    return Comparison(
        step=extra["step"],
        title=extra["title"],
        records=extra.get("records"),
        sides=[Side(label, **_known(Side, side)) for label, side in extra["sides"].items()],
        ratios=[Ratio(**_known(Ratio, ratio)) for ratio in extra.get("ratios", [])],
        limits=_limits(extra),
        apart=dict(extra.get("apart", {})),
        ceiling=extra.get("ceiling"),
        host=Host(**_known(Host, extra)),
        load=extra.get("load"),
    )


def _scaling(extra: dict[str, Any]) -> Scaling:
    points = [Point(**_known(Point, point)) for point in extra["points"]]
    points.sort(key=lambda point: point.x)
    host = Host(**_known(Host, extra))
    return Scaling(extra["scaling"], extra["step"], extra["title"], points, _limits(extra), host)


def _limits(extra: dict[str, Any]) -> list[Limit]:
    return [Limit(**_known(Limit, limit)) for limit in extra.get("limits", [])]


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Without what the report does not show."""
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}
