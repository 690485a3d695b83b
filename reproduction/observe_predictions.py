"""What 06_train.py and 10_predict.py observe of the model's predictions."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

import numpy as np

from reproduction.files import replacing
from reproduction.observe import note
from reproduction.roc import roc

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

LIVE_BATCHES = 4


def save_live_predictions(arguments: Namespace, model: keras.Model, rows: tf.data.Dataset) -> None:
    """Keep in live.npz what the model says of some rows while it is alive."""
    live = np.concatenate([features for features, _ in rows.take(LIVE_BATCHES).as_numpy_iterator()])
    with replacing(arguments.artifacts / "live.npz") as scratch:
        np.savez(scratch, features=live, probabilities=model.predict(live, verbose=0))


def compare_with_live(arguments: Namespace, model: keras.Model) -> None:
    """Print and note how far the saved model is from what it said while it was alive."""
    live = np.load(arguments.artifacts / "live.npz")
    difference = np.abs(model.predict(live["features"], verbose=0) - live["probabilities"]).max()
    print(f"Largest difference to what the live model said: {difference:.2g}")
    note(arguments, {"predict.same_as_live": float(difference)})


class Predictions:
    """Predicted probabilities, with the true classes of those records whose keys say one."""

    def __init__(self) -> None:
        self._count = 0
        self._scores: list[float] = []
        self._labels: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(self, probability: float, label: int | None) -> None:
        """Add one record's. `label` is None where nobody knows its class."""
        self._count += 1
        if label is not None:
            self._scores.append(float(probability))
            self._labels.append(label)

    def report(self, arguments: Namespace) -> None:
        """Print the share that is right, and the area under the ROC curve. Note that of susy-test.

        Of another model or topic the tutorial says nothing.
        """
        labels, scores = np.array(self._labels), np.array(self._scores)
        if set(self._labels) == {0, 1}:
            curve = roc(labels, scores)
            print(f"Area under the ROC curve: {curve.auc:.4f}")
            if arguments.model is None and arguments.topic == "susy-test":
                note(arguments, {"predict.auc": round(curve.auc, 4), "predict.roc": vars(curve)})
        if self._count:
            correct = np.mean((scores > 0.5) == labels) if self._labels else float("nan")
            print(f"Predicted {self._count:,} rows, {correct:.4f} of those with a class right.")
        else:
            print(f"No rows arrived for group {arguments.group_id}: it has read them all before.")


def true_class(key: bytes) -> int | None:
    """Return the class that a record's key says. A record from elsewhere may have none."""
    try:
        return int(float(key))
    except ValueError:
        return None
