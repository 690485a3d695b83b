"""Keras models as functions from arrays to arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import as_columns, named
from tfkafka.decoding.base import Arrays, ArraySpec, Spec
from tfkafka.decoding.encoders.base import ANY_LENGTH, spec_of
from tfkafka.exactly_once.keras_backends import Call, make_call
from tfkafka.exactly_once.specs import check_features

if TYPE_CHECKING:
    import keras

# The name of an output that is alone.
_ONLY = ""


def keras_predict(model: keras.Model) -> KerasModel:
    """Return a Keras model as a function from features to predictions.

    It takes an array [n, ...], or a dict of them by the names of the inputs, and returns what the
    model does: an array [n, ...], or a dict of them by the names of the outputs where there are
    several. An output [n, 1] is returned as [n].

    With TensorFlow it uses one graph for all batch sizes: `model.predict` takes five times as long
    for 2,000 rows. JAX compiles for each batch size, so batches are padded to powers of two.
    `InferenceJob` checks before the first record that the decoder's features and the encoder fit
    the model.

    Raises:
        ValueError: an output has not one row for each record, or has no name; or inputs or outputs
            are nested.

    Example:
        from tfkafka.exactly_once import keras_predict

        predict = keras_predict(model)
        predict(np.zeros((100, 18), np.float32))  # float32 [100]
    """
    import keras

    arguments.instance("model", model, keras.Model, "a Keras model")
    return KerasModel(model)


def load_keras_predict(path: Path) -> KerasModel:
    """Return a model that `Model.save` wrote.

    Raises ValueError where only a part of the file is there, and what Keras raises.
    """
    import keras

    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .keras file, or only a part of one")
    return keras_predict(keras.models.load_model(path))


class KerasModel:
    """What `keras_predict` returns.

    Attributes:
        input_spec: the spec of each input, by its name; None: known from the first batch on, for
            models that are subclasses of keras.Model.
        output_spec: the spec of the predictions; None: likewise. An axis of any length is -1.
        predicts_logits: whether the model's loss says that its output is no probability.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._is_dict = isinstance(getattr(model, "input", None), Mapping)
        self.input_spec = _input_spec(model)
        self.output_spec: Spec | None = None
        self.predicts_logits = _predicts_logits(model)
        # Those that `_call` takes.
        self._inputs: Mapping[str, ArraySpec] | None = None
        self._call: Call | None = None
        if self.input_spec is not None:
            self._prepare(self.input_spec)

    def __call__(self, features: Arrays) -> Arrays:
        """Return the predictions for features [n, ...].

        Raises ValueError, or TypeError, where they do not fit the model.
        """
        features = as_columns("keras_predict: features", features)
        if self._inputs is None:
            self._is_dict = isinstance(features, Mapping)
            self._prepare({n: ArraySpec(a.shape[1:], a.dtype) for n, a in named(features).items()})
        inputs, call = self._inputs, self._call
        assert inputs is not None and call is not None
        check_features("keras_predict", spec_of(features), inputs)
        # An array alone is that of the only input, whatever its name is.
        given = features if isinstance(features, Mapping) else dict.fromkeys(inputs, features)
        arrays = {name: _fitted(given[name], spec) for name, spec in inputs.items()}
        outputs = _outputs(self._model, call(arrays))
        found = {name: _as_numpy(output) for name, output in outputs.items()}
        return found[_ONLY] if list(found) == [_ONLY] else found

    def _prepare(self, inputs: Mapping[str, ArraySpec]) -> None:
        self._inputs = inputs
        self._call, found = make_call(self._model, inputs, self._is_dict)
        specs = {name: _output_spec(each) for name, each in _outputs(self._model, found).items()}
        self.output_spec = specs[_ONLY] if list(specs) == [_ONLY] else specs


def _input_spec(model: keras.Model) -> dict[str, ArraySpec] | None:
    """Return the spec of each input by its name, None where they are not known yet."""
    import keras

    if not getattr(model, "inputs", None):
        return None
    given = getattr(model, "input", None)
    tensors: Any = list(given.values()) if isinstance(given, Mapping) else given
    is_nested = isinstance(tensors, list | tuple) and not all(
        isinstance(each, keras.KerasTensor) for each in tensors
    )
    names = list(given) if isinstance(given, Mapping) else [each.name for each in model.inputs]
    if is_nested or len(set(names)) < len(names):
        raise ValueError(
            f"keras_predict: the inputs of model {model.name} are nested, or two have one name: "
            f"give your own function as predict="
        )
    if not isinstance(given, Mapping):
        tensors = model.inputs
    return {
        name: ArraySpec(_shape(each.shape[1:]), _dtype(each.dtype))
        for name, each in zip(names, tensors, strict=True)
    }


def _outputs(model: keras.Model, found: Any) -> dict[str, Any]:
    """Return the outputs by their names; one alone has the name ""."""
    if isinstance(found, Mapping):
        return dict(found)
    if not isinstance(found, list | tuple):
        return {_ONLY: found}
    if len(found) == 1:
        return {_ONLY: found[0]}
    names = getattr(model, "output_names", None) or []
    if len(set(names)) != len(found):
        raise ValueError(
            f"keras_predict: model {model.name} has {len(found)} outputs without different names: "
            f"give it a dict of outputs"
        )
    return dict(zip(names, found, strict=True))


def _output_spec(output: Any) -> ArraySpec:
    """Return the spec of an output. Raises ValueError where it has not one row for each record."""
    import keras

    is_tensor = isinstance(output, keras.KerasTensor)
    if not is_tensor or tuple(output.shape[:1]) != (None,):
        what = f"{output.dtype} {tuple(output.shape)}" if is_tensor else type(output).__name__
        raise ValueError(
            f"keras_predict: an output of the model is {what}, must be a tensor [n, ...] with one "
            f"row for each record: give your own function as predict="
        )
    shape = _shape(output.shape[1:])
    dtype = np.dtype(np.float32) if output.dtype == "bfloat16" else _dtype(output.dtype)
    return ArraySpec(() if shape == (1,) else shape, dtype)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(object if name == "string" else name)


def _shape(axes: Any) -> tuple[int, ...]:
    return tuple(ANY_LENGTH if axis is None else int(axis) for axis in axes)


def _fitted(array: NDArray[Any], spec: ArraySpec) -> NDArray[Any]:
    """Return an array with the rank and dtype of an input, as Keras adjusts them itself."""
    axes = len(spec.shape) + 1
    if array.ndim == axes - 1 and spec.shape[-1] == 1:
        array = array[..., np.newaxis]
    elif array.ndim == axes + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.astype(spec.dtype, copy=False)


def _as_numpy(output: Any) -> NDArray[Any]:
    """Return an output as an array of numbers or texts, [n] for [n, 1]."""
    array = np.asarray(output)
    if array.dtype.kind == "V":  # bfloat16
        array = array.astype(np.float32)
    elif array.dtype.kind == "O":
        array = np.asarray(np.frompyfunc(bytes.decode, 1, 1)(array), object)
    return array.reshape(-1) if array.shape[1:] == (1,) else array


def _predicts_logits(model: keras.Model) -> bool:
    """Return whether the loss is one of logits, and nothing at the end makes probabilities of them.

    With a sigmoid or softmax at the end, Keras computes such a loss from its own input.
    """
    import keras

    last = model.layers[-1] if model.layers else None
    is_probability = isinstance(last, keras.layers.Softmax) or getattr(
        last, "activation", None
    ) in (keras.activations.sigmoid, keras.activations.softmax)
    return bool(getattr(getattr(model, "loss", None), "from_logits", False)) and not is_probability
