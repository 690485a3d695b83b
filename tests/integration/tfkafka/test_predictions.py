"""Predictions in any encoding on a real broker: written, read, checked and evaluated."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
from confluent_kafka import Producer

from tests.integration.tfkafka.records import settle
from tfkafka import CsvDecoder, Header, JsonEncoder, TensorEncoder, write
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once import (
    ExactlyOnceInference,
    InferenceJob,
    checked_predictions,
    evaluate_predictions,
    metrics,
    read_predictions,
)

ROWS = np.array([[number / 100, 1] for number in range(100)], np.float32)
LABELED = CsvDecoder(2, label=Header("label", dtype="int64"), sample_weight=Header("weight"))


@pytest.fixture
def place(kafka, make_topic, group):
    """(servers, input with 2 partitions, predictions, group), 100 records with labels, weights."""
    servers, source, target = kafka.bootstrap_servers, make_topic(2), make_topic(2)
    producer = Producer({"bootstrap.servers": servers})
    for number, (first, second) in enumerate(ROWS.tolist()):
        headers = [("label", str(number % 3)), ("weight", str(number % 5))]
        key = "a name" if number < 10 else str(number % 2)
        producer.produce(source, f"{first},{second}", key, number % 2, headers=headers)
    assert producer.flush(30) == 0
    return servers, source, target, group


@pytest.fixture(autouse=True)
def _measure_in_parts(monkeypatch):
    """Of different sizes, so that a mean of the parts' means is not right."""
    monkeypatch.setattr(metrics, "MEASURED_ROWS", 40)


# In the order of partitions and offsets.
NUMBERS = np.concatenate([np.arange(0, 100, 2), np.arange(1, 100, 2)])


def named(rows):
    return {"sum": rows.sum(axis=1), "both": rows * 2}


def three(rows):
    """Probabilities of three classes."""
    first = rows[:, 0]
    return np.stack([first / 2, first / 2, 1 - first], axis=1)


def predicted(place, predict, encoder, decode=LABELED):
    servers, source, target, group = place
    job = InferenceJob(predict, decode, source, target, group, encoder=encoder)
    assert ExactlyOnceInference(job, servers, transaction_records=30).run().used == 100
    return servers, source, target, group, decode


@pytest.mark.parametrize(
    ("predict", "encoder"),
    [
        (lambda rows: rows, TensorEncoder("float32", (2,))),
        (lambda rows: rows, JsonEncoder(["x", "y"])),
        (three, JsonEncoder(classes=["a", "b", "c"])),
        (named, JsonEncoder()),
    ],
)
def test_any_encoding_is_read_and_checked(place, predict, encoder):
    where = predicted(place, predict, encoder)
    labels, predictions = checked_predictions(*where, encoder=encoder)
    assert labels.tolist() == (NUMBERS % 3).tolist()
    expected = predict(ROWS[NUMBERS])
    if isinstance(expected, dict):
        assert predictions.keys() == expected.keys()
        assert all(np.array_equal(predictions[name], expected[name]) for name in expected)
    else:
        assert np.array_equal(predictions, expected)
    offsets, of_one = read_predictions(where[0], where[2], encoder=encoder)[where[1], 1]
    assert offsets.tolist() == [*range(50)]
    one = of_one["both"] if isinstance(of_one, dict) else of_one
    assert len(one) == 50


