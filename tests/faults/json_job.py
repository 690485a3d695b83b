"""How the records of `json_rows` are decoded, and a Keras model of three classes for them."""

from __future__ import annotations

import keras

from tests.faults.json_rows import CLASSES
from tfkafka import Field, JsonDecoder, JsonEncoder
from tfkafka.exactly_once import keras_predict

DECODE = JsonDecoder([Field("x", shape=(2,))], label=Field("class", classes=CLASSES))
ENCODER = JsonEncoder(classes=CLASSES)


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
