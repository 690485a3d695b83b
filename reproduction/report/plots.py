"""The report's plots, each drawn on a figure that is given.

Lines differ by style and marker, bars by hatch, so that they can be told apart in black and white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reproduction.drawing import plain
from reproduction.report.benchmarks import ALTERNATIVE, CEILING, SUBJECT, Comparison, Scaling, Side

DARK, MIDDLE, LIGHT = "#12426b", "#c2571a", "#7a7a7a"
# Baldi, Sadowski, Whiteson, Nature Communications 5 (2014) 4308: SUSY, all 18 features, 4.5 million
# rows to train with, the last 500,000 to test.
PAPER_SHALLOW_AUC = 0.875
LOG_FROM = 8.0  # bars that differ by more than this factor get a logarithmic axis

BAR_STYLES = {
    SUBJECT: {"facecolor": DARK, "edgecolor": "black"},
    CEILING: {"facecolor": "white", "edgecolor": "black", "hatch": "///"},
    ALTERNATIVE: {"facecolor": "#cfcfcf", "edgecolor": "black", "hatch": "..."},
}
BAR_NAMES = {SUBJECT: "measured", CEILING: "ceiling", ALTERNATIVE: "what else one would use"}
SCALING_AXES = {
    "records": "records",
    "partitions": "partitions",
    "batch": "batch size, records",
    "value-bytes": "bytes a value",
    "steps_per_execution": "steps_per_execution",
}


def training_curves(
    figure: Figure, seen: Sequence[tuple[str, Sequence[float], Sequence[float]]]
) -> None:
    """A panel for each (measure, here, in the tutorial): a value an epoch each."""
    for axis, (measure, here, tutorial) in zip(
        figure.subplots(1, len(seen), squeeze=False)[0], seen, strict=True
    ):
        epochs = range(1, len(tutorial) + 1)
        axis.plot(epochs, tutorial, ":o", color="black", ms=4, mfc="white", label="the tutorial")
        axis.plot(range(1, len(here) + 1), here, "-s", color=DARK, ms=4, label="this run")
        axis.set_xlabel("epoch")
        axis.set_ylabel(f"training {measure}")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        _grid(axis)
        axis.legend()


def roc(figure: Figure, curve: dict[str, Any]) -> None:
    """The curve, and its area beside that of the paper."""
    whole, areas = figure.subplots(1, 2, width_ratios=(3, 2))
    whole.plot(
        curve["false_positive"], curve["true_positive"], "-", color=DARK, lw=1.5, label="this run"
    )
    whole.plot([0, 1], [0, 1], ":", color="black", lw=1, label="guessing")
    whole.set_xlabel("background taken for signal, share")
    whole.set_ylabel("signal found, share")
    whole.set_aspect("equal")
    _grid(whole)
    whole.legend(loc="lower right")
    areas.plot(curve["auc"], 1, "s", color=DARK, ms=8)
    areas.plot(PAPER_SHALLOW_AUC, 0, "^", color="black", mfc="white", ms=8)
    texts = (
        f"this run: {curve['auc']:.4f}",
        f"Baldi et al., shallow network: {PAPER_SHALLOW_AUC}",
    )
    for row, text in enumerate(texts):
        areas.annotate(text, (0.02, 1.18 - row), xycoords=("axes fraction", "data"))
    areas.set_yticks([])
    areas.set_ylim(-0.5, 1.6)
    low, high = sorted((curve["auc"], PAPER_SHALLOW_AUC))
    areas.set_xlim(low - 0.006, high + 0.006)
    areas.set_xlabel("area under the ROC curve")
    areas.xaxis.set_major_locator(MaxNLocator(5))
    _grid(areas)


def lag(figure: Figure, seen: dict[str, Any]) -> None:
    """Records of each partition that the group has not committed, and that the model lacks."""
    axis = figure.subplots()
    styles = (("-", DARK, "o"), ("--", MIDDLE, "^"), ("-.", LIGHT, "D"), (":", "black", "v"))
    for number, (partition, behind) in enumerate(sorted(seen["partitions"].items())):
        style, colour, marker = styles[number % len(styles)]
        axis.step(
            seen["seconds"],
            behind,
            style,
            where="post",
            color=colour,
            marker=marker,
            ms=4,
            markevery=max(1, len(behind) // 12),
            label=f"lag of partition {partition}",
        )
    axis.plot(
        seen["seconds"],
        seen["unseen"],
        ":",
        color="black",
        lw=1.6,
        label="not yet seen by the model",
    )
    axis.set_xlabel("seconds since the evaluation began")
    axis.set_ylabel("records")
    axis.yaxis.set_major_formatter(FuncFormatter(_thousands))
    _grid(axis)
    axis.legend()


def throughput_size(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """Inches for `throughput`."""
    return 8.5, 0.4 + sum(_inches(comparison) for comparison in comparisons)


def throughput(figure: Figure, comparisons: Sequence[Comparison]) -> None:
    """Bars of records/s for each side of each comparison, fastest first."""
    panels = figure.subplots(
        len(comparisons), 1, squeeze=False, height_ratios=[_inches(c) for c in comparisons]
    )[:, 0]
    for axis, comparison in zip(panels, comparisons, strict=True):
        _bars(axis, comparison)
    panels[-1].set_xlabel("records/s")
    kinds = {side.kind for comparison in comparisons for side in comparison.sides}
    handles = [
        Patch(label=BAR_NAMES[kind], **style) for kind, style in BAR_STYLES.items() if kind in kinds
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)


def _bars(axis, comparison: Comparison) -> None:
    sides = sorted(_with_rate(comparison), key=lambda side: side.records_per_s)
    for place, side in enumerate(sides):
        style = BAR_STYLES[side.kind]
        axis.barh(place, side.records_per_s, 0.72, **style)
        text = f"{side.records_per_s:,.0f}"
        if side.share_of_ceiling is not None:
            text += f" ({_percent(side.share_of_ceiling)} of the ceiling)"
        axis.annotate(
            text,
            (side.records_per_s, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axis.set_yticks(range(len(sides)), [plain(side.label) for side in sides], fontsize=7)
    axis.set_title(plain(comparison.title), loc="left", fontsize=9, fontweight="bold")
    rates = [side.records_per_s for side in sides]
    if max(rates) > LOG_FROM * min(rates):
        axis.set_xscale("log")
        axis.set_xlim(min(rates) / 3, max(rates) * 10)
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.set_xlim(0, max(rates) * 1.5)
    axis.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _inches(comparison: Comparison) -> float:
    return 0.75 + 0.23 * len(_with_rate(comparison))


def _with_rate(comparison: Comparison) -> list[Side]:
    return [side for side in comparison.sides if side.records_per_s]


def with_rates(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those in which a throughput was measured."""
    return [comparison for comparison in comparisons if _with_rate(comparison)]


