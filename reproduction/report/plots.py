"""The report's plots: lines over something, each on a figure of its own that is given.

Lines differ by style and marker too, so that they can be told apart in black and white. A narrow
screen shows a figure as wide as itself, and a wide one several beside each other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reproduction import readers
from reproduction.drawing import GRID, MAIN, SECOND, THIRD, plain, tip
from reproduction.report.benchmarks import Scaling
from reproduction.report.history import Result, machines
from tfkafka.testing.claims import show

WIDTH, HEIGHT = 4.0, 2.8
STYLES: tuple[dict[str, Any], ...] = (
    {"color": MAIN, "ls": "-", "marker": "s"},
    {"color": SECOND, "ls": "--", "marker": "^", "zorder": 3},
    {"color": THIRD, "ls": "-.", "marker": "D"},
    {"color": "black", "ls": ":", "marker": "o"},
)
READER_STYLES = dict(zip(reversed(readers.NAMES), STYLES, strict=False))
SCALING_AXES = {
    "records": "records",
    "partitions": "partitions",
    "batch": "batch size, records",
    "value-bytes": "bytes a value",
    "steps_per_execution": "steps_per_execution",
}
MARKERS = 12  # on a long line
LEGEND_LINE, TITLE_LINE = 60, 44  # characters
SHOWN_DATES = 4


@dataclass(frozen=True)
class Line:
    """A line of a plot through (x, y), and how Matplotlib draws it."""

    name: str
    points: Sequence[tuple[float, float]]
    style: dict[str, Any] = field(default_factory=dict)


def reader_line(reader: str, points: Sequence[tuple[float, float]]) -> Line:
    """Return a reader's line, which looks the same in all plots."""
    style = READER_STYLES.get(reader, STYLES[0])
    return Line(readers.NAMES.get(reader, "this run"), points, style)


def training(figure: Figure, measure: str, lines: Sequence[Line]) -> None:
    """Draw a value by epoch."""
    axis = _panel(figure, f"training {measure}", "epoch", lines)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend()
    _tips(axis, _told(lines, "epoch {:g}"))


def roc(figure: Figure, lines: Sequence[Line]) -> None:
    """Draw the signal found by the background taken for it."""
    guess = Line("guessing", [(0, 0), (1, 1)], {"color": "black", "ls": ":", "lw": 1})
    drawn = [Line(line.name, line.points, line.style | {"marker": None}) for line in lines]
    axis = _panel(
        figure, "signal found, share", "background taken for signal, share", [*drawn, guess]
    )
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.legend(loc="lower right")
    every = [Line(line.name, line.points[::5], {}) for line in lines]
    _tips(axis, _told(every, "at {:.2f} of the background"))


