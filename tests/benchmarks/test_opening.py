"""What comes before the first record and after the last one, each measured apart."""

import pytest

from tests.benchmarks.bounds import Floors
from tests.benchmarks.catalogue import TENSORFLOW_IO, TFKAFKA, TUTORIALS
from tests.benchmarks.worker import Side
from tests.tutorial import BATCH_SIZE

pytestmark = pytest.mark.bench

# For what is named and not compared; a new process each time takes long.
ONCE = 1


def test_start_up(observe, filled):
    """A process that imports."""
    sides = [
        fresh("tfkafka", "opening:imports", modules=["tfkafka"]),
        fresh("tfkafka with TensorFlow", "opening:imports", modules=["tfkafka.data.datasets"]),
        fresh(TENSORFLOW_IO, "opening:imports", modules=["tensorflow_io"]),
    ]
    observe("start-up", "Import, in a new process", filled.first(0), sides, ONCE)


def test_first_element(observe, filled, group):
    bounded = Side(TFKAFKA + ", bounded", "subject", "opening:bounded", filled.where)
    grouped = Side(
        TFKAFKA + ", a new group", "subject", "opening:by_group", {**filled.where, "group": group}
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
    observe("first-element", title, filled.first(1), [bounded, grouped], limits=limits)


def test_first_rebalance(observe, filled, group):
    """Both readers, through the same names: a group that is new, to its first element."""
    where = {**filled.where, "group": group}
    sides = [
        fresh(TUTORIALS, "opening:tutorial_by_group", reader="tfkafka.tfio", **where),
        fresh(TENSORFLOW_IO, "opening:tutorial_by_group", reader="tensorflow_io", **where),
    ]
    title = "The first rebalance: a new group, to its first element"
    observe("first rebalance", title, filled.first(1), sides, ONCE)


def test_tracing(observe, filled):
    sides = [fresh(TFKAFKA, "training:tracing", **filled.place)]
    title = "TensorFlow's tracing: the first two training steps of a new model"
    observe("tracing", title, filled.first(2 * BATCH_SIZE), sides, ONCE)


def test_tail(observe, make_filled, group):
    """stream_timeout=10000 after the last record, once for each reader."""
    topic = make_filled(40_000, partitions=2)
    where = {**topic.where, "group": group}
    sides = [
        fresh(TUTORIALS, "groups:tail", reader="tfkafka.tfio", **where),
        fresh(TENSORFLOW_IO, "groups:tail", reader="tensorflow_io", **where),
    ]
    title = "The stream_timeout tail: from the last record to the end of the stream"
    observe("stream_timeout tail", title, topic, sides, ONCE)


def fresh(label: str, prepare: str, **arguments) -> Side:
    return Side(label, "subject", prepare, arguments, fresh=True)
