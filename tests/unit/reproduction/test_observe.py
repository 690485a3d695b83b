"""What scripts observe is what happened, and is kept with the conditions of its time."""

from __future__ import annotations

import json
from argparse import Namespace

import keras
import numpy as np
import pytest
from kafka.errors import MessageSizeTooLargeError
from kafka.future import Future

from reproduction.observe import Delivery, note, observations_path, read_observations
from reproduction.observe_predictions import (
    Predictions,
    compare_with_live,
    save_live_predictions,
    true_class,
)
from reproduction.observe_training import TrainingLog, note_training
from reproduction.susy.model import build_model
from tfkafka.errors import WriteError

ROWS, BATCH_SIZE = 200, 64


@pytest.fixture
def arguments(tmp_path) -> Namespace:
    return Namespace(artifacts=tmp_path, reader="tfkafka", epochs=2, model=None, topic="susy-test")


@pytest.fixture
def rows():
    import tensorflow as tf

    random = np.random.default_rng(1)
    features = random.normal(size=(ROWS, 18)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((features, features[:, 0] > 0)).batch(BATCH_SIZE)


def observed(arguments: Namespace) -> dict:
    return read_observations(observations_path(arguments.artifacts, arguments.reader))


def test_each_claim_keeps_the_conditions_of_its_time(arguments):
    note(arguments, {"run.rows": 10, "train.steps": 1})
    note(arguments, {"run.rows": 20, "evaluate.steps": 2})
    assert observed(arguments) == {
        "run.rows": 20,
        "run.reader": "tfkafka",
        "train.steps": 1,
        "evaluate.steps": 2,
        "conditions": {
            "train.steps": {"run.reader": "tfkafka", "run.rows": 10},
            "evaluate.steps": {"run.reader": "tfkafka", "run.rows": 20},
        },
    }


def test_a_reader_leaves_what_another_one_observed(arguments):
    without_reader = Namespace(artifacts=arguments.artifacts)
    for reader, kafka, steps in (("tfio", "2.7.2", 1), ("tfkafka", "4.4.0", 2)):
        note(without_reader, {"run.kafka": kafka, "topics.partitions": [1, steps]})
        arguments.reader = reader
        note(arguments, {"train.steps": steps})
    second = observed(arguments)
    arguments.reader = "tfio"
    first = observed(arguments)
    assert (first["train.steps"], first["topics.partitions"]) == (1, [1, 1])
    assert first["conditions"]["topics.partitions"] == {"run.kafka": "2.7.2"}
    assert (second["train.steps"], second["topics.partitions"]) == (2, [1, 2])
    assert second["conditions"]["train.steps"] == {"run.kafka": "4.4.0", "run.reader": "tfkafka"}


def test_damaged_observations_are_named(arguments):
    observations_path(arguments.artifacts, "tfkafka").write_text("{")
    with pytest.raises(OSError, match="is damaged") as raised:
        note(arguments, {"train.steps": 1})
    assert raised.value.filename.endswith("observations-tfkafka.json")


def test_a_record_that_was_not_acknowledged_is_an_error():
    delivery = Delivery("localhost:9092", "susy-train")
    for error in (None, MessageSizeTooLargeError("too large"), None):
        future = Future()
        future.failure(error) if error else future.success(None)
        delivery.add(future)
    with pytest.raises(WriteError, match=r"1 of 3 records .* the first is number 1 .*too large"):
        delivery.confirm()


def test_a_record_without_an_answer_is_an_error():
    delivery = Delivery("localhost:9092", "susy-train")
    delivery.add(Future())
    with pytest.raises(WriteError, match="1 of 1 records"):
        delivery.confirm()


def test_all_acknowledged():
    delivery = Delivery("localhost:9092", "susy-train")
    delivery.add(Future().success(None))
    delivery.confirm()


def test_training_is_noted_as_fit_returns_it(arguments, rows):
    model, log = build_model(), TrainingLog()
    history = model.fit(rows, epochs=2, verbose=0, callbacks=[log]).history
    note_training(arguments, model, log)
    assert json.loads((arguments.artifacts / "history.json").read_text()) == history
    seen = observed(arguments)
    assert (seen["train.accuracy"], seen["train.loss"]) == (history["accuracy"], history["loss"])
    assert seen["train.steps"] == 4  # 200 rows
    assert seen["model.parameters"] == [2432, 33024, 32896, 129]


def test_a_saved_model_is_held_against_the_live_one(arguments, rows, capsys):
    model = build_model()
    save_live_predictions(arguments, model, rows)
    compare_with_live(arguments, keras.models.clone_model(model))
    assert observed(arguments)["predict.same_as_live"] > 0.001, "other weights"
    compare_with_live(arguments, model)
    assert observed(arguments)["predict.same_as_live"] == 0
    assert "live model said: 0\n" in capsys.readouterr().out


def test_predictions_without_a_known_class_are_counted_apart(arguments, capsys):
    predictions = Predictions()
    for probability, key in [(0.9, b"1.0"), (0.2, b"0.0"), (0.4, b"1.0"), (0.3, b"cat")]:
        predictions.add(probability, true_class(key))
    predictions.report(arguments)
    assert observed(arguments)["predict.auc"] == 1
    assert "Predicted 4 rows, 0.6667 of those with a class right." in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"topic": "mine"}, {"model": "mine.keras"}])
def test_of_another_model_or_topic_nothing_is_noted(arguments, other):
    predictions = Predictions()
    predictions.add(0.9, 1)
    predictions.add(0.2, 0)
    predictions.report(Namespace(**vars(arguments) | other))
    assert observed(arguments) == {}
