"""The page's figures as HTML, each with its caption; empty where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reproduction import pages
from reproduction.claims import read_claims
from reproduction.drawing import svg
from reproduction.report import plots
from reproduction.report.benchmarks import Comparison, Scaling


def training(seen: dict[str, Any]) -> str:
    """Accuracy and loss by epoch."""
    tutorial = {claim.id: claim.tutorial for claim in read_claims()}
    panels = [
        (measure, seen[f"train.{measure}"], tutorial[f"train.{measure}"])
        for measure in ("accuracy", "loss")
        if seen.get(f"train.{measure}")
    ]
    if not panels:
        return ""
    drawn = svg(lambda figure: plots.training_curves(figure, panels), (8.5, 3.2), "training")
    rows = seen.get("run.rows", 0)
    caption = (
        f"Training accuracy and loss of each epoch: the tutorial's 60,000 training rows, and "
        f"60 % of this run's {rows:,} rows."
    )
    return pages.figure(drawn, caption)


def roc(seen: dict[str, Any]) -> str:
    """The ROC curve of the saved model."""
    curve = seen.get("predict.roc")
    if not curve:
        return ""
    drawn = svg(lambda figure: plots.roc(figure, curve), (8.5, 3.6), "roc")
    caption = (
        "ROC curve of the saved model on susy-test, and the area that Baldi, Sadowski and Whiteson "
        "published for a shallow network on SUSY (Nature Communications 5, 2014, 4308). It was "
        "trained on 4.5 million rows, so this run is to come near it, not to reach it."
    )
    return pages.figure(drawn, caption)


def lag(seen: dict[str, Any]) -> str:
    """Lag over time while the model was evaluated."""
    found = seen.get("evaluate.lag_over_time")
    if not found or not found["seconds"]:
        return ""
    drawn = svg(lambda figure: plots.lag(figure, found), (8.5, 3.2), "lag")
    caption = (
        "Records that the group has not committed yet, by partition, and records that the model "
        "has not seen yet. Where the lag falls before the model has seen the records, a crash "
        "loses them; where it falls after, a crash repeats them."
    )
    return pages.figure(drawn, caption)


def throughput(comparisons: Sequence[Comparison]) -> str:
    """Bars of all comparisons that measured a throughput."""
    rated = plots.with_rates(comparisons)
    if not rated:
        return ""
    size = plots.throughput_size(rated)
    drawn = svg(lambda figure: plots.throughput(figure, rated), size, "throughput")
    caption = (
        "Records per second, beside the ceiling of the same machine on the same records and beside "
        "what else one would use. Shares are of the ceiling that the table below names. Long "
        "axes are logarithmic."
    )
    return pages.figure(drawn, caption)


def scaling(scalings: Sequence[Scaling]) -> str:
    """A figure for each scaling that has something to draw."""
    return "\n".join(
        pages.figure(
            svg(lambda f, s=found: plots.scaling(f, s), (8.5, 2.9), f"scaling{number}"),
            f"{found.title}: against {plots.SCALING_AXES.get(found.of, found.of)}. {found.host}",
        )
        for number, found in enumerate(scalings)
        if plots.drawable(found)
    )
