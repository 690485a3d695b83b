"""How a Keras model is called with arrays, by Keras' backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tfkafka.decoding.base import ArraySpec
from tfkafka.decoding.encoders.base import ANY_LENGTH

if TYPE_CHECKING:
    import keras

# From arrays [n, ...] by the names of the inputs to what the model returns.
Call = Callable[[Mapping[str, NDArray[Any]]], Any]


def make_call(
    model: keras.Model, inputs: Mapping[str, ArraySpec], is_dict: bool
) -> tuple[Call, Any]:
    """Return what calls a model, and what it returns, with a keras.KerasTensor for each tensor.

    Args:
        inputs: the spec of each input, in the model's order.
        is_dict: whether the model takes a dict of them.
    """
    import keras

    def arranged(arrays: Mapping[str, Any]) -> Any:
        ordered = {name: arrays[name] for name in inputs}
        return ordered if is_dict else [*ordered.values()] if len(inputs) > 1 else arrays[name_of]

    name_of = next(iter(inputs))
    if keras.backend.backend() == "tensorflow":
        return _graph(model, inputs, arranged)
    symbols = {
        name: keras.KerasTensor(_batch_shape(spec), _dtype_name(spec))
        for name, spec in inputs.items()
    }
    is_compiled_by_shape = keras.backend.backend() == "jax"

    def call(arrays: Mapping[str, NDArray[Any]]) -> Any:
        if not is_compiled_by_shape:
            return model.predict_on_batch(arranged(arrays))
        rows = len(arrays[name_of])
        padded = {name: _padded(array) for name, array in arrays.items()}
        found = model.predict_on_batch(arranged(padded))
        return keras.tree.map_structure(lambda output: output[:rows], found)

    return call, model(arranged(symbols), training=False)


def _graph(
    model: keras.Model,
    inputs: Mapping[str, ArraySpec],
    arranged: Callable[[Mapping[str, Any]], Any],
) -> tuple[Call, Any]:
    """Return a graph of TensorFlow for all numbers of rows, and what it returns."""
    import keras
    import tensorflow as tf

    signature = {
        name: tf.TensorSpec(_batch_shape(spec), tf.as_dtype(spec.dtype))
        for name, spec in inputs.items()
    }
    graph = tf.function(
        lambda arrays: model(arranged(arrays), training=False), input_signature=[signature]
    )

    def symbol(output: Any) -> Any:
        is_tensor = isinstance(output, tf.TensorSpec | tf.Tensor)
        if not is_tensor or output.shape.rank is None:
            return output
        return keras.KerasTensor(tuple(output.shape), output.dtype.name)

    outputs = graph.get_concrete_function().structured_outputs
    return graph, tf.nest.map_structure(symbol, outputs)


def _padded(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array with rows of zeros after the others, so that their number is a power of 2.

    JAX compiles again for each shape.
    """
    missing = (1 << max(0, len(array) - 1).bit_length()) - len(array)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])


def _batch_shape(spec: ArraySpec) -> tuple[int | None, ...]:
    return (None, *(None if axis == ANY_LENGTH else axis for axis in spec.shape))


def _dtype_name(spec: ArraySpec) -> str:
    return "string" if spec.dtype.kind == "O" else spec.dtype.name
