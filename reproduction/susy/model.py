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
    import tensorflow as tf

    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input(shape=(len(FEATURES),)),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dropout(0.2),
            tf.keras.layers.Dense(256, activation="relu"),
            tf.keras.layers.Dropout(0.4),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dropout(0.4),
            tf.keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        optimizer="adam",
        loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
