"""Maps of single records done batch by batch: the same records, errors and commits as without."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfkafka.tfio as tfio
from tests import determinism, isolated
from tests.integration.tutorial.steps import decode, decode_item
from tests.tutorial import BATCH_SIZE, GROUP_CONFIGURATION, ONLINE_BATCH_SIZE
from tests.unit.tfio.comparing import delivered, is_lifted
from tfkafka import write
from tfkafka.tfio.lifting import VARIABLE

COLUMNS = 18
RECORDS = 300
# Of the tutorial in small.
ROWS = 1_500
BAD = (10, 100)
# Reading and batching takes a second; a hang would take forever.
ENDS_WITHIN_S = 120.0
streaming = tfio.experimental.streaming


def fill(servers: str, topic: str, count: int = RECORDS, bad: tuple[int, ...] = ()) -> None:
    """Rows like SUSY's, whose labels can be learned; the messages `bad` are no numbers."""
    rows = np.random.default_rng(5).standard_normal((count, COLUMNS))
    values = [",".join(map(repr, row)) for row in rows.tolist()]
    for index in bad:
        values[index] = f"bad {index}" + "," * (COLUMNS - 1)
    write(servers, topic, values, [repr(float(row[0] > 0)) for row in rows])


def group_dataset(servers: str, topic: str, group: str, stream_timeout: int = 1000):
    return streaming.KafkaGroupIODataset(
        [topic],
        group,
        servers,
        stream_timeout=stream_timeout,
        message_poll_timeout=1000,
        configuration=GROUP_CONFIGURATION,
    )


def partition(servers, topic, _group):
    return tfio.IODataset.from_kafka(topic, servers=servers).map(decode_item)


def stream(servers, topic, _group):
    return tfio.IODataset.stream().from_kafka(topic, servers=servers).map(decode_item)


def subscription(servers, topic, _group):
    dataset = tfio.kafka.KafkaDataset(topic, servers, eof=True, message_key=True)
    return dataset.map(decode)


def by_group(servers, topic, group):
    return group_dataset(servers, topic, group).map(decode)


def mini_dataset(servers, topic, group):
    online = streaming.KafkaBatchIODataset(
        [topic],
        group,
        servers,
        stream_timeout=1000,
        message_poll_timeout=1000,
        configuration=GROUP_CONFIGURATION,
    )
    return next(iter(online)).map(decode)


def both_ways(monkeypatch: pytest.MonkeyPatch, observed: Callable[[str], Any]) -> Any:
    """What is observed, lifted or not, which has to be the same."""
    found = {}
    for value in ("1", "0"):
        monkeypatch.setenv(VARIABLE, value)
        found[value] = observed(value)
    assert found["1"] == found["0"]
    return found["1"]


@pytest.mark.parametrize("deterministic", [False, True], ids=["", "deterministic"])
@pytest.mark.parametrize("bad", [(), BAD], ids=["good", "bad"])
@pytest.mark.parametrize("source", [partition, stream, subscription, by_group, mini_dataset])
def test_each_source_delivers_the_same(
    servers, topic, group, source, bad, deterministic, monkeypatch
):
    fill(servers, topic, bad=bad)
    determinism.enable(deterministic)

    def observed(value: str) -> list[Any]:
        batches = source(servers, topic, f"{group}-{value}").batch(BATCH_SIZE)
        assert is_lifted(batches) == (value == "1" and not deterministic)
        return delivered(batches)

    found = both_ways(monkeypatch, observed)
    assert sum(type(each) is tuple for each in found) == len(bad)
    # A mini dataset does not come from Python: TensorFlow does map and batch in one step anyway.
    begins_again = bad and deterministic and source is not mini_dataset
    assert len(found) == (7 if begins_again else 5)


