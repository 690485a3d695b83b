"""Training from Kafka, against the same model on decoded tensors in memory."""

import pytest

from tests.benchmarks.catalogue import (
    FEWER_ROUNDS,
    MEMORY,
    TFKAFKA,
    record_by_record,
    rows,
    tensorflow_io,
    tutorials,
)
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.bench

RECORDS = 600_000


def test_training_step(compare, train_topic, messages):
    sides = [
        Side(TFKAFKA, "subject", "training:tfkafka_step", train_topic.place),
        Side(MEMORY, "ceiling", "training:memory_step", rows(messages)),
        Side("tensors, no pipeline", "ceiling", "training:tensors_step", rows(messages)),
        tutorials("training:tutorial_step", train_topic.place),
        *tensorflow_io("training:tutorial_step", train_topic.place, default=False),
    ]
    title = "200 training steps of 64 records, between the first and the last"
    compare("train-step", "train-step", title, train_topic.first(200 * 64), sides)


@pytest.mark.parametrize("steps_per_execution", [1, 32])
def test_training_epoch(compare, train_topic, messages, steps_per_execution):
    options = {"steps_per_execution": steps_per_execution}
    sides = [
        Side(TFKAFKA, "subject", "training:tfkafka", {**train_topic.place, **options}),
        Side(MEMORY, "ceiling", "training:memory", {**rows(messages), **options}),
    ]
    title = f"Train an epoch on 60,000 records, steps_per_execution={steps_per_execution}"
    compare(f"train-{steps_per_execution}", "train", title, train_topic, sides)


def test_training_epoch_in_large_batches(compare, make_filled, messages):
    """The model takes least here: reading shows most."""
    topic = make_filled(RECORDS)
    options = {"steps_per_execution": 32, "batch_size": 1024}
    memory = {**rows(messages), "records": topic.records}
    sides = [
        Side(TFKAFKA, "subject", "training:tfkafka", {**topic.place, **options}),
        Side(MEMORY, "ceiling", "training:memory", {**memory, **options}),
    ]
    title = "Train an epoch on 600,000 records in batches of 1,024, steps_per_execution=32"
    compare("train-1024", "train", title, topic, sides)


def test_the_tutorials_epoch(compare, train_topic, messages):
    sides = [
        tutorials("training:tutorial", train_topic.place),
        record_by_record("training:tutorial", train_topic.place),
        Side(MEMORY, "ceiling", "training:memory", {**rows(messages), "shuffle": True}),
        *tensorflow_io("training:tutorial", train_topic.place),
    ]
    title = "Train an epoch on 60,000 records, the tutorial's code"
    compare("train-tutorial", "train", title, train_topic, sides, FEWER_ROUNDS)
