"""What the tutorial's binary classifier is worth, from its committed predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from tfkafka.config import Configuration
from tfkafka.decoding.base import Decoder
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once import checked_predictions

# Keeps log loss finite where a probability is exactly 0 or 1, as Keras does.
EPSILON = 1e-7


@dataclass(frozen=True)
class Evaluation:
    """What the predictions of a whole run are worth: `loss` is binary cross-entropy, mean a record.

    `auc` is nan where all records are of one class.
    """

    records: int
    accuracy: float
    loss: float
    auc: float


def evaluate(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: Configuration = None,
) -> Evaluation:
    """Return accuracy, loss and AUC over all that a group has read.

    Arguments and errors are those of `tfkafka.exactly_once.checked_predictions`.
    """
    return measure(
        *checked_predictions(servers, topic, predictions_topic, group_id, decode, configuration)
    )


def measure(labels: np.ndarray, probabilities: np.ndarray) -> Evaluation:
    """Judge probabilities of class 1, float32 [n], by labels, float32 [n], 0 or 1.

    Raises PredictionsError where a number is not a probability.
    """
    wrong = probabilities[~((probabilities >= 0) & (probabilities <= 1))]
    if len(wrong):
        raise PredictionsError(
            f"{len(wrong):,} of {len(probabilities):,} predictions are not between 0 and 1, the "
            f"first is {wrong[0]}: the model does not predict probabilities"
        )
    positive = labels > 0.5
    clipped = np.clip(probabilities.astype(np.float64), EPSILON, 1 - EPSILON)
    has_both = positive.any() and not positive.all()
    return Evaluation(
        len(labels),
        float(accuracy_score(positive, probabilities > 0.5)),
        float(log_loss(positive, clipped, labels=[False, True])),
        float(roc_auc_score(positive, probabilities)) if has_both else float("nan"),
    )
