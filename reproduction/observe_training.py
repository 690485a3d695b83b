"""What 06_train.py observes while the model trains."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from dataclasses import dataclass
from statistics import median

import keras

from reproduction.files import write_whole
from reproduction.observe import note


@dataclass(frozen=True)
class Epoch:
    """One epoch of training."""

    seconds: float
    steps: int
    loss: float
    accuracy: float


class TrainingLog(keras.callbacks.Callback):
    """A callback that keeps each epoch of one or more calls of `fit`."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._began = time.monotonic()
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._steps += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds = time.monotonic() - self._began
        self.epochs.append(Epoch(seconds, self._steps, logs["loss"], logs["accuracy"]))

    def ms_per_step(self) -> float:
        """Return the milliseconds of a step, in the median epoch."""
        return round(1000 * median(epoch.seconds / epoch.steps for epoch in self.epochs), 1)


def note_training(arguments: Namespace, model: keras.Model, log: TrainingLog) -> None:
    """Note the model's parameters and its training, and write history.json."""
    accuracy = [epoch.accuracy for epoch in log.epochs]
    loss = [epoch.loss for epoch in log.epochs]
    history = json.dumps({"accuracy": accuracy, "loss": loss}, indent=1)
    write_whole(arguments.artifacts / "history.json", history + "\n")
    observed = {
        "model.parameters": [count for layer in model.layers if (count := layer.count_params())],
        "model.total_parameters": model.count_params(),
        "run.epochs": arguments.epochs,
        "train.steps": log.epochs[0].steps,
        "train.accuracy": accuracy,
        "train.loss": loss,
        "train.epoch_seconds": round(median(epoch.seconds for epoch in log.epochs), 1),
        "train.ms_per_step": log.ms_per_step(),
    }
    note(arguments, observed)
