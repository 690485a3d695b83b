"""The report's plots, each drawn on a figure that is given."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reproduction.susy.fidelity.samples import weights_of
from reproduction.susy.schema import COLUMNS, FEATURES, LABEL

CLASSES = ((0.0, "tab:blue", "background"), (1.0, "tab:red", "signal"))
BINS = 40
SHOWN = (0.002, 0.998)  # quantiles of the real rows between which a feature is drawn


def marginals(figure: Figure, real: pd.DataFrame, synthetic: pd.DataFrame) -> None:
    """Each feature's density by class: lines are synthetic, points real with their errors."""
    axes = figure.subplots(6, 3)
    for axis, name in zip(axes.flat, FEATURES, strict=True):
        edges = np.linspace(*np.quantile(real[name], SHOWN), BINS + 1)
        for value, colour, title in CLASSES:
            _density(axis, synthetic, name, value, edges, colour, title, points=False)
            _density(axis, real, name, value, edges, colour, title, points=True)
        axis.set_title(name)
        axis.set_yticks([])
    axes[0, 0].legend(fontsize=6)


def _density(axis, frame, name, value, edges, colour, title, points) -> None:
    chosen = (frame[LABEL] == value).to_numpy()
    weight = weights_of(frame)[chosen]
    count, _ = np.histogram(frame[name].to_numpy()[chosen], edges, weights=weight)
    square, _ = np.histogram(frame[name].to_numpy()[chosen], edges, weights=weight**2)
    unit = len(frame) * np.diff(edges)
    if points:
        middle = (edges[1:] + edges[:-1]) / 2
        axis.errorbar(
            middle,
            count / unit,
            np.sqrt(square) / unit,
            fmt=".",
            ms=2,
            lw=0.6,
            color=colour,
            label=f"{title}, real",
        )
    else:
        axis.stairs(count / unit, edges, color=colour, lw=0.9, label=f"{title}, synthetic")


def distances(figure: Figure, found: dict[str, float], reference: dict[str, float]) -> None:
    """Kolmogorov-Smirnov distances, beside those between two samples of real rows."""
    axis = figure.subplots()
    place = np.arange(len(found))
    axis.barh(place - 0.2, found.values(), 0.4, label="synthetic and held-out real rows")
    axis.barh(
        place + 0.2, reference.values(), 0.4, color="lightgrey", label="fitted and held-out real"
    )
    axis.axvline(0.04, color="tab:red", lw=0.8, ls=":")
    axis.set_yticks(place, list(found))
    axis.invert_yaxis()
    axis.set_xlabel("Kolmogorov-Smirnov distance (dotted: the goal for the worst)")
    axis.legend()


def correlation_matrices(figure: Figure, real: np.ndarray, synthetic: np.ndarray) -> None:
    """The two matrices and their difference, magnified."""
    axes = figure.subplots(1, 3)
    panels = (("real", real, 1.0), ("synthetic", synthetic, 1.0))
    panels += (("synthetic - real", synthetic - real, 0.2),)
    for axis, (title, matrix, limit) in zip(axes, panels, strict=True):
        image = axis.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(title)
        axis.set_xticks(range(len(COLUMNS)), COLUMNS, rotation=90, fontsize=6)
        axis.set_yticks(range(len(COLUMNS)), COLUMNS if axis is axes[0] else [], fontsize=6)
        figure.colorbar(image, ax=axis, shrink=0.6)


def roc_curves(figure: Figure, trainings: dict[str, dict]) -> None:
    """ROC curves: whole, and the corner where they differ most."""
    whole, corner = figure.subplots(1, 2)
    for train, colour in zip(trainings, ("tab:blue", "tab:orange", "tab:green"), strict=True):
        for test, score in trainings[train]["tests"].items():
            label = f"{train} ({trainings[train]['rows']:,}) -> {test}: {score['auc']:.4f}"
            style = "-" if test == "real" else "--"
            for axis in (whole, corner):
                axis.plot(
                    score["false_positive"],
                    score["true_positive"],
                    style,
                    color=colour,
                    lw=1,
                    label=label,
                )
    whole.legend(title="trained on (rows) -> tested on: AUC", fontsize=6)
    corner.set_xlim(0, 0.4)
    corner.set_ylim(0.5, 1)
    for axis in (whole, corner):
        axis.set_xlabel("background taken for signal")
        axis.set_ylabel("signal found")


def training_curves(figure: Figure, measured: dict, accuracy: list, loss: list) -> None:
    """Accuracy and loss by epoch, beside what the tutorial printed."""
    for axis, name, printed in zip(
        figure.subplots(1, 2), ("accuracy", "loss"), (accuracy, loss), strict=True
    ):
        epochs = range(1, len(printed) + 1)
        axis.plot(epochs, printed, "o", ms=3, color="black", label="the tutorial, real rows")
        axis.plot(epochs, measured[name], color="tab:orange", label="synthetic rows")
        axis.set_xlabel("epoch")
        axis.set_ylabel(f"training {name}")
        axis.legend()
