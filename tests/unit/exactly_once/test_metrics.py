"""Which metrics are taken, before the first record is read."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfkafka import CsvDecoder
from tfkafka.exactly_once import evaluate_predictions
from tfkafka.exactly_once.metrics import checked_metrics, measure

# Nobody answers there: reading would be another error.
WHERE = ("127.0.0.1:1", "topic", "predictions", "group", CsvDecoder(1, "key"))
ACCURACY = keras.metrics.BinaryAccuracy


class NoWeights(ACCURACY):
    def update_state(self, y_true, y_pred):
        pass


class AnyArguments(ACCURACY):
    def update_state(self, *arrays, **more):
        super().update_state(*arrays, **more)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (keras.metrics.Mean(name="loss"), "'loss', a Mean: its update_state(values, sample_weight"),
        (keras.metrics.Sum(), "'sum', a Sum: its"),
        (NoWeights(), "'binary_accuracy', a NoWeights: its update_state(y_true, y_pred) must"),
        (keras.metrics.Mean, "metrics has <class 'keras"),
        ("accuracy", "metrics has 'accuracy', must be a list of"),
        (keras.losses.MeanSquaredError(), "metrics has <"),
    ],
)
@pytest.mark.parametrize("given", [list, lambda some: {"a": [ACCURACY()], "b": list(some)}])
def test_what_takes_no_labels_and_predictions_is_refused(metric, name, given):
    with pytest.raises(TypeError) as caught:
        evaluate_predictions(*WHERE, metrics=given([metric]))
    text = str(caught.value)
    assert text.startswith("metrics has ") and name in text and len(text.splitlines()) == 1


def test_no_metric_is_refused():
    with pytest.raises(TypeError, match=r"^metrics has None, must be a list of"):
        evaluate_predictions(*WHERE, metrics=[])


@pytest.mark.parametrize(
    "metrics",
    [
        [keras.metrics.MeanSquaredError(name="m"), keras.metrics.AUC(name="m")],
        {"a": [ACCURACY(name="b_m")], "a_b": [ACCURACY(name="m")]},
    ],
)
def test_two_results_of_one_name_are_refused(metrics):
    with pytest.raises(ValueError, match=r"^metrics has '(m|a_b_m)' 2 times: give each metric"):
        evaluate_predictions(*WHERE, metrics=metrics)


def test_any_way_to_take_them_is_right():
    labels = np.array([0, 1, 1, 1], np.float32)
    predictions, weights = np.array([0.1, 0.9, 0.2, 0.8]), np.array([1, 1, 2, 0])
    for metric in (ACCURACY(), AnyArguments(name="binary_accuracy")):
        found = measure(checked_metrics([metric]), labels, predictions, weights)
        assert found == {"binary_accuracy": 0.5}
