"""Inference in which every record has exactly one prediction."""

from tfkafka.exactly_once.evaluation import checked_predictions, evaluate_predictions
from tfkafka.exactly_once.exported_models import ExportedModels
from tfkafka.exactly_once.job import InferenceJob
from tfkafka.exactly_once.keras_models import keras_predict
from tfkafka.exactly_once.predictions import read_predictions, wait_until_settled
from tfkafka.exactly_once.worker import ExactlyOnceInference

__all__ = [
    "ExactlyOnceInference",
    "ExportedModels",
    "InferenceJob",
    "checked_predictions",
    "evaluate_predictions",
    "keras_predict",
    "read_predictions",
    "wait_until_settled",
]
