"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reproduction import pages, readers
from reproduction.report import benchmarks as bench
from reproduction.report import facts, figures
from reproduction.report.contents import Contents
from reproduction.report.history import BENCHMARKS, TUTORIAL
from reproduction.report.links import Links
from tfkafka.testing.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_COMPARED,
    NOT_RUN,
    SHOWN,
    show,
    show_tolerance,
)

TITLE = "Kafka and TensorFlow: the tutorial, checked"
MARKS = {
    HOLDS: ("\u2713 holds", "good"),
    FAILS: ("\u2717 does not hold", "bad"),
    KNOWN_FALSE: ("\u2717 is false", "bad"),
    SHOWN: ("\u25cb shown, not judged", "quiet"),
    NOT_RUN: ("\u2013 not run", "quiet"),
    NOT_COMPARED: ("\u2013 not compared", "quiet"),
}
FLOOR_MARKS = {
    bench.HOLDS: ("\u2713 holds", "good"),
    bench.BELOW: ("\u2717 broken", "bad"),
    bench.UNKNOWN: ("? unknown", "quiet"),
}
# Of a side of a comparison: a column's head, the field, and how it is written.
SIDE_FIGURES = (
    ("records/s", "records_per_s", "{:,.0f}"),
    ("of the ceiling", "share_of_ceiling", "{:.1%}"),
    ("MB/s", "mb_per_s", "{:,.1f}"),
    ("ms a step", "ms_per_step", "{:.3g}"),
    ("wall s", "wall_s", "{:.3g}"),
    ("CPU s", "cpu_s", "{:.3g}"),
    ("stolen s", "stolen_s", "{:.2f}"),
    ("peak MiB", "peak_mib", "{:,.0f}"),
)
SIDE_HEADS = ("way", "kind", *(head for head, _, _ in SIDE_FIGURES))


@dataclass(frozen=True)
class Section:
    """A part of the page: its template in templates/report, and the document about it."""

    name: str
    title: str
    docs: str
    is_there: Any


def page(contents: Contents, links: Links) -> str:
    """HTML text."""
    sources = contents.sources
    drawn = _drawn(contents)
    return pages.page(
        "report.html",
        title=TITLE,
        contents=contents,
        links=links,
        sections=[section for section in _sections(contents, drawn) if section.is_there],
        drawn=drawn,
        facts=facts,
        marks=MARKS,
        floor_marks=FLOOR_MARKS,
        statuses={"holds": HOLDS, "false": KNOWN_FALSE, "fails": FAILS, "shown": SHOWN}
        | {"unchecked": NOT_RUN},
        reader_names=readers.NAMES,
        bar_names=figures.BAR_NAMES,
        side_heads=SIDE_HEADS,
        sides_of=_sides,
        told_of=_told,
        heading_of=_heading,
        measured=sources.benchmarks,
        show=show,
        show_tolerance=show_tolerance,
    )


def _drawn(contents: Contents) -> dict[str, Any]:
    """Return what takes a while to make, and decides which sections there are."""
    sources = contents.sources
    runs, measured = sources.runs, sources.benchmarks
    learning = {
        "Accuracy and loss": figures.training(runs),
        "ROC curve": figures.roc(runs),
        "Lag while evaluating": figures.lag(runs),
    }
    return {
        "learning": {title: found for title, found in learning.items() if found},
        "rated": figures.rated(measured.comparisons) if measured else [],
        "scaling": figures.scaling(measured.scalings) if measured else [],
        "history": list(
            filter(None, (figures.history(contents.history, k) for k in (TUTORIAL, BENCHMARKS)))
        ),
    }


def _sections(contents: Contents, drawn: dict[str, Any]) -> Iterator[Section]:
    sources = contents.sources
    tutorial = "docs/reproducing-the-tutorial.md"
    measured = sources.benchmarks and facts.is_measured(sources.benchmarks)
    records = facts.records_rows(sources.manifests)
    history = drawn["history"] or contents.history_fault
    yield Section("claims", "What the tutorial claims", f"{tutorial}#the-report", True)
    yield Section("learning", "Learning", f"{tutorial}#the-scripts", drawn["learning"])
    yield Section(
        "records",
        "Which records made the models",
        "docs/reading-kafka.md#say-which-records-made-a-model-and-read-them-again",
        records,
    )
    benchmarks = "docs/benchmarks.md#how-it-is-measured"
    yield Section("throughput", "Throughput of each step", benchmarks, measured)
    yield Section("scaling", "Time and memory", benchmarks, drawn["scaling"])
    guarantees = "docs/delivery-guarantees.md#the-checker"
    yield Section("delivery", "Delivery under faults", guarantees, sources.faults)
    yield Section("history", "Former runs", f"{tutorial}#the-report", history)
    machine = facts.machine_tables(sources)
    yield Section("machine", "The machine, and how to run it again", f"{tutorial}#options", machine)
    yield Section("missing", "Not in this report", "", facts.missing(sources))


def _sides(comparison: bench.Comparison) -> list[list[str]]:
    """Return a row for each side, under SIDE_HEADS."""
    return [
        [side.label, side.kind, *(_figure(side, name, form) for _, name, form in SIDE_FIGURES)]
        for side in comparison.sides
    ]


def _told(side: bench.Side) -> str:
    """Return all that was measured of a side, a line each."""
    lines = [
        f"{head}: {_figure(side, name, form)}"
        for head, name, form in SIDE_FIGURES
        if getattr(side, name) is not None
    ]
    return "\n".join([side.label, *lines])


def _figure(side: bench.Side, name: str, form: str) -> str:
    value = getattr(side, name)
    return "-" if value is None else form.format(value)


def _heading(comparison: bench.Comparison) -> str:
    remarks = [comparison.title]
    remarks += [f"the ceiling is {comparison.ceiling}"] if comparison.ceiling else []
    remarks += [str(comparison.host)] if comparison.host.disturbed_rounds else []
    remarks += [f"load {comparison.load:.1f}"] if comparison.load is not None else []
    return "; ".join(remarks)
