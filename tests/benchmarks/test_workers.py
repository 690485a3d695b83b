"""Workers of one group whose model waits: do they add up, how long does a join hold them up."""

import pytest

from tests.benchmarks.bounds import Floors
from tests.benchmarks.sides.writing import fill
from tests.benchmarks.topics import Topic
from tests.benchmarks.turns import ROUNDS, Comparison
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.scaling

RECORDS = 60_000
PARTITIONS = 8


@pytest.fixture
def place(kafka, make_topic, group) -> dict[str, str]:
    """Where the workers read and write."""
    source, predictions = make_topic(PARTITIONS), make_topic(PARTITIONS)
    fill(kafka.bootstrap_servers, source, [b"0.5,1"], [b"1"], RECORDS, PARTITIONS)
    where = {"servers": kafka.bootstrap_servers, "topic": source}
    return {**where, "predictions": predictions, "group": group}


@pytest.fixture
def topic(place) -> Topic:
    return Topic(place["servers"], place["topic"], RECORDS, RECORDS * len(b"0.5,11"))


def test_workers_add_up(compare, place, topic):
    sides = [
        Side(
            f"{count} workers" if count > 1 else "1 worker",
            "subject" if count > 1 else "alternative",
            "workers:together",
            {**place, "records": RECORDS, "workers": count},
        )
        for count in (1, 2, 4)
    ]
    title = "Workers of a group, a model that waits 50 ms for each batch of 20"
    compare("workers", "predict", title, topic, sides, ROUNDS)


def test_a_worker_joins(time_apart, place, topic):
    side = Side("the first worker", "subject", "workers:joining", place)

    def limits(found: Comparison):
        stalls = [each[side.label].wall_s for each in found.rounds]
        what = "stall of a worker while a second one joins"
        return [Floors().limit("workers", what, "s", stalls, found.is_undisturbed)]

    time_apart("stall", "A second worker joins", topic, [side], ROUNDS, limits)


def test_latency(time_apart, place, topic):
    side = Side("an exactly-once worker", "subject", "workers:latency", place)

    def limits(found: Comparison):
        last = [each[side.label].apart["99th percentile"] for each in found.rounds]
        what = "99th percentile from append to committed prediction"
        return [Floors().limit("workers", what, "s", last, found.is_undisturbed)]

    title = "From append to committed prediction, 1,000 records/s, transactions of 100 ms"
    time_apart("latency, median", title, topic, [side], ROUNDS, limits)
