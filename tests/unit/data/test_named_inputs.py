"""Features by their names: as tf.data has them, and as inputs of a model."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.unit.messages import chunk
from tfkafka.data.chunked import ChunkStream, shaped
from tfkafka.decoding.json import JsonDecoder
from tfkafka.decoding.sources import Field
from tfkafka.reading.elements import Elements
from tfkafka.reading.prefetch import Prepared

# Their order is not the one of the alphabet, by which TensorFlow sorts them.
NAMES = [f"f{number}" for number in range(18)][::-1]
RECORDS = 100
TARGETS = {"label": Field("y"), "sample_weight": Field("w")}


def stream(features, metadata=False, fields=NAMES) -> ChunkStream:
    """Records whose field f5 is record + 5, and so on; their label is y, their weight w."""
    elements = Elements(JsonDecoder(fields, **TARGETS, features=features), metadata)
    rows = [
        {name: record + int(name[1:]) for name in NAMES} | {"y": record % 2, "w": record, "n": 3}
        for record in range(RECORDS)
    ]
    values = [json.dumps(row | {"h": [1, 2]}).encode() for row in rows]

    def chunks():
        for start in range(0, RECORDS, 30):
            yield Prepared(chunk(values[start : start + 30]))

    return ChunkStream("t", elements, chunks)


def dataset(of: ChunkStream, batch_size: int | None = 64, whole: bool = False):
    return shaped(of.dataset(), of.elements, batch_size, whole)


@pytest.mark.parametrize(
    ("batch_size", "whole", "shape"), [(64, False, [None]), (None, False, []), (None, True, [None])]
)
def test_elements_are_dicts_of_the_shapes_that_are_announced(batch_size, whole, shape):
    reading = stream("dict")
    elements = dataset(reading, batch_size, whole)
    features, label, weight = elements.element_spec
    scalar = tf.TensorSpec(shape, tf.float32)
    assert features == dict.fromkeys(NAMES, scalar) and (label, weight) == (scalar, scalar)
    taken = {name: [] for name in NAMES}
    for features, label, weight in elements:
        assert isinstance(features, dict) and set(features) == set(NAMES)
        for name, array in features.items():
            assert array.dtype == tf.float32 and array.shape == weight.shape == label.shape
            taken[name] += np.ravel(array).tolist()
    for name, numbers in taken.items():
        assert numbers == [record + int(name[1:]) for record in range(RECORDS)]


def test_other_shapes_types_and_the_metadata_come_along():
    fields = ["f3", Field("h", shape=(2,)), Field("n", dtype="int32"), "f1"]
    reading = stream("dict", metadata=True, fields=fields)
    features, _, _, where = next(iter(dataset(reading, 10)))
    assert features["h"].shape == (10, 2) and features["n"].dtype == tf.int32
    assert features["f3"].numpy().tolist() == list(range(3, 13))
    assert where.offset.numpy().tolist() == list(range(10))
    assert type(where).__name__ == "Metadata"


def test_a_python_loop_gets_what_tensorflows_own_loop_gets():
    reading = stream("dict", metadata=True)
    elements = dataset(reading, 7).map(lambda *columns: columns)
    plain = tf.data.Dataset.from_tensors(0).flat_map(lambda _: elements)
    for one, other in zip(elements, plain, strict=True):
        tf.nest.assert_same_structure(one, other)
        for left, right in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            assert np.array_equal(left, right) and left.dtype == right.dtype
    assert iter(elements).element_spec == elements.element_spec


def test_elements_that_are_no_tensors_are_taken_as_before():
    sparse = dataset(stream("dict"), 10).map(lambda x, y, w: tf.sparse.from_dense(x["f1"]))
    assert isinstance(next(iter(sparse)), tf.SparseTensor)
    ragged = dataset(stream("dict"), 10).map(
        lambda x, y, w: (x, tf.RaggedTensor.from_tensor([[1]]))
    )
    assert isinstance(next(iter(ragged))[1], tf.RaggedTensor)
    windows = dataset(stream("dict"), None).window(5)
    assert isinstance(next(iter(windows))[1], tf.data.Dataset)


def test_a_graph_may_take_elements_of_a_loop():
    iterator = iter(dataset(stream("dict"), 10))

    @tf.function
    def total():
        features, label, weight = next(iterator)
        return tf.reduce_sum(features["f0"]) + 0 * (label[0] + weight[0])

    assert float(total()) == 45
    assert next(iterator)[0]["f0"].numpy().tolist() == list(range(10, 20))


@pytest.mark.parametrize("features", ["dict", "matrix"])
def test_a_model_is_fitted(features):
    if features == "dict":
        inputs = [keras.Input((1,), name=name) for name in NAMES]
        joined = keras.layers.Concatenate()(inputs)
    else:
        inputs = joined = keras.Input((len(NAMES),))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(joined))
    # With weights of zero every prediction is 0, and the loss is a weighted mean of labels.
    model.compile(keras.optimizers.SGD(0.0), "mse", weighted_metrics=["mse"])
    fitted = model.fit(dataset(stream(features)), epochs=2, verbose=0)
    mean = sum(range(1, RECORDS, 2)) / sum(range(RECORDS))
    assert fitted.history["mse"] == pytest.approx([mean] * 2, rel=1e-5)
    assert model.predict(dataset(stream(features)), verbose=0).shape == (RECORDS, 1)
