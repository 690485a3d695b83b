"""Distances between two samples of SUSY rows, real rows weighted to the file's class shares."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from reproduction.susy.fidelity.samples import weights_of
from reproduction.susy.schema import COLUMNS, FEATURES

HALVINGS = 20
FOLDS = 5
DISCRIMINATOR_SEEDS = 3


def kolmogorov_smirnov(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float]:
    """Largest distance of the two weighted distribution functions, by feature."""
    first_weight, second_weight = weights_of(first), weights_of(second)
    distances = {}
    for name in FEATURES:
        a, b = first[name].to_numpy(), second[name].to_numpy()
        at = np.concatenate([a, b])
        gap = _distribution(a, first_weight, at) - _distribution(b, second_weight, at)
        distances[name] = float(np.abs(gap).max())
    return distances


def _distribution(values: np.ndarray, weight: np.ndarray, at: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    cumulated = np.concatenate([[0.0], np.cumsum(weight[order])]) / weight.sum()
    return cumulated[np.searchsorted(values[order], at, side="right")]


def correlations(frame: pd.DataFrame) -> np.ndarray:
    """Weighted Pearson correlations of all 19 columns, (19, 19)."""
    covariance = np.cov(frame[list(COLUMNS)].to_numpy().T, aweights=weights_of(frame))
    spread = np.sqrt(np.diag(covariance))
    return covariance / np.outer(spread, spread)


def correlation_gap_of_halves(frame: pd.DataFrame) -> float:
    """Largest difference between the correlations of two halves, mean over random halvings."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(HALVINGS):
        order = rng.permutation(len(frame))
        one, other = np.array_split(order, 2)
        gap = correlations(frame.iloc[one]) - correlations(frame.iloc[other])
        gaps.append(np.abs(gap).max())
    return float(np.mean(gaps))


def discriminator_auc(
    real: pd.DataFrame, synthetic: pd.DataFrame, seeds: int = DISCRIMINATOR_SEEDS
) -> float:
    """AUC at which gradient boosting tells the rows apart: 0.5 is not at all.

    All 19 columns, as many synthetic rows as real ones, cross-validated, mean over seeds.
    """
    synthetic = synthetic.head(len(real))
    rows = np.concatenate([real[list(COLUMNS)], synthetic[list(COLUMNS)]])
    is_real = np.concatenate([np.ones(len(real)), np.zeros(len(synthetic))])
    weight = np.concatenate([weights_of(real), np.ones(len(synthetic))])
    scores = []
    for seed in range(seeds):
        guess = cross_val_predict(
            HistGradientBoostingClassifier(random_state=seed),
            rows,
            is_real,
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
            params={"sample_weight": weight},
            method="predict_proba",
        )[:, 1]
        scores.append(roc_auc_score(is_real, guess, sample_weight=weight))
    return float(np.mean(scores))
