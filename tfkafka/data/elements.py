"""Columns of records as TensorFlow's elements."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfkafka.decoding.base import ArraySpec
from tfkafka.reading.elements import Columns, Elements, Metadata

Signature = tuple[tf.TensorSpec | dict[str, tf.TensorSpec] | Metadata, ...]

_METADATA_TYPES = Metadata(tf.string, tf.int32, tf.int64, tf.int64, tf.string, tf.bool, tf.bool)


def signature(elements: Elements) -> Signature:
    """Return the specs of a whole chunk, each with a first axis of any length."""
    columns: Signature = (_vector(tf.string), _vector(tf.string))
    if elements.decode is not None:
        columns = tuple(
            {name: _rows(each) for name, each in spec.items()}
            if isinstance(spec, Mapping)
            else _rows(spec)
            for spec in elements.decode.element_spec
        )
    return (*columns, Metadata(*map(_vector, _METADATA_TYPES))) if elements.metadata else columns


def tensors(columns: Columns) -> tf.Tensor | tuple[tf.Tensor | Metadata, ...]:
    """Return the columns as tensors; a single column without a tuple."""
    found = tf.nest.map_structure(tf.convert_to_tensor, columns)
    return found if len(found) > 1 else found[0]


def _rows(spec: ArraySpec) -> tf.TensorSpec:
    return tf.TensorSpec([None, *spec.shape], tf.as_dtype(spec.dtype))


def _vector(dtype: tf.DType) -> tf.TensorSpec:
    return tf.TensorSpec([None], dtype)
