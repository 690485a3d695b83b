"""What a Keras model must be like, and what is no prediction."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import BadRecordError, PredictionsError
from tfkafka.exactly_once import InferenceJob, keras_predict
from tfkafka.exactly_once.job import predict

ROWS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def model_of(output, count=1) -> keras.Model:
    """A model with `count` inputs [n, 2], whose output is `output(input)`."""
    inputs = [keras.Input((2,), name=f"input_{number}") for number in range(count)]
    return keras.Model(inputs if count > 1 else inputs[0], output(*inputs))


def compiled(loss, activation: str | None = None) -> keras.Model:
    model = model_of(keras.layers.Dense(1, activation))
    model.compile("sgd", loss)
    return model


class Subclassed(keras.Model):
    def call(self, rows):
        return rows


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: model_of(keras.layers.Dense(2, "softmax")), r"float32 \(None, 2\)"),
        (lambda: model_of(keras.layers.Dense(3)), r"float32 \(None, 3\)"),
        (lambda: model_of(keras.layers.Reshape((2, 1))), r"float32 \(None, 2, 1\)"),
        (lambda: model_of(keras.layers.Reshape((1, 1, 2))), r"float32 \(None, 1, 1, 2\)"),
        (lambda: model_of(lambda x: [x[:, :1], x[:, 1:]]), r"2 in a list \(float32 \(None, 1\), "),
        (lambda: model_of(lambda x: {"a": x[:, :1], "b": x[:, 1:]}), "2 in a dict"),
        (lambda: model_of(lambda x: {"a": x[:, :1]}), r"1 in a dict \(float32 \(None, 1\)\)"),
        (lambda: model_of(lambda x: keras.ops.cast(x[:, :1], "int32")), "int32"),
        (lambda: model_of(lambda x: x[:, :1] > 0), "bool"),
        (lambda: model_of(lambda x: keras.ops.sum(x)), r"float32 \(\)"),
        (lambda: model_of(lambda x, y: (x + y)[:, 0], 2), "has 2 inputs"),
        (Subclassed, "unknown number of inputs"),
        (lambda: compiled(keras.losses.BinaryCrossentropy(from_logits=True)), "from_logits=True"),
    ],
)
def test_a_model_whose_output_cannot_be_written_whole_is_refused(make, named):
    with pytest.raises(ValueError, match=rf"^keras_predict: .*{named}.*: (add|give) "):
        keras_predict(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_of(lambda x: x[:, :1]),
        lambda: model_of(lambda x: x[:, 0]),
        lambda: keras.Model([rows := keras.Input((2,))], rows[:, 0]),
        lambda: model_of(lambda x: keras.ops.cast(x[:, :1], "float16")),
    ],
)
def test_one_number_for_each_record_is_right(make):
    predicted = keras_predict(make())(ROWS)
    assert predicted.shape == (3,) and predicted.tolist() == [1, 3, 5]


def test_losses_of_logits_after_a_sigmoid_are_right():
    """As in the tutorial: Keras computes the loss from the sigmoid's input, and warns."""
    model = compiled(keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid")
    assert keras_predict(model)(ROWS).shape == (3,)


def test_losses_of_probabilities_are_right():
    for loss in ("binary_crossentropy", keras.losses.BinaryCrossentropy(), "mse"):
        assert keras_predict(compiled(loss))(ROWS).shape == (3,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("policy", ["error", "skip"])
def test_a_prediction_that_is_not_finite_is_refused_by_name(value, policy):
    def model(rows):
        return np.array([0.5, value, value], np.float64)

    job = InferenceJob(model, CsvDecoder(1), ["t"], "out", "group", on_bad_record=policy)
    named = r"^topic t, partition 0, offset 1: the model predicts .*one of 2 .* among 3"
    with pytest.raises(PredictionsError, match=named) as caught, np.errstate(over="ignore"):
        predict(job, chunk([b"1", b"2", b"3"]))
    assert caught.value.offset == 1


def test_values_that_are_not_finite_are_bad_records_unless_they_are_asked_for():
    def job(**arguments):
        return InferenceJob(lambda rows: np.zeros(len(rows)), topics=["t"], **arguments)

    common = {"predictions_topic": "out", "group_id": "group"}
    records = chunk([b"1,2", b"1,nan"])
    with pytest.raises(
        BadRecordError, match=r"offset 1: column 1 \(from 0\) is not finite.*b'nan'"
    ):
        predict(job(decode=CsvDecoder(2), **common), records)
    skipped = predict(job(decode=CsvDecoder(2), on_bad_record="skip", **common), records)
    assert len(skipped.kept) == 1 and len(skipped.faults) == 1
    assert len(predict(job(decode=CsvDecoder(2, finite=False), **common), records).kept) == 2