@pytest.mark.parametrize("bad", [(), BAD], ids=["good", "bad"])
def test_groups_commit_the_same(servers, topic, group, admin, bad, monkeypatch):
    fill(servers, topic, 10_000, bad)

    def read(value: str, batches: int | None) -> int | None:
        name = f"{group}-{value}-{batches}"
        dataset = group_dataset(servers, topic, name).map(decode).batch(BATCH_SIZE)
        try:
            for number, _ in enumerate(dataset):
                if number == batches:
                    break
        except tf.errors.InvalidArgumentError:
            assert bad
        del dataset
        (row,) = admin.describe_group(name)
        return row.committed

    assert both_ways(monkeypatch, lambda value: read(value, 2)) == 0
    whole = both_ways(monkeypatch, lambda value: read(value, None))
    assert whole == (0 if bad else 10_000)


def test_bad_records_that_are_ignored_cost_no_other(servers, topic, monkeypatch):
    fill(servers, topic, bad=BAD)

    def observed(_value: str) -> list[int]:
        records = tfio.IODataset.from_kafka(topic, servers=servers).map(decode_item)
        return [len(label) for _, label in records.ignore_errors().batch(BATCH_SIZE)]

    assert both_ways(monkeypatch, observed) == [64, 64, 64, 64, 42]


def test_a_stream_without_an_end_ends_where_no_more_is_wanted(servers, topic, group):
    """Not compared: TensorFlow's own step of map and batch reads ahead, and may wait here."""
    fill(servers, topic, 4 * BATCH_SIZE)
    ends = isolated.run(take_all_there_is, servers, topic, group, deadline_s=ENDS_WITHIN_S)
    assert ends == [4, 2]


def take_all_there_is(servers: str, topic: str, group: str) -> list[int]:
    """Batches of `take`, of as many as there are, and of a loop that breaks."""

    def batches(name: str) -> tf.data.Dataset:
        dataset = group_dataset(servers, topic, f"{group}-{name}", stream_timeout=-1)
        # A parallel map of batches would read ahead.
        lifted = dataset.map(decode, num_parallel_calls=2).batch(BATCH_SIZE)
        assert is_lifted(lifted)
        return lifted

    taken = len(list(batches("taken").take(4)))
    for number, _ in enumerate(batches("broken"), 1):
        if number == 2:
            break
    return [taken, number]


def test_the_tutorials_accuracies_are_equal_to_the_last_digit(servers, topic, group):
    fill(servers, topic, ROWS)
    lifted, plain = (
        isolated.run(tutorial, servers, topic, f"{group}-{value}", value) for value in ("1", "0")
    )
    assert lifted == plain
    accuracies, evaluated, _, predicted = lifted
    assert accuracies[-1] > 0.6 and evaluated["accuracy"] > 0.6 and len(predicted) == ROWS


def tutorial(servers: str, topic: str, group: str, value: str) -> tuple[Any, ...]:
    """Train, evaluate, train online and predict, as the tutorial does."""
    from reproduction.susy.model import build_model

    os.environ[VARIABLE] = value
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(1)
    records = tfio.IODataset.from_kafka(topic, partition=0, offset=0, servers=servers)
    batches = records.shuffle(buffer_size=BATCH_SIZE).map(decode_item).batch(BATCH_SIZE)
    assert is_lifted(batches) == (value == "1")
    model = build_model()
    accuracies = model.fit(batches, epochs=3, verbose=0).history["accuracy"]
    tested = group_dataset(servers, topic, f"{group}-evaluate").map(decode).batch(BATCH_SIZE)
    evaluated = model.evaluate(tested, verbose=0, return_dict=True)
    online = streaming.KafkaBatchIODataset(
        [topic],
        f"{group}-online",
        servers,
        stream_timeout=1000,
        message_poll_timeout=1000,
        configuration=[*GROUP_CONFIGURATION, "batch.num.messages=1000"],
    )
    histories = [
        model.fit(mini.shuffle(32).map(decode).batch(ONLINE_BATCH_SIZE), verbose=0).history
        for mini in online
    ]
    tested = group_dataset(servers, topic, f"{group}-predict").map(decode).batch(BATCH_SIZE)
    return accuracies, evaluated, histories, model.predict(tested, verbose=0).ravel().tolist()
