"""Metrics of a run, against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from reproduction.metrics import measure
from tfkafka.errors import PredictionsError


@pytest.mark.parametrize("digits", [7, 1])
def test_metrics(digits):
    """With one digit there are many ties, which the area under the curve must share."""
    random = np.random.default_rng(3)
    labels = (random.random(2_000) < 0.4).astype(np.float32)
    noisy = np.clip(labels * 0.3 + random.random(2_000) * 0.7, 0.01, 0.99)
    probabilities = noisy.round(digits).astype(np.float32)
    found = measure(labels, probabilities)
    assert found.records == 2_000
    assert found.accuracy == pytest.approx(accuracy_score(labels, probabilities > 0.5))
    assert found.loss == pytest.approx(log_loss(labels, probabilities.astype(float)), rel=1e-6)
    assert found.auc == pytest.approx(roc_auc_score(labels, probabilities))


def test_certain_and_wrong_costs_a_finite_loss():
    found = measure(np.array([1, 0], np.float32), np.array([0, 1], np.float32))
    assert found.accuracy == 0 and found.auc == 0
    assert found.loss == pytest.approx(-math.log(1e-7), rel=1e-6)


def test_one_class_has_no_auc():
    assert math.isnan(measure(np.ones(3, np.float32), np.full(3, 0.5, np.float32)).auc)


@pytest.mark.parametrize("wrong", [np.nan, 1.5, -0.1, np.inf])
def test_what_is_no_probability_is_no_class_either(wrong):
    predictions = np.array([0.5, wrong, 0, 1], np.float32)
    with pytest.raises(PredictionsError, match=r"^1 of 4 predictions are not between 0 and 1"):
        measure(np.array([1, 0, 0, 1], np.float32), predictions)
