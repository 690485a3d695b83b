"""What a Keras model, a decoder and an encoder must be like to fit, and what is no prediction."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from tests.unit.messages import chunk
from tfkafka import ArraySpec, Decoded, JsonEncoder, Key, ProbabilityEncoder, TensorEncoder
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import BadRecordError, PredictionsError
from tfkafka.exactly_once import InferenceJob, keras_predict
from tfkafka.exactly_once.evaluation import _refuse_no_indices
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


def job_of(model, encoder, decode=CsvDecoder(2)):  # noqa: B008
    return InferenceJob(keras_predict(model), decode, ["t"], "out", "group", encoder=encoder)


class Dicts:
    """A decoder of features by name, each with a shape of one record."""

    def __init__(self, **shapes):
        spec = {name: ArraySpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}
        self.element_spec = (spec,)

    def decode(self, chunk):
        numbers = np.array([[float(value)] for value in chunk.values.entries], np.float32)
        arrays = {
            name: np.ones((len(chunk), *spec.shape), np.float32)
            * numbers.reshape(-1, *(1 for _ in spec.shape))
            for name, spec in self.element_spec[0].items()
        }
        return Decoded((arrays,), np.arange(len(chunk)))


def twice() -> keras.Model:
    """A model of two outputs of one layer, and so of one name."""
    layer = keras.layers.Dense(1)
    return model_of(lambda x: [layer(x), layer(x + 1)])


PROBABILITY, JSON = ProbabilityEncoder(), JsonEncoder()
LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
TWO = model_of(lambda x, y: x + y, 2)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: model_of(lambda x: keras.ops.sum(x)), r"float32 \(\)"),
        (twice, "2 outputs without different names"),
        (lambda: model_of(lambda x: {"a": {"b": x}}), "an output of the model is dict"),
        (
            lambda: keras.Model(
                [[a := keras.Input((2,)), b := keras.Input((2,))], keras.Input((1,))], a + b
            ),
            "nested",
        ),
    ],
)
def test_a_model_without_one_row_a_record_or_without_names_is_refused(make, named):
    with pytest.raises(ValueError, match=rf"^keras_predict: .*{named}.*: give ") as caught:
        keras_predict(make())
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("model", "encoder", "decode", "named"),
    [
        (model_of(keras.layers.Dense(2, "softmax")), PROBABILITY, 2, r"float32 \[n, 2\]"),
        (model_of(keras.layers.Reshape((2, 1))), PROBABILITY, 2, r"float32 \[n, 2, 1\]"),
        (model_of(lambda x: {"a": x[:, :1]}), PROBABILITY, 2, r"{a: float32 \[n\]}"),
        (model_of(lambda x: keras.ops.cast(x[:, :1], "int32")), PROBABILITY, 2, r"int32 \[n\]"),
        (model_of(lambda x: x[:, :1] > 0), PROBABILITY, 2, r"bool \[n\]"),
        (model_of(lambda x: x), JsonEncoder(classes=["a", "b", "c"]), 2, r"float32 \[n, 2\]"),
        (model_of(lambda x: x), TensorEncoder(), 2, r"float32 \[n, 2\]"),
        (keras.Model(a := keras.Input((None, 2)), a), JSON, 2, r"do not fit .*any length, 2\]"),
        (compiled(LOGITS), PROBABILITY, 2, "from_logits=True"),
        (compiled(LOGITS), JsonEncoder(classes=["a", "b"]), 2, "from_logits=True"),
        (model_of(lambda x: x), JSON, 3, r"^decode: .*float32 \[n, 3\] do not fit .*\[n, 2\]"),
        (TWO, JSON, 2, "^decode: the features are one array, .* has the inputs input_0, input_1:"),
        (TWO, JSON, Dicts(input_0=(2,), other=(2,)), "^decode: .*: input_1 are missing"),
        (TWO, JSON, Dicts(input_0=(2,), input_1=(3,)), r"^decode: .*\[n, 3\] .* input_1 "),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_record(model, encoder, decode, named):
    decode = CsvDecoder(decode) if isinstance(decode, int) else decode
    with pytest.raises(ValueError, match=named) as caught:
        job_of(model, encoder, decode)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_of(lambda x: x[:, :1]),
        lambda: model_of(lambda x: x[:, 0]),
        lambda: model_of(lambda x: [x[:, 0]]),
        lambda: keras.Model([rows := keras.Input((2,))], rows[:, 0]),
        lambda: keras.Model({"x": (rows := keras.Input((2,), name="x"))}, rows[:, 0]),
        lambda: model_of(lambda x: keras.ops.cast(x[:, :1], "float16")),
        lambda: model_of(lambda x: keras.ops.cast(x[:, :1], "bfloat16")),
    ],
)
def test_one_number_for_each_record(make):
    predicted = keras_predict(make())(ROWS)
    assert predicted.shape == (3,) and predicted.tolist() == [1, 3, 5]
    (value, *_) = job_values(job_of(make(), PROBABILITY))
    assert value == b"1.0"


def job_values(job, values=(b"1,2", b"3,4", b"5,6")):
    return predict(job, chunk(list(values))).predictions.values.entries.tolist()


def test_vectors_and_named_outputs():
    model = model_of(keras.layers.Dense(3, "softmax"))
    assert np.array_equal(
        JSON.decode(job_values(job_of(model, JSON))).arrays[0], keras_predict(model)(ROWS)
    )
    assert np.allclose(keras_predict(model)(ROWS), model.predict(ROWS, verbose=0), atol=1e-6)
    inputs = keras.Input((2,))
    names = {"first": inputs[:, :1], "both": inputs}
    for outputs in (
        names,
        [keras.layers.Identity(name=name)(output) for name, output in names.items()],
    ):
        job = job_of(keras.Model(inputs, outputs), JSON)
        # JAX sorts the names.
        assert json.loads(job_values(job)[0]) == {"first": 1, "both": [1, 2]}


def test_named_inputs_of_ranks_that_keras_takes():
    a, b = keras.Input((1,), name="a"), keras.Input((2,), name="b")
    for inputs in ([a, b], {"a": a, "b": b}):
        predict_ = keras_predict(keras.Model(inputs, a + b))
        assert {name: spec.shape for name, spec in predict_.input_spec.items()} == {
            "a": (1,),
            "b": (2,),
        }
        for decode in (Dicts(b=(2,), a=()), Dicts(a=(1,), b=(2,), more=()), Dicts(a=(), b=(2, 1))):
            job = InferenceJob(predict_, decode, ["t"], "out", "group", encoder=JSON)
            assert job_values(job, [b"1", b"2"])[1] == b'{"prediction":[4.0,4.0]}'
    one = keras.Model(inner := keras.Input((1,), name="x"), inner * 2)
    assert job_values(job_of(one, PROBABILITY, Dicts(x=())), [b"1"]) == [b"2.0"]


def test_a_subclass_whose_inputs_are_known_from_the_first_batch_on():
    predict_ = keras_predict(Subclassed())
    assert predict_.input_spec is predict_.output_spec is None
    assert predict_(ROWS).tolist() == ROWS.tolist()
    assert predict_(ROWS[:1]).tolist() == ROWS[:1].tolist()
    job = job_of(Subclassed(), PROBABILITY)
    with pytest.raises(ValueError, match=r"^the model returned \(3, 2\) for 3 records: float32"):
        job_values(job)


ONE_INPUT = model_of(lambda x: x)
AB = {name: np.zeros((3, 2), np.float32) for name in ("input_0", "input_1")}


@pytest.mark.parametrize(
    ("model", "features", "line"),
    [
        (TWO, {"input_0": ROWS}, "the features are input_0, and .*: input_1 are missing"),
        (TWO, ROWS, "the features are one array, .* has the inputs input_0, input_1"),
        (
            TWO,
            AB | {"input_1": ROWS[:, :1]},
            r"the features float32 \[n, 1\] do not fit .* input_1",
        ),
        (TWO, AB | {"input_1": ROWS[:2]}, "differ in their numbers of rows: input_0: 3, input_1"),
        (ONE_INPUT, {"other": ROWS}, "the features are other, and the model has the inputs"),
        (ONE_INPUT, ROWS[:, :1], r"the features float32 \[n, 1\] do not fit"),
        (
            ONE_INPUT,
            ROWS.tolist(),
            "^keras_predict: features is .*, must be columns: a NumPy array",
        ),
        (ONE_INPUT, np.float32(1), r"^keras_predict: features is .*1\.0\)?, must be columns: a N"),
        (ONE_INPUT, np.array(1.0), r"^keras_predict: features is array\(1.\), must be columns"),
        (Subclassed(), ROWS.tolist(), "^keras_predict: features is .*, must be columns"),
    ],
)
def test_features_that_do_not_fit_are_refused_outside_of_a_job_too(model, features, line):
    with pytest.raises((ValueError, TypeError), match=line) as caught:
        keras_predict(model)(features)
    assert len(str(caught.value).splitlines()) == 1


def test_later_batches_of_a_subclass_are_like_the_first_one():
    class Sum(keras.Model):
        def call(self, features):
            return features["a"] + features["b"]

    predict_ = keras_predict(Sum())
    first = {"a": ROWS, "b": ROWS}
    assert predict_(first).tolist() == (2 * ROWS).tolist()
    assert predict_(first | {"b": ROWS.astype(int), "c": ROWS}).tolist() == (2 * ROWS).tolist()
    for wrong in ({"a": ROWS}, first | {"b": ROWS[:, :1]}, ROWS):
        with pytest.raises(ValueError, match=r"^keras_predict: the features") as caught:
            predict_(wrong)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others have no texts")
def test_texts_of_a_model():
    lookup = keras.layers.StringLookup(vocabulary=["a", "é"], invert=True)
    model = model_of(lambda x: lookup(keras.ops.cast(x[:, :1], "int64")))
    assert keras_predict(model)(np.array([[1, 0], [2, 0]])).tolist() == ["a", "é"]
    assert job_values(job_of(model, JSON), [b"2,0"]) == [b'{"prediction":"\xc3\xa9"}']


def test_losses_of_logits_after_a_sigmoid_or_a_softmax_are_right():
    """As in the tutorial: Keras computes the loss from the sigmoid's input, and warns."""
    job_of(compiled(LOGITS, "sigmoid"), PROBABILITY)
    model = model_of(keras.layers.Dense(3, "softmax"))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    job_of(model, JsonEncoder(classes=["a", "b", "c"]))
    model = model_of(keras.layers.Softmax())
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    job_of(model, JsonEncoder(classes=["a", "b"]))
    # Numbers that need not be probabilities.
    job_of(compiled(LOGITS), JSON)


