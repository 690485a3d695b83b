"""Batches of one shape, and as many as are wanted: the rest is rows of weight 0."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def padded(batches: tf.data.Dataset[Any], batch_size: int, steps: int) -> tf.data.Dataset[Any]:
    """Return `steps` batches of `batch_size` rows: (features, label, sample weight).

    Args:
        batches: at most `steps` batches of at most `batch_size` rows: features, label and, if there
            is one, sample weight; a weight is 1 otherwise.
    """

    def fill(features: Any, label: Any, weight: Any = None) -> Any:
        rows = tf.shape(tf.nest.flatten(label)[0])[0]
        if weight is None:
            weight = tf.ones([rows])
        return tf.nest.map_structure(
            lambda array: _filled(array, batch_size, rows), (features, label, weight)
        )

    full = batches.map(fill)
    zeros = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), full.element_spec)
    return full.concatenate(tf.data.Dataset.from_tensors(zeros).repeat()).take(steps)


def _filled(array: tf.Tensor, batch_size: int, rows: tf.Tensor) -> tf.Tensor:
    zeros = tf.zeros([batch_size - rows, *array.shape[1:]], array.dtype)
    return tf.ensure_shape(tf.concat([array, zeros], 0), [batch_size, *array.shape[1:]])
