"""Maps before `batch`, done for whole batches: which are, and that nothing else changes."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.python.framework import config

from tests import determinism
from tests.documents import ROOT, examples
from tests.unit.properties import few
from tests.unit.tfio.comparing import compare, delivered, is_lifted, records
from tfkafka.tfio import batched_graph, lifting

GUIDE = ROOT / "docs" / "migrating-from-tensorflow-io.md"
ROWS = 300
COLUMNS = 4
# Options of tf.data that say whether it does `map` and `batch` in one step.
FUSION, DEFAULT = "map_and_batch_fusion", "apply_default_optimizations"


def texts(bad: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Messages and keys as the tutorial has them; the messages `bad` are no numbers."""
    numbers = np.random.default_rng(1).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    rows = [",".join(map(str, row)).encode() for row in numbers]
    for index in bad:
        rows[index] = b"1,x%d,3,4" % index
    return np.array(rows, object), np.array([b"%d.0" % (n % 2) for n in range(ROWS)], object)


def parse(message, key):
    return tf.stack(tf.io.decode_csv(message, [[0.0]] * COLUMNS)), tf.strings.to_number(key)


def with_table(message, key):
    return TABLE[tf.strings.length(key)], message


@tf.function
def nested(message):
    return tf.stack(tf.io.decode_csv(message, [[0.0]] * COLUMNS))


def length(text):
    return np.int32(len(text))


