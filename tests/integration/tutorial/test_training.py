"""Steps 9, 10 and 18: the model learns what the tutorial's learned, and is saved whole."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduction.claims import FULL_ROWS
from reproduction.susy.schema import FEATURES
from tests import isolated
from tests.tutorial import BATCH_SIZE, EPOCHS, SusyTopic, TrainedModel


def test_steps_and_epochs(
    trained_model: TrainedModel, susy_train_topic: SusyTopic, reader: str, observe
):
    assert trained_model.steps == susy_train_topic.messages.steps(BATCH_SIZE)
    assert len(trained_model.losses) == len(trained_model.accuracies) == EPOCHS
    observe("train.steps", trained_model.steps, reader)


def test_training_lowers_the_loss(trained_model: TrainedModel):
    assert trained_model.losses[-1] < trained_model.losses[0]
    assert trained_model.accuracies[-1] > trained_model.accuracies[0]


def test_accuracy_and_loss_of_each_epoch(trained_model: TrainedModel, stack, reader: str, observe):
    if stack.rows != FULL_ROWS:
        # The tutorial's figures are for all its rows; fewer of them teach less, not nothing.
        assert trained_model.accuracies[-1] > 0.7
    observe("train.accuracy", trained_model.accuracies, reader)
    observe("train.loss", trained_model.losses, reader)


def test_parameters_and_a_saved_model(tmp_path, observe):
    model = isolated.run(train_save_and_load, tmp_path / "model.keras")
    observe("model.parameters", model["dense"])
    observe("model.total_parameters", model["total"])
    np.testing.assert_array_equal(model["live"], model["saved"])
    assert np.ptp(model["live"]) > 0.01, "a model that says the same of all rows proves nothing"


def train_save_and_load(path: Path) -> dict[str, Any]:
    """Parameters of the model, and its predictions before saving and after loading."""
    import tensorflow as tf

    from reproduction.susy.model import build_model

    features = np.random.default_rng(1).normal(size=(512, len(FEATURES))).astype(np.float32)
    model = build_model()
    model.fit(features, (features[:, 0] > 0).astype(np.float32), epochs=2, verbose=0)
    model.save(path)
    return {
        "dense": [layer.count_params() for layer in model.layers if layer.count_params()],
        "total": model.count_params(),
        "live": model.predict(features, verbose=0),
        "saved": tf.keras.models.load_model(path).predict(features, verbose=0),
    }
