"""The records that made a model: read again from a manifest, and gone on with from a state."""

from __future__ import annotations

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests import fillers
from tests.integration.tfkafka.records import ints, numbers, transaction
from tfkafka import CsvDecoder, KafkaDataset, write
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec, Decoded
from tfkafka.errors import ManifestError, OffsetError, TopicError

LENGTHS = (600, 300, 40)


@pytest.fixture
def rows(servers, make_topic) -> str:
    """A topic of three partitions of CSV rows, of which one is bad."""
    topic, generator = make_topic(3), np.random.default_rng(1)
    for partition, count in enumerate(LENGTHS):
        values = [",".join(map(repr, row)) for row in generator.normal(size=(count, 3)).tolist()]
        if partition == 1:
            values[77] = "1,x,3"
        write(servers, topic, values, [str(i % 2) for i in range(count)], partition=partition)
    return topic


def arrays(dataset: tf.data.Dataset) -> list[np.ndarray]:
    return [array for element in dataset.as_numpy_iterator() for array in tf.nest.flatten(element)]


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def decoded(servers: str, topic: str, **arguments) -> KafkaDataset:
    arguments = {"decode": CsvDecoder(3, "key"), "batch_size": 64} | arguments
    return KafkaDataset(topic, servers=servers, on_bad_record="skip", **arguments)


def saved(content: dict, tmp_path):
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(content))
    return path


def test_a_manifest_reads_the_same_records_equal_to_the_bit(servers, rows, tmp_path):
    dataset = decoded(servers, rows)
    first = arrays(dataset)
    path = saved(dataset.manifest(), tmp_path)
    numbers(servers, rows, 1000, partition=0)
    again = KafkaDataset.from_manifest(path)
    assert equal(arrays(again), first)
    assert again.counts == dataset.counts
    assert again.manifest() == dataset.manifest()
    assert not equal(arrays(decoded(servers, rows)), first)


def test_iterations_at_the_same_time_are_counted_apart(servers, rows, monkeypatch):
    # So small that neither has ended when the other one begins.
    monkeypatch.setattr("tfkafka.reading.bounded.CHUNK_RECORDS", 50)
    dataset = decoded(servers, rows)
    arrays(dataset)
    again = KafkaDataset.from_manifest(dataset.manifest())
    pairs = list(tf.data.Dataset.zip((again, again)).as_numpy_iterator())
    assert sum(len(first[1]) for first, _ in pairs) == 939
    assert again.error is None
    assert again.manifest()["counts"] == dataset.manifest()["counts"]


def test_a_manifest_says_what_was_read(kafka, servers, admin, rows):
    dataset = decoded(servers, rows, partitions=[2, 1], max_records=200)
    assert dataset.manifest()["counts"] is None
    arrays(dataset)
    manifest = dataset.manifest()
    assert manifest["servers"] == servers
    assert manifest["topic"] == rows
    assert manifest["cluster_id"]
    # Kafka 2.7 gives topics no id.
    assert bool(manifest["topic_id"]) == (kafka.version != "2.7.2")
    assert all(each.pop("leader_epoch") >= 0 for each in manifest["ranges"])
    assert manifest["ranges"] == [
        {"partition": 2, "start": 0, "stop": 40},
        {"partition": 1, "start": 0, "stop": 300},
    ]
    assert manifest["isolation_level"] == "read_committed"
    assert manifest["decoder"] == {
        "name": "tfkafka.decoding.csv.CsvDecoder",
        "arguments": {
            "columns": 3,
            "label": "key",
            "finite": None,
            "sample_weight": None,
            "select": None,
            "features": "matrix",
            "missing": "bad",
        },
    }
    assert manifest["counts"] == {
        "read": 200,
        "used": 199,
        "skipped": 1,
        "dead_lettered": 0,
        "missing": 0,
    }
    assert {"python", "numpy", "polars", "confluent-kafka"} <= manifest["versions"].keys()


