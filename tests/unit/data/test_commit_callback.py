"""Which elements of an iteration count as used, where it is not the one that Keras began with."""

from __future__ import annotations

import keras
import pytest

from tests.unit.messages import fill, message
from tfkafka import CommitCallback, CsvDecoder, KafkaGroupDataset
from tfkafka.reading.commits import OffsetTracker


@pytest.fixture
def dataset() -> KafkaGroupDataset:
    """It is never read."""
    return KafkaGroupDataset("t", "g", "127.0.0.1:1", decode=CsvDecoder(1), batch_size=10)


def begin(dataset: KafkaGroupDataset, first: int, count: int) -> OffsetTracker:
    """Begin an iteration with these records; what it has acknowledged is in the tracker."""
    membership = dataset._membership
    tracker = OffsetTracker()
    membership.tracker.following = membership.tracker = tracker
    records = fill(message(partition=0, offset=first + n, topic="t") for n in range(count))
    tracker.deliver(records, records)
    return tracker


def test_the_end_of_a_pass_that_is_not_counted_proves_nothing(dataset):
    """The pipeline begins again before the end, and reads ahead to the end then."""
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=4)
    commits = CommitCallback(dataset)
    commits.set_model(model)
    commits.set_params({"steps": 12})
    commits.on_train_begin()
    commits.on_epoch_begin(0)
    first = begin(dataset, 0, 90)
    commits.on_train_batch_end(3)
    commits.on_train_batch_end(7)
    assert first.committable() == {("t", 0): 40}
    second = begin(dataset, 40, 60)
    second.has_ended = True
    commits.on_train_batch_end(11)
    commits.on_epoch_end(0)
    assert second.committable() == {("t", 0): 40}
