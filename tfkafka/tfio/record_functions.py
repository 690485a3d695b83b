"""Python functions of records as TensorFlow operations: eagerly, and in graphs such as a map's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.decoding.base import Fault
from tfkafka.decoding.nested_values import WrongRecord

Arrays = list[NDArray[Any]]


def strings(name: str, data: object) -> tf.Tensor:
    """Return a string tensor, of any shape; `name` is the argument's."""
    try:
        tensor = tf.convert_to_tensor(data, dtype_hint=tf.string)
    except (TypeError, ValueError, OverflowError):
        tensor = None
    if tensor is None or tensor.dtype != tf.string:
        raise TypeError(f"{name} is {arguments.shown(data)}, must be a string tensor")
    return tensor


def apply(
    name: str,
    function: Callable[..., Arrays],
    tensors: Sequence[tf.Tensor],
    dtypes: Sequence[tf.DType],
    scope: str | None,
) -> list[tf.Tensor]:
    """Return what a function of NumPy arrays returns, as tensors.

    Text is an array of bytes objects. Where the function raises WrongRecord, the operation raises
    InvalidArgumentError with its reason in one line.

    Args:
        name: what the line begins with.
        scope: the name of TensorFlow's scope; None: `name`.
    """
    with tf.name_scope(scope or name):
        if tf.executing_eagerly():
            arrays, line = _call(name, function, [each.numpy() for each in tensors])
            if line:
                raise tf.errors.InvalidArgumentError(None, None, line)
            return [tf.constant(each, dtype) for each, dtype in zip(arrays, dtypes, strict=True)]
        empty = [b"" if dtype == tf.string else 0 for dtype in dtypes]
        nothing = [
            np.array(each, dtype.as_numpy_dtype) for each, dtype in zip(empty, dtypes, strict=True)
        ]

        def call(*inputs: Any) -> list[Any]:
            found, line = _call(name, function, inputs)
            return [line.encode(), *(nothing if line else found)]

        # What a Python function raises in a graph would have a traceback in its text.
        line, *found = tf.numpy_function(call, tensors, [tf.string, *dtypes], stateful=False)
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(line, ""), [line])]):
            return [tf.identity(each) for each in found]


def in_order(data: NDArray[Any], of_one: Callable[[Any], None]) -> None:
    """Call a function with each record of an array; WrongRecord gets to know which it is of."""
    for index, record in enumerate(data.ravel().tolist()):
        try:
            of_one(record)
        except WrongRecord as wrong:
            places = ", ".join(str(each) for each in np.unravel_index(index, data.shape))
            which = f"record {places}" if places else "the record"
            raise WrongRecord(f"{which}: {wrong.kind}", wrong.value) from None


def _call(name: str, function: Callable[..., Arrays], inputs: Sequence[Any]) -> tuple[Arrays, str]:
    """Return the results, and the line of an error, or ""."""
    # TensorFlow gives a scalar string as bytes.
    arrays = [np.asarray(each, object if isinstance(each, bytes) else None) for each in inputs]
    try:
        return function(*arrays), ""
    except WrongRecord as wrong:
        return [], f"{name}: {Fault.of(0, wrong.kind, wrong.value).reason}"