def test_deleted_records_are_named(servers, rows, tmp_path):
    path = saved(decoded(servers, rows).manifest(), tmp_path)
    client = AdminClient({"bootstrap.servers": servers})
    for future in client.delete_records([TopicPartition(rows, 1, 40)]).values():
        future.result(30)
    named = rf"topic {rows}, partition 1: offset 0 comes next, but all before 40 have been del"
    with pytest.raises(OffsetError, match=named):
        KafkaDataset.from_manifest(path)


def test_a_topic_that_was_created_again_is_not_taken_for_the_old_one(servers, admin, topic):
    numbers(servers, topic, 10)
    dataset = KafkaDataset(topic, servers=servers)
    manifest = dataset.manifest()
    admin.delete_topic(topic)
    with pytest.raises(TopicError, match=f"no topic {topic}"):
        KafkaDataset.from_manifest(manifest)
    admin.create_topic(topic)
    numbers(servers, topic, 10, first=10)
    with pytest.raises(TopicError, match=rf"topic {topic} .*: the topic is not the one in"):
        KafkaDataset.from_manifest(manifest)


@fillers.both
@pytest.mark.parametrize("batches", [1, 4, 9, 14])
def test_a_loop_is_gone_on_with_at_the_next_record(servers, rows, tmp_path, batches):
    dataset = decoded(servers, rows)
    whole = arrays(dataset)
    taken = []
    for number, element in enumerate(dataset, 1):
        taken += [tensor.numpy() for tensor in element]
        if number == batches:
            break
    rest = KafkaDataset.from_state(saved(dataset.state(), tmp_path))
    assert equal(taken + arrays(rest), whole)
    assert equal(taken + arrays(rest), whole)


def test_a_state_can_be_taken_after_every_record(servers, rows):
    dataset = decoded(servers, rows, batch_size=None)
    whole = [element[0] for element in dataset.as_numpy_iterator()]
    for used in (0, 1, 2, 500, 938, 939):
        rest = KafkaDataset.from_state(dataset.state(used))
        assert equal([element[0] for element in rest.as_numpy_iterator()], whole[used:])


def test_a_state_of_a_resumed_iteration(servers, rows):
    dataset = decoded(servers, rows, batch_size=None, max_records=700)
    whole = [element[0] for element in dataset.as_numpy_iterator()]
    rest = KafkaDataset.from_state(dataset.state(100))
    for _ in rest.take(300):
        pass
    rest = KafkaDataset.from_state(rest.state(250))
    assert equal([element[0] for element in rest.as_numpy_iterator()], whole[350:])


def test_places_that_lie_behind_the_last_mark(servers, topic, monkeypatch):
    """A state is exact wherever the places lie that an iteration keeps."""
    monkeypatch.setattr("tfkafka.reading.progress.SPACING", 10)
    numbers(servers, topic, 5000)
    dataset = KafkaDataset(topic, servers=servers)
    assert ints(dataset) == [*range(5000)]
    for used in (0, 9, 256, 257, 4999, 5000):
        state = dataset.state(used)
        assert ints(KafkaDataset.from_state(state)) == [*range(used, 5000)]
    assert dataset.state(5000)["place"]["skip"] < 5000