def test_losses_of_probabilities_are_right():
    for loss in ("binary_crossentropy", keras.losses.BinaryCrossentropy(), "mse"):
        job_of(compiled(loss), PROBABILITY)


@pytest.mark.parametrize(
    "returned",
    [np.zeros(2), np.zeros((2, 3)), np.float32(1), {"a": np.zeros(3), "b": np.zeros(2)}, {}],
)
def test_another_number_of_rows_is_refused(returned):
    job = InferenceJob(lambda rows: returned, CsvDecoder(2), ["t"], "out", "group", encoder=JSON)
    with pytest.raises(ValueError, match=r"^the model returned .* for 3 records, must return one"):
        job_values(job)


def test_plain_functions_may_return_any_numbers():
    for returned in ([0.5, 1, 2], np.array([1, 2, 3]), np.array([True] * 3), np.zeros((3, 1))):
        job = InferenceJob(lambda rows, r=returned: r, CsvDecoder(2), ["t"], "out", "group")
        assert len(job_values(job)) == 3


def test_nan_is_a_prediction_where_the_encoder_allows_it():
    def job(value, nan):
        return InferenceJob(
            lambda rows: {"a": np.zeros(3), "b": np.array([[0, 0], [0, value], [0, 0]])},
            CsvDecoder(2),
            ["t"],
            "out",
            "group",
            encoder=JsonEncoder(nan=nan),
        )

    assert job_values(job(np.nan, "null"))[1] == b'{"a":0.0,"b":[0.0,null]}'
    for value, nan in ((np.nan, "refuse"), (np.inf, "null")):
        with pytest.raises(PredictionsError, match=r"offset 1: the model predicts .* in 'b', one"):
            job_values(job(value, nan))


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
    assert len(skipped.predictions) == 1 and len(skipped.faults) == 1
    assert len(predict(job(decode=CsvDecoder(2, finite=False), **common), records).predictions) == 2


def test_an_encoder_with_other_classes_than_the_label_is_refused():
    """Their names would be those of other outputs."""
    label = Key(classes=["a", "b", "c"])
    where = {"topics": "in", "predictions_topic": "out", "group_id": "g"}
    for names in (["c", "b", "a"], ["a", "b"]):
        with pytest.raises(
            ValueError, match=r"^encoder: its classes are .* of the label of decode"
        ):
            InferenceJob(len, CsvDecoder(2, label), encoder=JsonEncoder(classes=names), **where)
    right = JsonEncoder(classes=["a", "b", "c"])
    InferenceJob(len, CsvDecoder(2, label), encoder=right, **where)
    InferenceJob(len, CsvDecoder(2, "key"), encoder=right, **where)


def test_labels_that_are_no_classes_are_refused():
    encoder = JsonEncoder(classes=["a", "b", "c"])
    _refuse_no_indices("t", np.array([0, 2, 1]), encoder)
    _refuse_no_indices("t", np.array([7, 0.5], np.float32), ProbabilityEncoder())
    for wrong in ([0, 3], [-1, 0], [0.5, 1]):
        with pytest.raises(PredictionsError, match="1 labels are no index of the 3 classes"):
            _refuse_no_indices("t", np.array(wrong), encoder)
