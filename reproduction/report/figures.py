"""The page's figures, each with its caption; None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reproduction import readers
from reproduction.claims import read_claims
from reproduction.drawing import svg
from reproduction.pages import Figure
from reproduction.report import plots
from reproduction.report.benchmarks import ALTERNATIVE, CEILING, SUBJECT, Comparison, Scaling
from reproduction.report.history import BENCHMARKS, Result, machines

SIZE = plots.WIDTH, plots.HEIGHT
# Baldi, Sadowski, Whiteson, Nature Communications 5 (2014) 4308: SUSY, all 18 features, 4.5 million
# rows to train with, the last 500,000 to test.
PAPER_SHALLOW_AUC = 0.875
BAR_NAMES = {SUBJECT: "measured", CEILING: "ceiling", ALTERNATIVE: "what else one would use"}
SHOWN_RESULTS = 40
STOLEN = "CPU seconds that the host took (stolen)"
Runs = dict[str, dict[str, Any]]


def training(runs: Runs) -> Figure | None:
    """Return accuracy and loss by epoch."""
    tutorial = {claim.id: claim.expected for claim in read_claims()}
    panels = []
    for measure in ("accuracy", "loss"):
        name = f"train.{measure}"
        lines = [
            plots.reader_line(reader, list(enumerate(seen[name], 1)))
            for reader, seen in runs.items()
            if seen.get(name)
        ]
        if lines:
            told = list(enumerate(tutorial[name], 1))
            lines.append(plots.Line("the tutorial", told, plots.STYLES[3]))
            panels.append(
                svg(
                    lambda f, m=measure, of=lines: plots.training(f, m, of),
                    SIZE,
                    f"training-{measure}",
                )
            )
    drawn = [seen for seen in runs.values() if seen.get("train.accuracy")]
    rows = " and ".join(dict.fromkeys(f"{seen.get('run.rows', 0):,}" for seen in drawn))
    caption = (
        f"Training accuracy and loss of each epoch: the tutorial's 60,000 training rows, and "
        f"60 % of the {rows} rows here."
    )
    return Figure(caption, panels) if panels else None


def roc(runs: Runs) -> Figure | None:
    """Return the ROC curves of the saved models."""
    curves = {reader: seen["predict.roc"] for reader, seen in runs.items() if "predict.roc" in seen}
    if not curves:
        return None
    lines = [
        plots.reader_line(
            reader, list(zip(curve["false_positive"], curve["true_positive"], strict=True))
        )
        for reader, curve in curves.items()
    ]
    areas = ", ".join(
        f"{curve['auc']:.4f} with {readers.NAMES.get(reader, 'this run')}"
        for reader, curve in curves.items()
    )
    caption = (
        f"ROC curve of the saved model on susy-test. The area below it is {areas}. Baldi, Sadowski "
        f"and Whiteson published {PAPER_SHALLOW_AUC} for a shallow network on SUSY (Nature "
        f"Communications 5, 2014, 4308). It was trained on 4.5 million rows, so a run is to come "
        f"near it, not to reach it."
    )
    return Figure(caption, [svg(lambda f: plots.roc(f, lines), SIZE, "roc")])


def lag(runs: Runs) -> Figure | None:
    """Return lag over time while the model was evaluated, a panel for each reader."""
    found = {
        reader: seen["evaluate.lag_over_time"]
        for reader, seen in runs.items()
        if seen.get("evaluate.lag_over_time", {}).get("seconds")
    }
    panels = [
        svg(
            lambda f, reader=reader, seen=seen: plots.lag(
                f, f"records, {readers.NAMES.get(reader, 'this run')}", seen
            ),
            SIZE,
            f"lag-{reader}",
        )
        for reader, seen in found.items()
    ]
    caption = (
        "Records that the group has not committed yet, by partition, and records that the model "
        "has not seen yet. Where the lag falls before the model has seen the records, a crash "
        "loses them; where it falls after, a crash repeats them."
    )
    return Figure(caption, panels) if panels else None


def rated(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return those in which a throughput was measured, each with its fastest side first."""
    return [each for each in comparisons if any(side.records_per_s for side in each.sides)]


def scaling(scalings: Sequence[Scaling]) -> list[Figure]:
    """Return a figure for each scaling that has something to draw."""
    return [
        Figure(
            f"{found.title}: against {plots.SCALING_AXES.get(found.of, found.of)}. "
            f"{found.host}".strip(),
            [
                svg(
                    lambda f, s=found, u=unit, of=lines: plots.scaling(f, s, u, of),
                    SIZE,
                    f"scaling{number}-{place}",
                )
                for place, (unit, lines) in enumerate(panels)
            ],
        )
        for number, found in enumerate(scalings)
        if (panels := plots.scaling_panels(found))
    ]


def history(results: Sequence[Result], kind: str) -> Figure | None:
    """Return the last results of a kind, a panel for each thing that was measured repeatedly."""
    of_kind = [result for result in results if result.kind == kind]
    results = sorted(of_kind, key=lambda result: result.when)[-SHOWN_RESULTS:]
    panels = [
        svg(
            lambda f, t=title, of=lines: plots.history(f, t, of, results),
            plots.history_size([line.name for line in lines]),
            f"history-{kind}-{number}",
        )
        for number, (title, lines) in enumerate(_series(results))
    ]
    return Figure(_history_caption(results, kind), panels) if len(panels) > 1 else None


def _series(results: Sequence[Result]) -> Iterator[tuple[str, list[plots.Line]]]:
    """Yield what more than one result has, and the stolen time of all."""
    titles = dict.fromkeys(title for result in results for title in result.values)
    for title in titles:
        names = dict.fromkeys(name for result in results for name in result.values.get(title, {}))
        points = {
            name: [
                (place, result.values[title][name])
                for place, result in enumerate(results)
                if name in result.values.get(title, {})
            ]
            for name in names
        }
        repeated = {name: found for name, found in points.items() if len(found) > 1}
        if repeated:
            named = enumerate(repeated.items())
            yield title, [plots.Line(name, each, _style(name, n)) for n, (name, each) in named]
    stolen = [(place, result.stolen_s) for place, result in enumerate(results)]
    if stolen:
        yield STOLEN, [plots.Line("stolen", stolen, plots.STYLES[3])]


def _style(name: str, number: int) -> dict[str, Any]:
    """Return a reader's own style for its line, which begins with its name and a comma."""
    own = {f"{title}, ": plots.READER_STYLES[reader] for reader, title in readers.NAMES.items()}
    found = (style for begin, style in own.items() if name.startswith(begin) and " / " not in name)
    return next(found, plots.STYLES[number % len(plots.STYLES)])


def _history_caption(results: Sequence[Result], kind: str) -> str:
    of = "The tutorial, one run after another."
    if kind == BENCHMARKS:
        of = (
            "The benchmarks, one run after another: how many times its floor a ratio was, or how "
            "many times a quantity would fit into its limit. Below 1 is broken."
        )
    names = machines(results)
    letters = [f"{plots.machine_letter(n)}: " if len(names) > 1 else "" for n in range(len(names))]
    listed = "; ".join(f"{letter}{name}" for letter, name in zip(letters, names, strict=True))
    changed = " A dotted upright line is where the machine changed." if len(names) > 1 else ""
    return f"{of} Measured on {listed}.{changed}"
