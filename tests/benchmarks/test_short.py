"""Throughput of each step of the tutorial in a minute, held to loose floors; see test_*.py beside
this for the whole measuring, which `make bench` runs.

Both sides of a ratio work on the same records in turns, so that a slow machine slows both.
"""

import pytest

from reproduction.report.benchmarks import BELOW
from tests.benchmarks.bounds import Floors, complaint
from tests.benchmarks.sides.writing import fill
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import take_turns
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE, Messages

RECORDS = 10_000
ROUNDS = 3
# TensorFlow takes seconds to import: once for both sides.
SHARED = "shared"
# How many times as long as it reads the slowed reader sleeps.
SLOWNESS = 30.0


@pytest.fixture(scope="module")
def few(messages) -> Messages:
    return Messages(messages.frame[:RECORDS])


@pytest.fixture(scope="module")
def short_topic(kafka, admin, topic_prefix, few) -> Topic:
    name = f"{topic_prefix}bench-short"
    admin.create_topic(name)
    size = fill(kafka.bootstrap_servers, name, few.values, few.keys, RECORDS, 1)
    yield Topic(kafka.bootstrap_servers, name, RECORDS, size)
    admin.delete_topic(name)


@pytest.fixture
def short(compare, short_topic):
    """Hold sides to the loose tables of floors.toml."""

    def run(step: str, title: str, sides: list[Side]) -> None:
        counted = short_topic.within(BATCH_SIZE) if step == "evaluate" else short_topic
        compare(f"short-{step}", step, title, counted, sides, ROUNDS)

    return run


def test_writing(short, few, short_topic):
    where = {**short_topic.where, "values": few.values, "keys": few.keys}
    sides = [
        Side("tfkafka", "subject", "writing:tfkafka", where),
        Side("kafka-python", "subject", "writing:kafka_python", where),
        Side("bare produce loop", "ceiling", "writing:bare_loop", where),
    ]
    short("write", "Write 10,000 records", sides)


def test_reading(short, short_topic):
    sides = [
        Side("tfkafka", "subject", "reading:tfkafka_decoded", short_topic.place),
        Side("bare consume loop", "ceiling", "reading:bare_loop", short_topic.place),
    ]
    short("decode", "Read and decode 10,000 records", sides)


def test_training_epoch(short, few, short_topic):
    rows = {"features": few.features, "labels": few.labels}
    sides = [
        Side("tfkafka", "subject", "training:tfkafka", short_topic.place, SHARED),
        Side("memory", "ceiling", "training:memory", rows, SHARED),
    ]
    short("train", "Train an epoch on 10,000 records", sides)


def test_evaluation(short, few, short_topic, group):
    stream = {"use": "evaluate", "group": group, **short_topic.place}
    rows = {"use": "evaluate", "features": few.features, "labels": few.labels}
    sides = [
        Side("tfkafka", "subject", "groups:tfkafka", stream, SHARED),
        Side("memory", "ceiling", "groups:memory", rows, SHARED),
    ]
    short("evaluate", "Evaluate 10,000 records by group", sides)


def test_a_slowed_reader_is_caught(short_topic):
    """The floor of reading is no decoration: the reader itself, slowed on purpose, is below it."""
    slowed = {**short_topic.place, "slowness": SLOWNESS}
    sides = [
        Side("tfkafka", "subject", "reading:tfkafka_decoded", slowed),
        Side("bare consume loop", "ceiling", "reading:bare_loop", short_topic.place),
    ]
    found = take_turns("decode", "A slowed reader", RECORDS, 0, sides, ROUNDS)
    rounds = found.ratios("tfkafka", "bare consume loop")
    ratio = Floors().ratio("short-decode", "tfkafka", "bare consume loop", rounds, True)
    assert ratio.verdict == BELOW and "below the floor" in complaint(ratio), ratio
