"""Exactly-once inference on a real broker, when nothing is killed; tests/faults does that."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from reproduction.metrics import evaluate
from tests import fillers
from tests.integration.tfkafka.records import (
    read_messages,
    settled_messages,
    settled_predictions,
    transaction,
)
from tests.scraping import scrape
from tfkafka import config, write
from tfkafka.decoding.csv import CsvDecoder
from tfkafka.errors import BadRecordError, OffsetError, PredictionsError, TopicError
from tfkafka.exactly_once import (
    ExactlyOnceInference,
    ExportedModels,
    InferenceJob,
    keras_predict,
    read_predictions,
)
from tfkafka.testing import wait_for

ROWS = [f"{number / 100},1" for number in range(100)]
KEYS = [f"{number % 2}" for number in range(100)]
DECODER = CsvDecoder(2)
BOTH = (0, 1)


def first_column(rows: np.ndarray) -> np.ndarray:
    return rows[:, 0]


@pytest.fixture
def place(kafka, make_topic, group):
    """(servers, input with 2 partitions, predictions, group), 100 records, 50 a partition."""
    source, target = make_topic(2), make_topic(2)
    for partition in range(2):
        some = slice(partition, None, 2)
        write(kafka.bootstrap_servers, source, ROWS[some], KEYS[some], partition=partition)
    return kafka.bootstrap_servers, source, target, group


def worker(place, predict=first_column, **options) -> ExactlyOnceInference:
    servers, source, target, group = place
    of_job = {
        name: options.pop(name)
        for name in ("on_bad_record", "dead_letter_topic", "model_id")
        if name in options
    }
    job = InferenceJob(predict, DECODER, [source], target, group, **of_job)
    return ExactlyOnceInference(job, servers, **{"transaction_records": 30, **options})


@fillers.both
def test_each_record_has_a_prediction_that_says_where_it_is_from(place):
    servers, source, target, group = place
    assert worker(place, model_id="m/1").run().used == 100
    assert worker(place).run().used == 0
    found = settled_messages(servers, target, BOTH)
    origins = set()
    for message in found:
        ((name, origin),) = message.headers()
        topic, *numbers, model = origin.decode().split("/", 3)
        partition, offset = map(int, numbers)
        assert (name, topic, model) == ("tfkafka.source", source, "m/1")
        assert np.float32(message.value()) == np.float32((2 * offset + partition) / 100)
        assert message.key() == KEYS[partition].encode()
        origins.add((partition, offset))
    assert len(found) == len(origins) == 100
    result = evaluate(servers, source, target, group, DECODER)
    assert (result.records, result.accuracy) == (100, 0.51)


@fillers.both
def test_all_that_records_may_be(kafka, make_topic, group, monkeypatch):
    """Two topics, odd keys and bad records, in transactions with a queue that is often full."""
    servers = kafka.bootstrap_servers
    first, second, target = make_topic(2), make_topic(3), make_topic(2)
    defaults = {**config.TRANSACTIONS_DEFAULTS, "queue.buffering.max.messages": 50}
    monkeypatch.setattr(config, "TRANSACTIONS_DEFAULTS", defaults)
    keys, expected = [None, b"", b"\xff", b"k" * 5000], {}
    for topic, partition in [(first, 0), (first, 1), (second, 2)]:
        rows = [f"{number * 1.1},1" if number % 10 else "bad" for number in range(500)]
        write(servers, topic, rows, [keys[n % 4] for n in range(500)], partition=partition)
        for number in range(500):
            if number % 10:
                value = str(np.float32(f"{number * 1.1}"))
                origin = f"{topic}/{partition}/{number}/model"
                expected[origin.encode()] = np.float32(value), keys[number % 4]
    job = InferenceJob(first_column, DECODER, [first, second], target, group, on_bad_record="skip")
    counts = ExactlyOnceInference(job, servers, transaction_records=333).run()
    assert (counts.used, counts.skipped) == (3 * 450, 3 * 50)
    found = settled_messages(servers, target, BOTH)
    assert len(found) == len(expected)
    assert expected == {
        dict(m.headers())["tfkafka.source"]: (np.float32(m.value()), m.key()) for m in found
    }
    read = settled_predictions(servers, target)
    for offsets, values in read.values():
        assert offsets.tolist() == [number for number in range(500) if number % 10]
        assert values.tolist() == [np.float32(f"{n * 1.1}") for n in offsets.tolist()]
    assert {*read} == {(first, 0), (first, 1), (second, 2)}


def test_a_keras_model(place):
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(1)])
    worker(place, keras_predict(model)).run()
    servers, source, target, _ = place
    offsets, values = settled_predictions(servers, target)[source, 0]
    rows = np.array([[number / 100, 1] for number in range(0, 100, 2)], np.float32)
    assert offsets.tolist() == [*range(50)]
    assert values == pytest.approx(model.predict(rows, verbose=0)[:, 0], abs=1e-6)


def test_models_are_exchanged_between_two_transactions(place, tmp_path):
    """Each export is made while an earlier transaction is committed."""
    import tensorflow as tf

    servers, source, target, group = place
    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(1)])

    def export(number: int) -> None:
        model.set_weights([np.zeros((2, 1)), np.full(1, number)])
        model.save(tmp_path / f".model-{number}.keras")
        (tmp_path / f".model-{number}.keras").rename(tmp_path / f"model-{number}.keras")

    export(1)
    job = InferenceJob(ExportedModels(tmp_path), DECODER, [source], target, group)

    def export_the_next(_counts) -> None:
        nonlocal number
        number += 1
        export(number)
        exchanges.append(scrape(worker.metrics_port)["model_exchanges_total"])

    number, exchanges = 1, []
    worker = ExactlyOnceInference(
        job, servers, transaction_records=10, on_commit=export_the_next, metrics_port=0
    )
    assert worker.run().used == 100
    found = []
    for message in settled_messages(servers, target, BOTH):
        name = dict(message.headers())["tfkafka.source"].decode().split("/", 3)[3]
        assert name == f"model-{float(message.value()):.0f}"
        found.append((message.partition(), message.offset(), name))
    assert len(found) == 100
    names = {name for _, _, name in found}
    used = sorted(int(name.removeprefix("model-")) for name in names)
    # Two transactions are under way at a time; a model may be passed over.
    assert used[0] == 1 and used[-1] >= number - 2
    assert exchanges[-1] == len(names) - 1
    # Within a partition, offsets without a gap are those of one transaction.
    for (partition, offset, name), (other, next_offset, next_name) in pairwise(sorted(found)):
        if (partition, offset + 1) == (other, next_offset):
            assert name == next_name


@pytest.mark.parametrize(
    ("partition", "what"), [("0", "have several predictions"), ("7", "without being read")]
)
def test_evaluation_refuses_predictions_too_many(place, partition, what):
    servers, source, target, group = place
    worker(place).run()
    message = settled_messages(servers, target, BOTH)[0]
    topic, _, *rest = dict(message.headers())["tfkafka.source"].decode().split("/", 2)
    headers = {"tfkafka.source": "/".join([topic, partition, *rest])}
    copy = Producer({"bootstrap.servers": servers})
    copy.produce(target, message.value(), message.key(), headers=headers)
    copy.flush(10)
    where = f"topic {source}, partition {partition}, offset"
    with pytest.raises(PredictionsError, match=f"{target}: 1 records .*{what}: {where}"):
        evaluate(servers, source, target, group, DECODER)


def test_evaluation_refuses_a_record_without_prediction(place):
    servers, source, target, group = place
    worker(place).run()
    write(servers, source, ROWS[:1], KEYS[:1], partition=0)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(source, 0, 51)], asynchronous=False)
    consumer.close()
    missing = f"1 records have no prediction: topic {source}, partition 0, offset 50"
    with pytest.raises(PredictionsError, match=missing):
        evaluate(servers, source, target, group, DECODER)


def test_evaluation_refuses_a_prediction_that_is_not_finite(place):
    servers, source, target, group = place
    worker(place).run()
    write(servers, source, ROWS[:1], KEYS[:1], partition=0)
    headers = {"tfkafka.source": f"{source}/0/50/model"}
    other = Producer({"bootstrap.servers": servers})
    other.produce(target, "nan", headers=headers)
    other.flush(10)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(source, 0, 51)], asynchronous=False)
    consumer.close()
    named = f"1 records have a prediction that is not finite: topic {source}, partition 0, offset 5"
    with pytest.raises(PredictionsError, match=named):
        evaluate(servers, source, target, group, DECODER)


@pytest.mark.parametrize(
    ("value", "predict", "error"),
    [
        ("nan,1", first_column, BadRecordError),
        ("0.5,1", lambda rows: np.where(rows[:, 0] == 0.5, np.nan, 0.5), PredictionsError),
    ],
)
def test_nothing_that_is_not_finite_is_committed(place, value, predict, error):
    servers, source, target, _ = place
    write(servers, source, [value], ["1"], partition=1)
    with pytest.raises(error, match=f"topic {source}, partition .*, offset .*not finite"):
        worker(place, predict, transaction_records=200).run()
    assert read_messages(servers, target, BOTH, "read_uncommitted") == []


@fillers.both
def test_a_bad_record_fails_by_name(place):
    servers, source, target, _ = place
    write(servers, source, ["1,2,3"], ["1"], partition=1)
    with pytest.raises(
        BadRecordError, match=f"topic {source}, partition 1, offset 50: has 3 columns"
    ):
        worker(place).run()
    offsets = read_predictions(servers, target).get((source, 1), (np.zeros(0),))[0]
    assert 50 not in offsets


def test_bad_records_are_skipped_and_counted(place, caplog):
    servers, source, target, group = place
    write(servers, source, ["1,2,3", None], ["1", "1"], partition=1)
    counts = worker(place, on_bad_record="skip").run()
    assert (counts.read, counts.used, counts.skipped) == (102, 100, 2)
    assert counts.reasons == {"has 3 columns instead of 2": 1, "is null": 1}
    [line] = caplog.messages
    assert f"group {group}, worker 1: 2 of 102 records could not be decoded and were skipp" in line
    assert evaluate(servers, source, target, group, DECODER).records == 100


def test_bad_records_go_to_the_dead_letter_topic_in_the_transaction(place, make_topic):
    servers, source, target, group = place
    dead_letter_topic = make_topic()
    write(servers, source, ["1,2,3"], ["k"], partition=1)
    tries = []

    def fails_once(rows: np.ndarray) -> np.ndarray:
        tries.append(len(rows))
        if len(tries) == 1:
            raise RuntimeError("model out of order")
        return rows[:, 0]

    options = {"on_bad_record": "dead_letter", "dead_letter_topic": dead_letter_topic}
    with pytest.raises(RuntimeError, match="out of order"):
        worker(place, fails_once, **options, transaction_records=200).run()
    assert read_messages(servers, dead_letter_topic, [0], "read_uncommitted") == []
    counts = worker(place, fails_once, **options, transaction_records=200).run()
    assert (counts.read, counts.used, counts.dead_lettered) == (101, 100, 1)
    (message,) = settled_messages(servers, dead_letter_topic, [0])
    headers = dict(message.headers())
    assert (message.value(), message.key()) == (b"1,2,3", b"k")
    assert headers["tfkafka.offset"] == b"50" and b"3 columns" in headers["tfkafka.reason"]
    assert evaluate(servers, source, target, group, DECODER).records == 100


@fillers.both
def test_aborted_inputs_have_no_prediction(place):
    servers, source, target, group = place
    transaction(servers, source, ["5,5", "6,6"], "abort")
    transaction(servers, source, ["0.25,1"], "commit")
    assert worker(place).run().used == 101
    assert evaluate(servers, source, target, group, DECODER).records == 100


@fillers.both
def test_records_deleted_before_they_were_read_are_an_error(place):
    servers, source, *_ = place
    worker(place).run()
    write(servers, source, ROWS, KEYS, partition=0)
    first_kept = TopicPartition(source, 0, 120)
    client = AdminClient({"bootstrap.servers": servers})
    (deleted,) = client.delete_records([first_kept]).values()
    deleted.result(10)
    with pytest.raises(OffsetError, match=f"topic {source}, partition 0"):
        worker(place).run()


def test_a_model_of_another_shape(place):
    with pytest.raises(ValueError, match=r"the model returned \(30, 2\) for 30 records"):
        worker(place, lambda rows: rows).run()


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_topic(place, missing):
    names = list(place)
    names[missing] = "no-such-topic"
    with pytest.raises(TopicError, match="there is no topic no-such-topic"):
        worker(tuple(names)).run()


@fillers.both
def test_late_records_and_the_end_after_silence(place):
    """A transaction that is not full is committed after its time; silence ends the stream."""
    servers, source, target, _ = place
    committed = []
    running = worker(
        place,
        stream_timeout=4_000,
        transaction_wait=50,
        on_commit=lambda counts: committed.append(counts.read),
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_for(lambda: committed and committed[-1] == 100, "the first records")
    write(servers, source, ["0.5,1"], ["1"], partition=0)
    thread.join(60)
    assert not thread.is_alive() and committed[-1] == 101
    assert settled_predictions(servers, target)[source, 0][0].tolist() == [*range(51)]


def test_stop_ends_a_stream_that_never_ends(place):
    committed = []
    running = worker(
        place, stream_timeout=-1, on_commit=lambda counts: committed.append(counts.read)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_for(lambda: committed and committed[-1] == 100, "all records")
    running.stop()
    thread.join(60)
    assert not thread.is_alive()