def test_fit_must_say_how_many_records_it_has_used(servers, rows):
    dataset = decoded(servers, rows)
    model = keras.Sequential([keras.layers.Input([3]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    states = []
    model.fit(
        dataset,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: states.append(
                    dataset.state(min(64 * (batch + 1), 939))
                )
            )
        ],
    )
    with pytest.raises(ValueError, match="give the number of records that are used as records="):
        dataset.state()
    with pytest.raises(ValueError, match="records is 940, and 939 were delivered"):
        dataset.state(940)
    whole = arrays(dataset)
    assert equal(arrays(KafkaDataset.from_state(states[4])), whole[2 * 5 :])
    assert not arrays(KafkaDataset.from_state(states[-1]))


def steps_in_fit(dataset: tf.data.Dataset, epochs: int) -> int:
    """What the optimizer has counted after these epochs."""
    model = keras.Sequential([keras.layers.Input([3]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        # Keras does not know the length where tfkafka does not.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        model.fit(dataset, epochs=epochs, verbose=0, shuffle=False)
    return int(model.optimizer.iterations)


def test_the_optimizer_counts_each_step_once_where_the_length_is_known(servers, rows):
    """939 records in batches of 64 are 15 steps. TensorFlow counts the search for a 16th too."""
    dataset = decoded(servers, rows)
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    with pytest.raises(TypeError):
        len(dataset)
    arrays(dataset)
    assert len(dataset) == 15
    assert steps_in_fit(dataset, 2) == 30
    manifest = dataset.manifest()
    assert manifest["counts"]["used"] == 939
    again = KafkaDataset.from_manifest(manifest)
    assert len(again) == 15 and steps_in_fit(again, 3) == 45
    # Keras has not asked for the end of these, which is known all the same.
    assert again.manifest()["counts"] == manifest["counts"]
    built = KafkaDataset.from_manifest({**manifest, "batch_size": None}).shuffle(100).batch(50)
    assert len(built) == 19 and steps_in_fit(built, 2) == 38
    dataset.refresh()
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert dataset.manifest()["counts"] is None


def test_offsets_without_a_record_are_not_counted(servers, topic):
    transaction(servers, topic, ["1"] * 70, "commit")
    transaction(servers, topic, ["1"] * 10, "abort")
    dataset = KafkaDataset(topic, servers=servers, batch_size=10)
    assert sum(map(len, dataset.ranges)) == 82
    arrays(dataset)
    assert len(dataset) == len(KafkaDataset.from_manifest(dataset.manifest())) == 7


def test_the_rest_of_an_iteration_has_a_length_where_all_records_are_used(servers, topic):
    numbers(servers, topic, 100)
    dataset = KafkaDataset(topic, servers=servers, batch_size=10)
    arrays(dataset)
    rest = KafkaDataset.from_state(dataset.state(25))
    assert len(rest) == len(list(rest)) == 8


@fillers.both
def test_what_was_aborted_is_no_part_of_a_manifest(servers, topic):
    transaction(servers, topic, ["1", "2"], "commit")
    transaction(servers, topic, ["3"], "abort")
    transaction(servers, topic, ["4"], "commit")
    committed = KafkaDataset(topic, servers=servers)
    everything = KafkaDataset(
        topic, servers=servers, configuration={"isolation.level": "read_uncommitted"}
    )
    assert ints(KafkaDataset.from_manifest(committed.manifest())) == [1, 2, 4]
    assert ints(KafkaDataset.from_manifest(everything.manifest())) == [1, 2, 3, 4]


class Lengths:
    """A decoder that is none of this library's."""

    element_spec = (ArraySpec((), np.dtype(np.int64)),)

    def decode(self, chunk: Chunk) -> Decoded:
        lengths = np.array([len(value) for value in chunk.values.entries], np.int64)
        return Decoded((lengths,), np.arange(len(chunk)))


def test_a_decoder_of_ones_own_must_be_given(servers, topic):
    numbers(servers, topic, 12)
    dataset = KafkaDataset(topic, servers=servers, decode=Lengths())
    manifest = dataset.manifest()
    with pytest.raises(ManifestError, match=r"decoded by .*Lengths: give that decoder as decode="):
        KafkaDataset.from_manifest(manifest)
    with pytest.raises(ManifestError, match=r"decode is .*CsvDecoder.*were decoded by .*Lengths"):
        KafkaDataset.from_manifest(manifest, decode=CsvDecoder(1))
    assert [*KafkaDataset.from_manifest(manifest, decode=Lengths()).as_numpy_iterator()] == [
        *[1] * 10,
        *[2] * 2,
    ]
    with pytest.raises(ManifestError, match="this is a manifest, not a state"):
        KafkaDataset.from_state(manifest, decode=Lengths())
