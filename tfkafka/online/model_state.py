"""The state of a model in arrays: weights, random state and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tfkafka.errors import CheckpointError


def variables(model: keras.Model) -> list[keras.Variable]:
    """Return the weights, the seed generators' states and the optimizer's variables."""
    return [*model.variables, *model.optimizer.variables]


def shapes(model: keras.Model) -> str:
    """Return what two models must share for one to take the other's state."""
    return " ".join(f"{v.dtype}{list(v.shape)}" for v in variables(model))


def arrays_of(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return the state by numbers."""
    return {f"{i:05}": variable.numpy() for i, variable in enumerate(variables(model))}


def assign(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give a model a state that another with the same shapes had."""
    for variable, value in zip(variables(model), arrays.values(), strict=True):
        # NumPy's files keep the bits of bfloat16, but not the name of the dtype.
        bits = value.dtype.kind == "V"
        variable.assign(value.view(variable.numpy().dtype) if bits else value)


def refuse_not_finite(folder: Path, model: keras.Model, what: str, advice: str) -> None:
    """Raise CheckpointError where the model could never learn again."""
    every = [*model.weights, *model.optimizer.variables]
    wrong = [each for each in every if not np.isfinite(each.numpy()).all()]
    if wrong:
        raise CheckpointError(
            f"{folder}: {what} {len(wrong)} of {len(every)} weights and optimizer "
            f"variables not finite, the first is {wrong[0].path}{advice}"
        )