TABLE = tf.constant([3.0, 4.0, 5.0, 6.0])
VARIABLE = tf.Variable(2.0)
# By name: from a message and a key to (features, label), or to what has the same place.
FIRST = {
    "tutorial": parse,
    "lengths": lambda message, key: (
        tf.stack([tf.cast(tf.strings.length(message), tf.float32)] * COLUMNS),
        tf.cast(tf.strings.length(key), tf.float32),
    ),
    "nested": lambda message, key: (nested(message), tf.strings.to_number(key)),
    "captured": lambda message, key: (nested(message), TABLE[2]),
    "constant": lambda message, key: (nested(message), tf.constant(1.0)),
    "variable": lambda message, key: (nested(message), tf.strings.to_number(key) * VARIABLE),
    "random": lambda message, key: (nested(message), tf.random.uniform([])),
    "stateless": lambda message, key: (
        nested(message),
        tf.random.stateless_uniform([], [tf.strings.length(message), 1]),
    ),
    "branches": lambda message, key: (
        nested(message),
        tf.cond(key == b"1.0", lambda: 1.0, lambda: 2.0),
    ),
    "sum": lambda message, key: (nested(message), tf.reduce_sum(nested(message))),
    "exponential": lambda message, key: (tf.exp(nested(message)), tf.strings.to_number(key)),
    "python": lambda message, key: (
        nested(message),
        tf.cast(tf.ensure_shape(tf.numpy_function(length, [message], tf.int32), []), tf.float32),
    ),
    "py_function": lambda message, key: (
        nested(message),
        tf.ensure_shape(tf.py_function(tf.strings.to_number, [key], tf.float32), []),
    ),
    "checked": lambda message, key: (
        tf.debugging.assert_all_finite(nested(message), "not finite"),
        tf.strings.to_number(key),
    ),
    "printed": lambda message, key: (tf.print(end="") is None or nested(message), TABLE[0]),
}
# From (features, label) to anything.
SECOND = {
    "none": None,
    "same": lambda x, y: (x, y),
    "dict": lambda x, y: ({"b": x[0], "a": x[1:], "c": tf.constant([1, 2])}, y),
    "one": lambda x, y: x,
    "list": lambda x, y: ([x[0], x[1]], y),
    "scaled": lambda x, y: ((x - 0.5) / 0.3, 1 - y),
    "merged": lambda x, y: (x * 0.1 * 0.7, y + 0.1 + 0.7),
    "neutral": lambda x, y: (x * 1.0, y * 0.0),
    "factored": lambda x, y: (x * 0.3 + x * 0.7, y),
    "classes": lambda x, y: (x, tf.one_hot(tf.cast(y, tf.int32), 2)),
    "clipped": lambda x, y: (tf.clip_by_value(x, -0.5, 0.5), tf.maximum(y, 0.0)),
    "chosen": lambda x, y: (tf.where(x > 0, x, y), tf.cast(y, tf.int64) // 2),
    "matrix": lambda x, y: (tf.reshape(x, [2, -1])[:, ::-1], tf.expand_dims(y, -1)),
    "ragged": lambda x, y: (tf.RaggedTensor.from_row_lengths(x, [1, 3]), y),
    "sparse": lambda x, y: (tf.sparse.from_dense(x), y),
    "nothing": lambda x, y: (x, None),
    "text": lambda x, y: (tf.strings.as_string(x), tf.strings.join([tf.strings.as_string(y), "!"])),
    "unknown": lambda x, y: (tf.boolean_mask(x, x > 9), y),
}


def options(**given_: bool) -> tf.data.Options:
    """Of tf.data's optimizations."""
    made = tf.data.Options()
    for name, value in given_.items():
        setattr(made.experimental_optimization, name, value)
    return made


def either(name, *choices):
    """A step of a pipeline with its arguments."""
    return st.sampled_from([(name, each) for each in choices])


# What may stand before the maps, between them, and between them and `batch`.
STEP = st.one_of(
    either("shuffle", {"buffer_size": 20}, {"buffer_size": 400, "seed": 3}),
    either("take", {"count": 150}, {"count": -1}),
    either("skip", {"count": 20}),
    either("repeat", {"count": 2}, {"count": 1}),
    either("prefetch", {"buffer_size": 2}),
    either("shard", {"num_shards": 3, "index": 1}),
    either("ignore_errors", {}),
    either("cache", {}),
    either("with_options", {"options": tf.data.Options()}, {"options": options(**{FUSION: False})}),
)
STEPS = st.lists(STEP, max_size=1)
BATCH = st.fixed_dictionaries(
    {"batch_size": st.sampled_from([1, 7, 64]), "drop_remainder": st.booleans()},
    optional={"num_parallel_calls": st.just(1)},
)
AFTER = st.sampled_from(["none", "ignore_errors", "prefetch", "map"])
BAD = st.sampled_from([(), (10, 100), (0,), (63, 64, ROWS - 1)])


def done(dataset, steps):
    for name, given_ in steps:
        dataset = getattr(dataset, name)(**given_)
    return dataset


@few
@given(
    *(st.sampled_from([*functions]) for functions in (FIRST, SECOND)),
    *(STEPS, STEPS, STEPS, BATCH, AFTER, BAD, st.booleans()),
)
def test_both_ways_deliver_the_same(
    first, second, before, between, last, batch, after, bad, deterministic
):
    def pipeline(dataset):
        dataset = done(dataset, before).map(FIRST[first])
        dataset = done(dataset, between)
        if SECOND[second] is not None:
            dataset = dataset.map(SECOND[second])
        dataset = done(dataset, last).batch(**batch)
        if after == "map":
            return dataset.map(lambda *parts: parts)
        return dataset if after == "none" else getattr(dataset, after)(*[2][: after == "prefetch"])

    determinism.enable(deterministic)
    with pytest.MonkeyPatch.context() as monkeypatch:
        compare(pipeline, texts(bad), monkeypatch)


LIFTED_FIRST = ("tutorial", "lengths", "nested", "captured", "constant")
LIFTED_SECOND = (
    "none",
    "same",
    "dict",
    "one",
    "list",
    "scaled",
    "chosen",
    "classes",
    "matrix",
    "text",
)


@pytest.mark.parametrize("first", FIRST)
def test_which_functions_are_lifted(first, monkeypatch):
    batches, found = compare(
        lambda dataset: dataset.map(FIRST[first]).batch(64), texts((10,)), monkeypatch
    )
    assert is_lifted(batches) == (first in LIFTED_FIRST)
    assert len(found) == 5


@pytest.mark.parametrize("second", [name for name in SECOND if SECOND[name]])
def test_which_second_functions_are_lifted(second, monkeypatch):
    batches, found = compare(
        lambda dataset: dataset.map(parse).map(SECOND[second]).batch(64), texts((10,)), monkeypatch
    )
    assert is_lifted(batches) == (second in LIFTED_SECOND)
    assert len(found) == 5


@pytest.mark.parametrize("name", ["shuffle", "take", "skip", "repeat", "prefetch", "shard"])
def test_what_may_stand_before_a_map_and_after_one_that_cannot_fail(name, monkeypatch):
    arguments = {"shard": (3, 1), "shuffle": (20,)}.get(name, (2,))

    def before(dataset):
        return getattr(dataset, name)(*arguments).map(parse).batch(64)

    def between(dataset):
        return getattr(dataset.map(swap), name)(*arguments).map(swap).map(parse).batch(64)

    def after(dataset):
        return getattr(dataset.map(parse), name)(*arguments).batch(64)

    columns = texts((10, 100))
    lifted = [
        is_lifted(compare(each, columns, monkeypatch)[0]) for each in (before, between, after)
    ]
    assert lifted == [True, True, False]


def swap(message, key):
    return tf.strings.strip(key)[tf.newaxis], message


@pytest.mark.parametrize("drop_remainder", [False, True])
@pytest.mark.parametrize(("first", "lifted"), [("tutorial", False), ("lengths", True)])
def test_with_determinism_what_can_fail_is_not_lifted(first, lifted, drop_remainder, monkeypatch):
    determinism.enable(True)
    batches, found = compare(
        lambda dataset: dataset.map(FIRST[first]).batch(64, drop_remainder),
        texts((10, 100)),
        monkeypatch,
    )
    assert is_lifted(batches) == lifted
    # Batches begin again after each bad record.
    assert len(found) == (5 if lifted else 7) - drop_remainder


@pytest.mark.parametrize(
    ("given_", "lifted"),
    [
        ({}, True),
        ({FUSION: False}, False),
        ({DEFAULT: False}, False),
        ({FUSION: True, DEFAULT: False}, True),
        ({FUSION: False, DEFAULT: True}, False),
    ],
)
def test_what_can_fail_is_lifted_where_map_and_batch_are_one_step(given_, lifted, monkeypatch):
    batches, found = compare(
        lambda dataset: dataset.with_options(options(**given_)).map(parse).batch(64),
        texts((10, 100)),
        monkeypatch,
    )
    assert (is_lifted(batches), len(found)) == (lifted, 5 if lifted else 7)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_bad_record_in_the_remainder_that_is_dropped(size, monkeypatch):
    batches, found = compare(
        lambda dataset: dataset.map(parse).batch(size, drop_remainder=True),
        texts((63, 64, ROWS - 1)),
        monkeypatch,
    )
    assert is_lifted(batches) and type(found[-1]) is tuple


def test_batches_whose_number_is_known_keep_it():
    rows = lifting.liftable(tf.data.Dataset.from_tensor_slices(texts()))
    assert len(rows.map(parse).batch(64)) == 5
    assert len(rows.map(parse).batch(64, drop_remainder=True)) == 4


def test_a_function_is_traced_once():
    calls = []

    def noted(message, key):
        calls.append(message)
        return parse(message, key)

    assert is_lifted(records(texts()).map(noted).batch(64))
    assert len(calls) == 1


def test_a_line_of_debugging_says_which_and_why(caplog):
    (example,) = examples(GUIDE)
    # It also undoes afterwards what the example sets.
    caplog.set_level(logging.DEBUG, "tfkafka.tfio")
    logging.getLogger("tfkafka.tfio").setLevel(logging.WARNING)
    exec(compile(example, "example", "exec"), {})
    rows = records(texts())
    rows.map(parse).batch(64)
    rows.map(lambda message, key: tf.exp(tf.strings.to_number(key))).batch(64)
    rows.map(parse).shuffle(2)
    rows.map(parse).batch(64, num_parallel_calls=2)
    assert caplog.messages == [
        "parse is done batch by batch",
        "<lambda> is done record by record: Exp is not known to do with many what it does with one",
        "parse is done record by record: a record can make it fail, and shuffle comes before batch",
        "parse is done record by record: batch has num_parallel_calls, which changes where batches "
        "begin",
    ]


@pytest.mark.parametrize(
    "name", ["_map_func", "function", "graph", "deferred_external_captures", "_get_function"]
)
def test_without_tensorflows_private_names_nothing_is_lifted(name, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG, lifting.__name__)

    def without(owner, wanted, default):
        return default if wanted == name else getattr(owner, wanted, default)

    monkeypatch.setattr(batched_graph, "getattr", without, raising=False)
    batches = records(texts()).map(FIRST["nested"]).batch(64)
    assert not is_lifted(batches) and len(delivered(batches)) == 5
    assert f"TensorFlow {tf.__version__} has no" in caplog.text


def test_in_a_graph_nothing_is_lifted():
    @tf.function
    def count():
        return records(texts()).map(parse).batch(64).reduce(0, lambda number, *_: number + 1)

    assert count() == 5


def test_without_a_name_that_tells_of_determinism_nothing_that_can_fail_is_lifted(
    monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG, lifting.__name__)
    monkeypatch.delattr(config, "is_op_determinism_enabled")
    assert not is_lifted(records(texts()).map(parse).batch(64))
    assert is_lifted(records(texts()).map(FIRST["lengths"]).batch(64))
    assert f"TensorFlow {tf.__version__} has no is_op_determinism_enabled" in caplog.text
