"""What comes before the first record and after the last one, each measured apart."""

import pytest

from tests.benchmarks.bounds import Floors
from tests.benchmarks.catalogue import TENSORFLOW_IO, TFKAFKA, TUTORIALS
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE

pytestmark = pytest.mark.bench

# For what is named and not compared; a new process each time takes long.
ONCE = 1


def test_start_up(time_apart, train_topic):
    """A process that imports."""
    sides = [
        fresh("tfkafka", "opening:imports", modules=["tfkafka"]),
        fresh("tfkafka with TensorFlow", "opening:imports", modules=["tfkafka.data.datasets"]),
        fresh(TENSORFLOW_IO, "opening:imports", modules=["tensorflow_io"]),
    ]
    time_apart("start-up", "Import, in a new process", train_topic.first(0), sides, ONCE)


def test_first_element(time_apart, train_topic, group):
    bounded = Side(TFKAFKA + ", bounded", "subject", "opening:bounded", train_topic.where)
    grouped = Side(
        TFKAFKA + ", a new group",
        "subject",
        "opening:by_group",
        {**train_topic.where, "group": group},
    )

    def limits(found):
        return [
            Floors().limit(
                "first-element",
                side.label,
                "s",
                [each[side.label].wall_s for each in found.rounds],
                found.is_undisturbed,
            )
            for side in (bounded, grouped)
        ]

    title = "From the begin of an iteration to its first element"
    time_apart("first-element", title, train_topic.first(1), [bounded, grouped], limits=limits)


def test_first_rebalance(time_apart, train_topic, group):
    """Both readers, through the same names: a group that is new, to its first element."""
    where = {**train_topic.where, "group": group}
    sides = [
        fresh(TUTORIALS, "opening:tutorial_by_group", reader="tfkafka.tfio", **where),
        fresh(TENSORFLOW_IO, "opening:tutorial_by_group", reader="tensorflow_io", **where),
    ]
    title = "The first rebalance: a new group, to its first element"
    time_apart("first rebalance", title, train_topic.first(1), sides, ONCE)


def test_tracing(time_apart, train_topic):
    sides = [fresh(TFKAFKA, "training:tracing", **train_topic.place)]
    title = "TensorFlow's tracing: the first two training steps of a new model"
    time_apart("tracing", title, train_topic.first(2 * BATCH_SIZE), sides, ONCE)


def test_tail(time_apart, make_filled, group):
    """stream_timeout=10000 after the last record, once for each reader."""
    topic = make_filled(40_000, partitions=2)
    where = {**topic.where, "group": group}
    sides = [
        fresh(TUTORIALS, "groups:tail", reader="tfkafka.tfio", **where),
        fresh(TENSORFLOW_IO, "groups:tail", reader="tensorflow_io", **where),
    ]
    title = "The stream_timeout tail: from the last record to the end of the stream"
    time_apart("stream_timeout tail", title, topic, sides, ONCE)


def fresh(label: str, prepare: str, **arguments) -> Side:
    return Side(label, "subject", prepare, arguments, fresh=True)