def scaling(figure: Figure, found: Scaling) -> None:
    """Time (against records) or throughput (against all else), and memory where it was measured."""
    if found.of == "records":
        lines = [("wall clock", "wall_s", "-o", DARK), ("CPU", "cpu_s", "--^", MIDDLE)]
        panels = [("seconds", lines)]
    else:
        panels = [("records/s", [("throughput", "records_per_s", "-o", DARK)])]
    panels.append(("peak memory, MiB", [("memory", "peak_mib", "-s", DARK)]))
    panels = [(unit, [line for line in lines if _points(found, line[1])]) for unit, lines in panels]
    panels = [(unit, lines) for unit, lines in panels if lines]
    for axis, (unit, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for name, measure, style, colour in lines:
            points = _points(found, measure)
            axis.plot(*zip(*points, strict=True), style, color=colour, mfc="white", label=name)
        if len(lines) > 1:
            axis.legend()
        _scaling_axes(axis, found, unit)


def _scaling_axes(axis, found: Scaling, unit: str) -> None:
    axis.set_xscale("log", base=10 if found.of in ("records", "value-bytes") else 2)
    axis.set_xticks([point.x for point in found.points])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(_thousands))
    if unit == "seconds":
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator())
    else:
        axis.set_ylim(0, 1.08 * axis.dataLim.ymax)
    axis.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axis.set_xlabel(SCALING_AXES.get(found.of, plain(found.of)))
    axis.set_ylabel(unit)
    _grid(axis)


def drawable(found: Scaling) -> bool:
    """Whether there is anything in it that `scaling` draws."""
    measures = ("wall_s", "cpu_s") if found.of == "records" else ("records_per_s",)
    return any(_points(found, measure) for measure in (*measures, "peak_mib"))


def _points(found: Scaling, measure: str) -> list[tuple[float, float]]:
    pairs = [(point.x, getattr(point, measure)) for point in found.points]
    return [(x, y) for x, y in pairs if y is not None]


def _grid(axis) -> None:
    axis.grid(color="#dddddd", lw=0.6)
    axis.set_axisbelow(True)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _thousands(value: float, _place: int = 0) -> str:
    """Such as 60k or 5M; small numbers as they are."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
