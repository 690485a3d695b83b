"""What training and inference have in common: the tutorial's model, its data in memory, a clock."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from reproduction.susy.model import build_model
from tests.benchmarks.meter import Meter, Sample
from tfkafka import CsvDecoder

SEED = 1
DECODER = CsvDecoder(18, label="key")
EARLIEST = ["auto.offset.reset=earliest"]


class Enough(Exception):
    """All batches that count have been measured."""


class Window(tf.keras.callbacks.Callback):
    """Measures from the end of the first batch to the end of batch `batches`.

    So what comes before the first batch (joining a group, TensorFlow's tracing) and after that one
    (the stream's timeout) is not in it. Raises Enough at the end where `cut` is set.
    """

    def __init__(self, batches: int, cut: bool = False):
        super().__init__()
        self.sample: Sample | None = None
        self._began = time.monotonic()
        self._batches = batches
        self._cut = cut
        self._done = 0
        self._meter: Meter | None = None
        self._first_s = 0.0

    def count(self) -> None:
        """A batch was finished."""
        self._done += 1
        if self._done == 1:
            self._first_s = time.monotonic() - self._began
            self._meter = Meter()
        if self._done == self._batches:
            self.sample = self._meter.stop(self._batches - 1, to_the_first_batch=self._first_s)
            if self._cut:
                raise Enough

    def on_train_batch_end(self, batch, logs=None):
        self.count()

    def on_test_batch_end(self, batch, logs=None):
        self.count()


def seeded_model(steps_per_execution: int = 1) -> tf.keras.Model:
    """The tutorial's model; the seed is set before any dataset of tensorflow-io's is made."""
    tf.keras.utils.set_random_seed(SEED)
    model = build_model()
    model.compile("adam", model.loss, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    return model


def in_memory(features: np.ndarray, labels: np.ndarray) -> tf.data.Dataset:
    """Decoded rows, one by one."""
    return tf.data.Dataset.from_tensor_slices((features, labels))
