"""The tutorial's model trained on one sample of rows and tested on others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss

from reproduction.roc import Roc, roc
from reproduction.susy.fidelity.samples import weights_of
from reproduction.susy.model import build_model
from reproduction.susy.schema import FEATURES, LABEL

EPOCHS, BATCH_ROWS, SHUFFLE_ROWS = 10, 64, 64


@dataclass(frozen=True)
class Score(Roc):
    """A trained model's score on test rows, and its ROC curve."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Training:
    """The curve of one training (one value an epoch) and the tests of its model by name."""

    rows: int
    accuracy: list[float]
    loss: list[float]
    tests: dict[str, Score]


def train_and_test(
    rows: pd.DataFrame, tests: dict[str, pd.DataFrame], seed: int, epochs: int = EPOCHS
) -> Training:
    """Train as in the tutorial (batches of 64, shuffle buffer of 64) on ``rows``; test on each.

    Rows with other class shares than the file's are weighted, in training and in testing.
    """
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    model = build_model()
    parts = (
        rows[list(FEATURES)].to_numpy(np.float32),
        rows[LABEL].to_numpy(np.float32),
        weights_of(rows).astype(np.float32),
    )
    dataset = tf.data.Dataset.from_tensor_slices(parts).shuffle(SHUFFLE_ROWS).batch(BATCH_ROWS)
    history = model.fit(dataset, epochs=epochs, verbose=0).history
    return Training(
        rows=len(rows),
        accuracy=history["accuracy"],
        loss=history["loss"],
        tests={name: _test(model, frame) for name, frame in tests.items()},
    )


def _test(model, frame: pd.DataFrame) -> Score:
    features = frame[list(FEATURES)].to_numpy(np.float32)
    chance = model.predict(features, batch_size=4096, verbose=0)[:, 0].astype(np.float64)
    label, weight = frame[LABEL].to_numpy(), weights_of(frame)
    return Score(
        **vars(roc(label, chance, weight)),
        accuracy=float(accuracy_score(label, chance > 0.5, sample_weight=weight)),
        loss=float(log_loss(label, chance, sample_weight=weight)),
    )
