"""Labels and weights from headers, and named inputs, through everything that reads a topic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from confluent_kafka import Producer

from tests import isolated
from tests.integration.tfkafka.records import settled_predictions
from tfkafka import ArraySpec, Decoded, Header, KafkaDataset, KafkaGroupDataset, headers_of
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob

CLASSES = ["background", "signal"]
COUNT = 20
DECODER = CsvDecoder(
    ["met", "mass"],
    Header("class", classes=CLASSES),
    sample_weight=Header("weight"),
    features="dict",
    missing="nan",
)
# A record without the header, and one whose class is unknown.
BAD = {5: [("weight", b"1")], 9: [("class", b"muon"), ("weight", b"1")]}
GOOD = [number for number in range(COUNT) if number not in BAD]
REASONS = {
    "label: has no header 'class'": 1,
    "label: is none of the classes": 1,
}


@pytest.fixture
def labelled(kafka, topic):
    """A topic whose record n has the value n,-n, without a mass where n is 3."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(COUNT):
        headers = [("class", CLASSES[number % 2].encode()), ("weight", f"{number}.5".encode())]
        value = f"{number},{'' if number == 3 else -number}"
        producer.produce(topic, value, headers=BAD.get(number, headers), partition=0)
    assert producer.flush(30) == 0
    return topic


def check(elements) -> None:
    """Check the decoded elements of all good records."""
    features, label, weight, *_ = (
        tf.nest.map_structure(lambda *each: np.stack(each), *elements) if elements else ()
    )
    assert features["met"].tolist() == GOOD
    np.testing.assert_array_equal(
        features["mass"], [np.nan if number == 3 else -number for number in GOOD]
    )
    assert label.tolist() == [number % 2 for number in GOOD] and label.dtype == np.int64
    assert weight.tolist() == [number + 0.5 for number in GOOD]


@pytest.mark.parametrize("metadata", [False, True])
def test_bounded_and_group_datasets(servers, labelled, group, metadata):
    options = {"decode": DECODER, "on_bad_record": "skip", "metadata": metadata}
    bounded = KafkaDataset(labelled, servers=servers, **options)
    in_group = KafkaGroupDataset(
        labelled,
        group,
        servers,
        stream_timeout=0,
        configuration={"auto.offset.reset": "earliest"},
        **options,
    )
    for dataset in (bounded, in_group):
        elements = list(dataset.as_numpy_iterator())
        check(elements)
        assert dataset.counts.reasons == REASONS
        if metadata:
            where = elements[0][3]
            assert headers_of(where.headers) == [("class", b"background"), ("weight", b"0.5")]
    batched = KafkaDataset(labelled, servers=servers, batch_size=7, **options)
    assert [len(each[1]) for each in batched] == [7, 7, 4]
    check(list(KafkaDataset.from_manifest(bounded.manifest(), servers=servers).as_numpy_iterator()))


def test_exactly_once_with_a_header_label(servers, labelled, make_topic, group):
    def predict(features):
        return features["met"] / 100

    predictions = make_topic()
    job = InferenceJob(predict, DECODER, labelled, predictions, group, on_bad_record="skip")
    counts = ExactlyOnceInference(job, servers, stream_timeout=0).run()
    assert counts.used == len(GOOD) and counts.reasons == REASONS
    [(offsets, values)] = settled_predictions(servers, predictions).values()
    assert offsets.tolist() == GOOD
    np.testing.assert_array_equal(values, np.array(GOOD, np.float32) / np.float32(100))


def test_learn_with_a_header_label_and_weights(servers, labelled, tmp_path):
    isolated.run(learn_named_inputs, servers, labelled, tmp_path)


def learn_named_inputs(servers: str, topic: str, folder: Path) -> None:
    import keras

    from tfkafka.online import Stream, learn

    def build():
        inputs = {name: keras.Input((1,), name=name) for name in ("met", "mass")}
        outputs = keras.layers.Dense(1)(keras.layers.Concatenate()([*inputs.values()]))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(1e-6), "mse")
        return model

    seen = []

    def train(model, features, labels, weights):
        seen.extend(zip(features["met"], features["mass"], labels, weights, strict=True))
        filled = {name: np.nan_to_num(each) for name, each in features.items()}
        model.fit(filled, labels, sample_weight=weights, verbose=0)

    stream = Stream(topic, DECODER, servers, mini_dataset=8, stream_timeout=0, on_bad_record="skip")
    progress = learn(folder, stream, build, train, seed=1, notify=lambda line: None)
    check([({"met": met, "mass": mass}, label, weight) for met, mass, label, weight in seen])
    assert progress.records == len(GOOD) and progress.counts.reasons == REASONS
    stream = Stream(topic, TooLong(), servers, stream_timeout=0)
    with pytest.raises(TypeError) as refusal:
        learn(folder / "too-long", stream, build, train, seed=1, notify=lambda line: None)
    assert str(refusal.value).startswith(TOO_LONG)


class TooLong:
    """A decoder that returns more rows than there are records."""

    element_spec = (ArraySpec((), np.dtype(np.float32)),) * 2

    def decode(self, chunk):
        rows = np.zeros(len(chunk) + 1, np.float32)
        return Decoded((rows, rows), np.arange(len(chunk)))


# Of how many records depends on how they arrive.
TOO_LONG = "decode of TooLong returned for the features float32 ["


def test_a_decoder_of_ones_own_that_returns_too_much_is_named(servers, labelled):
    dataset = KafkaDataset(labelled, servers=servers, decode=TooLong())
    with pytest.raises(tf.errors.OpError):
        list(dataset)
    assert str(dataset.error).startswith(TOO_LONG) and "\n" not in str(dataset.error)
