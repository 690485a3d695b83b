"""What each mini dataset said of the model before the model was trained on it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.errors import CheckpointError
from tfkafka.online.checkpoints import replace

# Called as `train` is, and returns numbers by their names.
Evaluate = (
    Callable[[keras.Model, NDArray[Any], NDArray[Any]], Mapping[str, float]]
    | Callable[[keras.Model, Mapping[str, NDArray[Any]], NDArray[Any]], Mapping[str, float]]
    | Callable[[keras.Model, NDArray[Any], NDArray[Any], NDArray[Any]], Mapping[str, float]]
    | Callable[
        [keras.Model, Mapping[str, NDArray[Any]], NDArray[Any], NDArray[Any]], Mapping[str, float]
    ]
)
# With shards.
EvaluateBatches = Callable[[keras.Model, tf.data.Dataset[Any]], Mapping[str, float]]
# More than Keras' own 32, with which small models take several times as long.
EVALUATED_ROWS = 256


class History:
    """A file with a line of JSON for each mini dataset, which is written before the state is.

    Args:
        path: the file; None: there is only what is in memory.

    Attributes:
        columns: for each metric a list with a number for each mini dataset, nan where it has none.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self.columns: dict[str, list[float]] = {}

    def restore(self, count: int) -> None:
        """Read the lines of the first `count` mini datasets, and drop those of later ones."""
        path = self._path
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        kept = []
        for line in lines:
            row = _parsed(line)
            if row is not None and row["mini_dataset"] <= count:
                self._put(row["mini_dataset"], row["metrics"])
                kept.append(line + "\n")
        self._put(count, {})
        if path is not None and len(kept) < len(lines):
            replace(path, lambda scratch: scratch.write_text("".join(kept)))

    def add(self, number: int, records: int, metrics: Mapping[str, float]) -> None:
        """Append a mini dataset. Raises CheckpointError where the disk refuses."""
        self._put(number, metrics)
        if self._path is None:
            return
        # JSON has no nan.
        finite = {name: each if math.isfinite(each) else None for name, each in metrics.items()}
        row = {"mini_dataset": number, "records": records, "metrics": finite}
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CheckpointError(
                f"{self._path}: cannot be written: {error.strerror}; what was saved before is valid"
            ) from error

    def _put(self, number: int, metrics: Mapping[str, float | None]) -> None:
        for name, value in metrics.items():
            column = self.columns.setdefault(name, [])
            _fill(column, number - 1)
            column.append(math.nan if value is None else value)
        for column in self.columns.values():
            _fill(column, number)


def _fill(column: list[float], length: int) -> None:
    column.extend([math.nan] * (length - len(column)))


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a line's object; None for half a line, which a process left that was killed."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return row


def evaluate_with(
    evaluate: Evaluate | EvaluateBatches | None, model: keras.Model, arrays: Iterable[Any]
) -> dict[str, float]:
    """Return what `evaluate` says, or Keras where it is None; {} where the model has no loss.

    Raises TypeError where `evaluate` does not return numbers by name, and ValueError where Keras
    cannot evaluate.
    """
    if evaluate is None:
        return _evaluated_by_keras(model, *arrays) if model.loss is not None else {}
    call: Callable[..., object] = evaluate
    found = call(model, *arrays)
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise TypeError(
            f"evaluate returned {arguments.shown(found)}, must return a dict of numbers by name"
        )
    return {name: _number(name, each) for name, each in found.items()}


def _evaluated_by_keras(
    model: keras.Model, features: Any, labels: Any = None, weights: Any = None
) -> dict[str, float]:
    # Batches of shards have labels, weights and sizes of their own.
    options = {} if labels is None else {"batch_size": EVALUATED_ROWS, "sample_weight": weights}
    try:
        found = model.evaluate(features, labels, verbose=0, return_dict=True, **options)
    except Exception as error:
        raise ValueError(
            f"evaluate: model.evaluate fails on the decoder's arrays "
            f"({' '.join(str(error).split())[:200]}): give learn an evaluate= that prepares them "
            f"as train does"
        ) from error
    return {name: _number(name, each) for name, each in found.items()}


def _number(name: str, value: object) -> float:
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biuf":
        raise TypeError(f"evaluate: {name!r} is {arguments.shown(value)}, must be one number")
    return float(array)


def shown(metrics: Mapping[str, float]) -> str:
    """Return metrics in one line: loss 0.6931, accuracy 0.51."""
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
