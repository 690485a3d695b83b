"""Batches of one shape, filled with rows of weight 0."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfkafka.reading.padding import padded


def batches(count: int, weight: bool, named: bool):
    """Batches of 4, the last of which is shorter; features are 1 to `count`, labels "a"."""
    numbers = np.arange(1, count + 1, dtype=np.float32)
    features = np.stack([numbers, numbers], 1)
    columns = ({"x": features} if named else features, np.full(count, b"a", object))
    columns += (np.full(count, 0.5, np.float32),) if weight else ()
    return tf.data.Dataset.from_tensors(columns).rebatch(4)


@pytest.mark.parametrize("count", [0, 1, 4, 7, 12])
@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_rows_without_a_record_weigh_nothing(count, weight, named):
    dataset = padded(batches(count, weight, named), 4, 3)
    features, label, _ = dataset.element_spec
    assert (features["x"] if named else features) == tf.TensorSpec([4, 2], tf.float32)
    assert label == tf.TensorSpec([4], tf.string)
    assert len(dataset) == 3
    found = list(dataset.as_numpy_iterator())
    weights = np.concatenate([each[2] for each in found])
    assert weights.tolist() == [0.5 if weight else 1.0] * count + [0.0] * (12 - count)
    rows = np.concatenate([each[0]["x"] if named else each[0] for each in found])
    assert rows.tolist() == [[n, n] for n in range(1, count + 1)] + [[0, 0]] * (12 - count)
    labels = np.concatenate([each[1] for each in found]).tolist()
    assert labels == [b"a"] * count + [b""] * (12 - count)


def test_a_model_learns_nothing_from_steps_without_a_record():
    """With SGD, and a loss that divides by the weights; a last batch is not full, either."""
    numbers = np.linspace(0, 1, 7, dtype=np.float32)
    columns = (np.stack([numbers, 1 - numbers], 1), (numbers > 0.5).astype(np.float32)[:, None])
    weights = []
    for steps in (2, 9):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1, "sigmoid")])
        loss = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
        model.compile("sgd", loss)
        model.fit(padded(tf.data.Dataset.from_tensors(columns).rebatch(4), 4, steps), verbose=0)
        weights.append(model.get_weights())
        assert int(model.optimizer.iterations) == steps
    assert all(map(np.array_equal, *weights))
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.fit(tf.data.Dataset.from_tensors(columns).rebatch(4), verbose=0)
    assert all(map(np.allclose, weights[0], model.get_weights()))