def test_metrics_of_keras_with_the_decoders_weights(place):
    encoder = JsonEncoder(classes=["a", "b", "c"])
    where = predicted(place, three, encoder)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    accuracy.update_state([0], [[0, 0, 1]])  # what was measured before is forgotten
    loss = keras.metrics.SparseCategoricalCrossentropy(name="loss")
    results = evaluate_predictions(*where, encoder=encoder, metrics=[accuracy, loss])
    labels, rows, weights = NUMBERS % 3, three(ROWS[NUMBERS]), NUMBERS % 5
    hit = rows.argmax(axis=1) == labels
    assert [*results] == ["accuracy", "loss"]
    assert results["accuracy"] == pytest.approx((hit * weights).sum() / weights.sum())
    per_record = -np.log(np.clip(rows[np.arange(100), labels], 1e-7, 1))
    assert results["loss"] == pytest.approx((per_record * weights).sum() / weights.sum(), rel=1e-4)
    with pytest.raises(ValueError, match="the result of f1_score is not one number"):
        evaluate_predictions(*where, encoder=encoder, metrics=[F1()])
    typo = (*where[:3], "no-such-group", where[4])
    for evaluate in (checked_predictions, partial(evaluate_predictions, metrics=[loss])):
        with pytest.raises(PredictionsError, match=r"^group no-such-group has committed nothing"):
            evaluate(*typo, encoder=encoder)
        with pytest.raises(PredictionsError, match=rf"nothing of topic {where[2]}, of {where[1]} "):
            evaluate(where[0], where[2], *where[2:], encoder=encoder)
    with pytest.raises(ValueError, match="metrics is a dict, and predictions are one array"):
        evaluate_predictions(*where, encoder=encoder, metrics={"a": [loss]})


class F1(keras.metrics.Mean):
    def __init__(self):
        super().__init__(name="f1_score")

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return np.zeros(3)


def test_metrics_of_named_predictions(place):
    where = predicted(place, named, JsonEncoder())
    metrics = {"sum": [keras.metrics.MeanSquaredError(name="mse")]}
    results = evaluate_predictions(*where, encoder=JsonEncoder(), metrics=metrics)
    labels, weights = NUMBERS % 3, NUMBERS % 5
    errors = (ROWS[NUMBERS].sum(axis=1) - labels) ** 2
    assert results == {"sum_mse": pytest.approx((errors * weights).sum() / weights.sum(), rel=1e-5)}
    for wrong in ([keras.metrics.MeanSquaredError()], {"other": metrics["sum"]}):
        with pytest.raises(ValueError, match=r"predictions have the names (sum|both), "):
            evaluate_predictions(*where, encoder=JsonEncoder(), metrics=wrong)


def test_numeric_keys_are_the_labels_of_a_decoder_without_any(place):
    where = predicted(place, lambda rows: rows[:, 0], JsonEncoder(), CsvDecoder(2))
    labels, predictions = checked_predictions(*where, encoder=JsonEncoder())
    known = NUMBERS[NUMBERS >= 10]
    assert labels.tolist() == (known % 2).tolist()
    assert np.array_equal(predictions, ROWS[known, 0])
    accuracy = [keras.metrics.BinaryAccuracy()]
    results = evaluate_predictions(*where, encoder=JsonEncoder(), metrics=accuracy)
    expected = ((ROWS[known, 0] > 0.5) == (known % 2)).mean()
    assert results == {"binary_accuracy": pytest.approx(expected)}


@pytest.mark.parametrize("value", ["0.5", "{}", '{"prediction": [1]}', '{"prediction": NaN}'])
def test_what_the_encoder_did_not_write_is_refused_by_name(place, value):
    servers, _, target, *_ = predicted(place, lambda rows: rows[:, 0], JsonEncoder())
    settle(servers, target)
    write(servers, target, [value], partition=1)
    # Where it is alone in a chunk, only its headers say so.
    match = rf"^topic {target}, partition 1, offset \d+: (the value is )?not a prediction"
    with pytest.raises(PredictionsError, match=match):
        read_predictions(servers, target, encoder=JsonEncoder())


def test_nan_is_checked_as_the_encoder_has_it(place):
    encoder = JsonEncoder(nan="null")
    where = predicted(place, lambda rows: np.where(rows[:, 0] == 0.5, np.nan, 0.5), encoder)
    _, predictions = checked_predictions(*where, encoder=encoder)
    assert np.isnan(predictions).sum() == 1
    with pytest.raises(PredictionsError, match='field "prediction" is null'):
        checked_predictions(*where, encoder=JsonEncoder())
