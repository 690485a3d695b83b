"""Memory and CPU as the topic grows, each size in a new process in each round."""

import pytest

from tests.benchmarks.bounds import Floors
from tests.benchmarks.storing import Point
from tests.benchmarks.worker import Side

pytestmark = pytest.mark.bench

SIZES = [60_000, 100_000, 1_000_000, 5_000_000]
# A round takes 30 s, and one tells enough: memory and CPU are little disturbed by others.
ROUNDS = 1


def test_memory_and_cpu_do_not_grow_with_the_topic(scale, long_topic):
    points = [point(long_topic.first(records)) for records in SIZES]
    small, base, middle, large = points

    def limits(found):
        floors, known = Floors(), found.is_undisturbed
        growth = [
            each[large.side.label].peak_mib - each[base.side.label].peak_mib
            for each in found.rounds
        ]
        peak = [each[large.side.label].peak_mib for each in found.rounds]
        what = "growth from 100,000 to 5,000,000 records"
        return [
            floors.limit("memory", what, "MiB", growth, known),
            floors.limit("memory", "peak at 5,000,000 records", "MiB", peak, known),
            *(
                floors.limit(
                    "memory",
                    f"CPU a record, 5,000,000 against {point.records:,}",
                    "x",
                    [
                        cpu_per_record(each, large) / cpu_per_record(each, point)
                        for each in found.rounds
                    ],
                    known,
                )
                for point in (small, middle)
            ),
        ]

    title = "Read and decode: time and memory as records grow"
    scale("records", "memory", title, points, ROUNDS, limits)


def point(topic) -> Point:
    side = Side(
        f"{topic.records:,} records", "subject", "reading:tfkafka_decoded", topic.place, fresh=True
    )
    return Point(topic.records, topic.records, topic.size, side)


def cpu_per_record(samples, of: Point) -> float:
    return samples[of.side.label].cpu_s / of.records
