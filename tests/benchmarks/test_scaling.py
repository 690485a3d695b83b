"""How time and memory grow; `make bench-full` runs it. A new process for each size."""

import pytest

from tests.benchmarks.catalogue import MEMORY
from tests.benchmarks.storing import Point
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.scaling

RECORDS = 600_000
ROUNDS = 3
# So many MB for each size of a value.
MEGABYTES = 100


def test_records(scale, long_topic):
    topics = [long_topic.first(records) for records in (60_000, 600_000, 5_000_000)]
    points = [decoding(topic.records, topic) for topic in topics]
    scale("records", "decode", "Read and decode, by number of records", points, ROUNDS)


def test_partitions(scale, make_filled):
    points = []
    for partitions in (1, 2, 4):
        topic = make_filled(RECORDS, partitions=partitions)
        share = {"records": RECORDS // partitions, "partitions": partitions}
        points.append(decoding(partitions, topic, **share))
    scale("partitions", "decode", "Read and decode 600,000 records, by partitions", points, ROUNDS)


def test_batch_size(scale, make_filled):
    topic = make_filled(RECORDS)
    points = [decoding(size, topic, batch_size=size) for size in (32, 64, 256, 1024, 4096)]
    scale("batch", "decode", "Read and decode 600,000 records, by batch size", points, ROUNDS)


def test_value_bytes(scale, make_filled):
    points = []
    for size in (100, 300, 1000, 3000, 10_000):
        topic = make_filled(MEGABYTES * 1_000_000 // size, value_bytes=size)
        side = Side(f"{size}", "subject", "reading:tfkafka_raw", topic.place, fresh=True)
        points.append(Point(size, topic.records, topic.size, side))
    title = "Read 100 MB, not decoded, by bytes of a value"
    scale("value-bytes", "read", title, points, ROUNDS)


def test_steps_per_execution(scale, train_topic):
    points = []
    for steps in (1, 2, 8, 32, 128):
        arguments = {**train_topic.place, "steps_per_execution": steps}
        side = Side(f"{steps}", "subject", "training:tfkafka", arguments, fresh=True)
        points.append(Point(steps, train_topic.records, train_topic.size, side))
    title = "Train an epoch on 60,000 records, by steps_per_execution"
    scale("steps_per_execution", "train", title, points, ROUNDS)


def test_training_many(compare, long_topic, messages):
    """The quick way on 1,000,000 records, against the same rows from memory over and over."""
    many = long_topic.first(1_000_000)
    options = {"steps_per_execution": 32}
    memory = {"features": messages.features, "labels": messages.labels, "records": many.records}
    sides = [
        Side("tfkafka", "subject", "training:tfkafka", {**many.place, **options}),
        Side(MEMORY, "ceiling", "training:memory", {**memory, **options}),
    ]
    title = "Train an epoch on 1,000,000 records, steps_per_execution=32"
    compare("train-32-many", "train", title, many, sides, ROUNDS)


def decoding(x: int, topic: Topic, **arguments) -> Point:
    side = Side(
        f"{x}", "subject", "reading:tfkafka_decoded", {**topic.place, **arguments}, fresh=True
    )
    return Point(x, topic.records, topic.size, side)
