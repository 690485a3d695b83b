"""Errors say in data, too, what they are about."""

import pickle

import pytest

from tests.unit.messages import fill, message
from tfkafka import errors
from tfkafka.chunk import Position, TopicPartition
from tfkafka.decoding.bad_records import BadRecords
from tfkafka.decoding.base import Fault

WHERE = Position("t", 3, 41)


def test_an_error_that_is_about_no_topic_has_none():
    error = errors.CheckpointError("the folder is in use")
    assert (error.topic, error.partition, error.offset) == (None, None, None)


def test_text_and_data_survive_pickling():
    error = pickle.loads(pickle.dumps(errors.OffsetError("gone", **WHERE._asdict())))
    assert str(error) == "gone"
    assert (error.topic, error.partition, error.offset) == WHERE


def test_a_partition_without_an_offset():
    error = errors.ReadError("away", **TopicPartition("t", 3)._asdict())
    assert (error.topic, error.partition, error.offset) == ("t", 3, None)


def test_a_bad_record_is_named():
    chunk = fill(message(offset=offset) for offset in range(5, 9))
    with pytest.raises(errors.BadRecordError) as refusal:
        BadRecords("error").handle(chunk, [Fault(1, "is empty")])
    assert refusal.value.offset == 6
    assert refusal.value.partition == 0


def test_the_tree_names_every_error():
    kinds = [errors.TfkafkaError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = [kind.__name__ for kind in kinds if kind.__module__ == "tfkafka.errors"]
    assert len(ours) > 10
    assert not [name for name in ours if name not in errors.__doc__]
