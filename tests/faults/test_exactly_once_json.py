"""JSON in, JSON out, with a model of three classes, whose worker is killed again and again."""

from __future__ import annotations

import random
import signal

import numpy as np
import pytest

from tests.faults.harness import PARTITIONS, Stage
from tests.faults.json_rows import features_of, values_of
from tests.isolated import run
from tfkafka import write


def what_was_predicted(stage: Stage) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float]]:
    """Labels, predictions, what the model itself predicts, and what a metric says of it."""
    import keras

    from tests.faults.json_job import DECODE, ENCODER, make_model
    from tfkafka.exactly_once import checked_predictions, evaluate_predictions

    of_stage = (stage.servers, stage.topic, stage.predictions, stage.group, DECODE)
    labels, predictions = checked_predictions(*of_stage, encoder=ENCODER)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    results = evaluate_predictions(*of_stage, encoder=ENCODER, metrics=[accuracy])
    expected = make_model().predict(features_of(numbers_of(stage)), verbose=0)
    return labels, predictions, expected, results


def numbers_of(stage: Stage) -> np.ndarray:
    """The numbers of the records, in the order of partitions and offsets."""
    every = [np.arange(each, stage.records, PARTITIONS) for each in range(PARTITIONS)]
    return np.concatenate(every)


@pytest.mark.timeout(1800)
def test_json_in_and_json_out_killed_again_and_again(
    kafka, make_topic, group, tmp_path, spawn, times, note_fault
):
    kills = times(2, 10)
    topics = make_topic(PARTITIONS), make_topic(PARTITIONS)
    stage = Stage(kafka.bootstrap_servers, *topics, group, 3_000, tmp_path)
    for partition in range(PARTITIONS):
        numbers = np.arange(partition, stage.records, PARTITIONS)
        write(stage.servers, stage.topic, values_of(numbers), partition=partition)
    chosen = random.Random(1)
    for _ in range(kills):
        point = chosen.choice(["begin", "produced", "offsets", "committed"]), chosen.randint(1, 2)
        worker = spawn(stage, json=True, records=100, stream_timeout=-1, kill=point)
        assert worker.end() == -signal.SIGKILL, worker.errors()
    last = spawn(stage, json=True)
    last.finish()
    labels, predictions, expected, results = run(what_was_predicted, stage)
    assert last.records > 0
    assert np.array_equal(labels, numbers_of(stage) % 3)
    assert predictions.shape == (stage.records, 3) and predictions.dtype == np.float32
    assert np.allclose(predictions, expected, rtol=0, atol=1e-6)
    assert results == {"accuracy": pytest.approx((expected.argmax(axis=1) == labels).mean())}
    proof = f"{stage.rejected():,} aborted predictions in the log; each is that of the model"
    note_fault("inference from JSON to JSON: worker killed -9", kills, proof, "each once")
