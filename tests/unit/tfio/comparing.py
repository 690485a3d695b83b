"""A pipeline with its maps done batch by batch, beside the same one done record by record."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfkafka.data.chunked import source_options
from tfkafka.tfio.lifting import VARIABLE, liftable

Pipeline = Callable[[tf.data.Dataset], tf.data.Dataset]
SEED = 7
# More than any of these has of elements and errors.
MANY = 2_000


def records(columns: Any) -> tf.data.Dataset:
    """Single records, as the datasets of tfkafka.tfio have them.

    They come from Python, which matters with op determinism; and nobody knows how many.
    """
    specs = tf.nest.map_structure(tf.type_spec_from_value, columns)
    chunks = tf.data.Dataset.from_generator(lambda: iter([columns]), output_signature=specs)
    return liftable(chunks.unbatch().with_options(source_options()))


def is_lifted(batches: tf.data.Dataset) -> bool:
    """Whether the maps come after `batch`."""
    return "_Batch" not in type(batches).__name__


def delivered(dataset: tf.data.Dataset) -> list[Any]:
    """All elements, to the bit, and all errors, after which iteration continues."""
    found: list[Any] = []
    iterator = iter(dataset)
    while len(found) < MANY:
        try:
            parts = tf.nest.flatten(next(iterator), expand_composites=True)
            found.append([None if part is None else _bits(part.numpy()) for part in parts])
        except StopIteration:
            return found
        except tf.errors.OpError as error:
            found.append((type(error), _reason(error.message)))
    raise AssertionError("it does not end")


def compare(
    pipeline: Pipeline, columns: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[tf.data.Dataset, list[Any]]:
    """Assert that both ways are the same; return the lifted one and what it delivers."""
    tf.random.set_seed(SEED)
    lifted = pipeline(records(columns))
    found = delivered(lifted)
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "0")
        tf.random.set_seed(SEED)
        plain = pipeline(records(columns))
        expected = delivered(plain)
    assert lifted.element_spec == plain.element_spec
    assert found == expected
    return lifted, found


def _bits(array: Any) -> Any:
    array = np.asarray(array)
    return array.shape, array.dtype, array.tolist() if array.dtype == object else array.tobytes()


def _reason(text: str) -> str:
    """The text without what says where: names of nodes, and the record's number in its batch."""
    text = re.sub(r"\{\{.*?\}\}|\[\[.*?\]\]|\[Op:.*", "", text)
    # Seen with TensorFlow 2.21.
    text = re.sub(r"Error in user-defined function passed to .*? with iterator: \S+: ", "", text)
    return re.sub(r"record \d+", "record N", text).strip()
