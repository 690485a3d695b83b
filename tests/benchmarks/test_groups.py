"""Evaluation, prediction and online training by a consumer group, against memory.

tensorflow-io's group datasets can be used once in a process: each of its rounds is a new one.
"""

import pytest

from tests.benchmarks.catalogue import (
    FEWER_ROUNDS,
    MEMORY,
    TENSORFLOW_IO,
    TFKAFKA,
    record_by_record,
    rows,
    tutorials,
)
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE, MINI_DATASET_ROWS, Messages

pytestmark = pytest.mark.bench

RECORDS = 40_000
TITLES = {
    "evaluate": "Evaluate 40,000 records by group",
    "predict": "Predict 40,000 records by group, batch by batch",
}


@pytest.fixture
def two_classes(make_filled):
    """As the tutorial's susy-test: 40,000 records in two partitions."""
    return make_filled(RECORDS, partitions=2)


@pytest.mark.parametrize("use", TITLES)
def test_inference(compare, two_classes, messages, group, use):
    few = Messages(messages.frame[:RECORDS])
    stream = {"use": use, "group": group, **two_classes.place}
    sides = [
        Side(TFKAFKA, "subject", "groups:tfkafka", stream),
        Side(MEMORY, "ceiling", "groups:memory", {"use": use, **rows(few)}),
        tutorials("groups:tutorial", stream),
        record_by_record("groups:tutorial", stream),
        once_in_a_process("groups:tutorial", stream),
    ]
    compare(use, use, TITLES[use], two_classes.within(BATCH_SIZE), sides)


def test_online_training(compare, train_topic, messages, group):
    stream = {**train_topic.where, "group": group, **rows(messages)}
    sides = [
        Side(TFKAFKA, "subject", "groups:online_tfkafka", stream),
        Side(MEMORY, "ceiling", "groups:online_memory", rows(messages)),
        tutorials("groups:online_tutorial", stream),
        once_in_a_process("groups:online_tutorial", stream),
    ]
    title = "Train on a mini dataset of 10,000 records, three epochs"
    mini = train_topic.first(MINI_DATASET_ROWS)
    compare("online", "online", title, mini, sides, FEWER_ROUNDS)


def once_in_a_process(prepare: str, stream: dict) -> Side:
    arguments = {**stream, "reader": "tensorflow_io"}
    return Side(TENSORFLOW_IO, "alternative", prepare, arguments, fresh=True)