def lag(figure: Figure, title: str, seen: dict[str, Any]) -> None:
    """Draw the records of each partition that the group lacks, and those that the model lacks."""
    behind = {f"lag of partition {number}": each for number, each in seen["partitions"].items()}
    lines = [
        Line(
            name,
            list(zip(seen["seconds"], each, strict=True)),
            style | {"drawstyle": "steps-post", "markevery": max(1, len(each) // MARKERS)},
        )
        for (name, each), style in zip(sorted(behind.items()), STYLES * len(behind), strict=False)
    ]
    unseen = list(zip(seen["seconds"], seen["unseen"], strict=True))
    lines.append(Line("not yet seen by the model", unseen, {"color": "black", "ls": ":"}))
    axis = _panel(figure, title, "seconds since the evaluation began", lines)
    axis.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axis.legend()
    _tips(axis, _told(lines, "{:g} s"))


def scaling_panels(found: Scaling) -> list[tuple[str, list[Line]]]:
    """Return unit and lines of each plot: time or throughput, and memory, as far as measured."""
    if found.of == "records":
        measures = [("seconds", {"wall clock": "wall_s", "CPU": "cpu_s"})]
    else:
        measures = [("records/s", {"throughput": "records_per_s"})]
    measures.append(("peak memory, MiB", {"memory": "peak_mib"}))
    panels = [
        (
            unit,
            [
                Line(name, points, style)
                for (name, measure), style in zip(lines.items(), STYLES, strict=False)
                if (points := _points(found, measure))
            ],
        )
        for unit, lines in measures
    ]
    return [(unit, lines) for unit, lines in panels if lines]


def scaling(figure: Figure, found: Scaling, unit: str, lines: Sequence[Line]) -> None:
    """Draw how time, throughput or memory of a step grow."""
    of = SCALING_AXES.get(found.of, plain(found.of))
    axis = _panel(figure, unit, of, lines)
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
    if len(lines) > 1:
        axis.legend()
    _tips(axis, _told(lines, "{:,.0f} " + found.of))


def history_size(lines: Sequence[str]) -> tuple[float, float]:
    """Return inches for `history`, whose legend stands below."""
    rows = sum(len(textwrap.wrap(name, LEGEND_LINE)) for name in lines)
    return WIDTH, 2.1 + 0.16 * rows


def history(figure: Figure, title: str, lines: Sequence[Line], results: Sequence[Result]) -> None:
    """Draw numbers of results, one after another; x counts them."""
    axis = _panel(figure, "\n".join(textwrap.wrap(title, TITLE_LINE)), "", lines)
    shown = range(0, len(results), -(-len(results) // SHOWN_DATES))
    axis.set_xticks(shown, [results[place].when[5:16] for place in shown])
    axis.set_xlim(-0.5, len(results) - 0.5)
    names = machines(results)
    for place, (before, now) in enumerate(pairwise(results)):
        if before.machine != now.machine:
            axis.axvline(place + 0.5, color=THIRD, ls=":", lw=1)
    if len(names) > 1:
        for place, result in enumerate(results):
            is_first = place == 0 or results[place - 1].machine != result.machine
            letter = machine_letter(names.index(result.machine)) if is_first else ""
            axis.annotate(letter, (place, 1), xycoords=("data", "axes fraction"), ha="center")
    figure.legend(loc="outside lower left", fontsize=7, frameon=False, borderpad=0)
    numbers = _told(lines, "")
    tips = {
        place: f"{result.when}, {result.machine}, {result.stolen_s:g} s stolen{numbers[place]}"
        for place, result in enumerate(results)
        if place in numbers
    }
    _tips(axis, tips)


def machine_letter(number: int) -> str:
    """Return what a machine is called in plots."""
    return chr(ord("A") + number) if number < 26 else str(number)


def _panel(figure: Figure, title: str, x_name: str, lines: Sequence[Line]) -> Axes:
    axis = figure.subplots()
    for line in lines:
        name = "\n".join(textwrap.wrap(plain(line.name), LEGEND_LINE))
        axis.plot(*zip(*line.points, strict=True), ms=4, mfc="white", label=name, **line.style)
    axis.set_title(plain(title), loc="left", fontsize=9, fontweight="bold")
    axis.set_xlabel(x_name)
    axis.grid(color=GRID, lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    return axis


def _told(lines: Sequence[Line], head: str) -> dict[float, str]:
    """Return for each x its numbers in words."""
    told: dict[float, str] = {}
    for line in lines:
        for x, y in line.points:
            told[x] = f"{told.get(x, head.format(x))}\n{line.name}: {show(y)}"
    return told


def _tips(axis: Axes, told: dict[float, str]) -> None:
    """Show a text wherever somebody points into the part of the plot that is nearest to an x."""
    low, high = axis.get_xlim()
    scale = axis.xaxis.get_transform()
    places = sorted(told)
    middles = [sum(scale.transform([a, b])) / 2 for a, b in pairwise(places)]
    edges = [low, *scale.inverted().transform(middles), high]
    for x, begin, end in zip(places, edges[:-1], edges[1:], strict=True):
        # Matplotlib leaves out what is quite transparent.
        tip(axis.axvspan(begin, end, color="black", alpha=0.01, lw=0), told[x])
    axis.set_xlim(low, high)


def _points(found: Scaling, measure: str) -> list[tuple[float, float]]:
    pairs = [(point.x, getattr(point, measure)) for point in found.points]
    return [(x, y) for x, y in pairs if y is not None]


def _thousands(value: float, _place: int = 0) -> str:
    """Such as 60k or 5M; small numbers as they are."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"
