"""The tutorial's Keras model, and how it is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reproduction.susy.schema import FEATURES

if TYPE_CHECKING:
    import keras


def build_model() -> keras.Sequential:
    """The tutorial's classifier, compiled: 18 features in, probability of class 1 out.

    68,481 parameters. The loss is given `from_logits=True` although the output is a sigmoid, as
    in the tutorial: Keras notices, warns, and computes from the sigmoid's own input.
    """
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input(shape=(len(FEATURES),)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
