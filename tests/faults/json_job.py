"""A decoder of one's own for the records of `json_rows`, and a Keras model."""

from __future__ import annotations

import json

import keras
import numpy as np

from tests.faults.json_rows import CLASSES
from tfkafka import ArraySpec, Decoded, JsonEncoder
from tfkafka.chunk import Chunk
from tfkafka.exactly_once import keras_predict

ENCODER = JsonEncoder(classes=CLASSES)


class RowDecoder:
    """`{"x": [float, float], "class": name}` to float32 [2], and the class's index as the label."""

    element_spec = (ArraySpec((2,), np.dtype(np.float32)), ArraySpec((), np.dtype(np.int64)))

    def decode(self, chunk: Chunk) -> Decoded:
        rows = [json.loads(value) for value in chunk.values.entries]
        features = np.array([row["x"] for row in rows], np.float32).reshape(-1, 2)
        labels = np.array([CLASSES.index(row["class"]) for row in rows], np.int64)
        return Decoded((features, labels), np.arange(len(chunk)))


def make_model() -> keras.Model:
    """The same model in each process."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(3, "softmax"),
        ]
    )


def make_predict():
    return keras_predict(make_model())
