"""The ROC curve of a classifier, thin enough to be drawn and kept in JSON."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

POINTS = 200


@dataclass(frozen=True)
class Roc:
    """Area under the curve, and `POINTS` points of it at evenly spaced false positive rates."""

    auc: float
    false_positive: list[float]
    true_positive: list[float]


def roc(label: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> Roc:
    """Of (n,) labels 0 or 1 and (n,) scores. ValueError where only one class is there."""
    if len(np.unique(label)) < 2:
        raise ValueError("an ROC curve needs rows of both classes")
    false_positive, true_positive, _ = roc_curve(label, score, sample_weight=weight)
    grid = np.linspace(0, 1, POINTS)
    return Roc(
        auc=float(roc_auc_score(label, score, sample_weight=weight)),
        false_positive=grid.tolist(),
        true_positive=np.interp(grid, false_positive, true_positive).tolist(),
    )
