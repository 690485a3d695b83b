"""The benchmarks' own machinery: rounds that are repeated, verdicts, workers that fail."""

import threading
import time

import pytest

from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN
from tests.benchmarks import summary
from tests.benchmarks.bounds import Floors, MissingFloor, complaint
from tests.benchmarks.meter import Sample
from tests.benchmarks.threads import Sampler
from tests.benchmarks.turns import take_turns, undisturbed
from tests.benchmarks.worker import Side, WorkerFailed
from tfkafka._util.waiting import wait_for

SPUN_S = 0.05
FLOORS = """
["read"."ours"]
"theirs" = { bound = 0.5, goal = 0.8 }
["read"."at most"]
"memory" = 10
"""


@pytest.fixture
def floors(tmp_path) -> Floors:
    path = tmp_path / "floors.toml"
    path.write_text(FLOORS)
    return Floors(path)


def rounds(*stolen: float):
    """A function that does these rounds, of 1 s each."""
    return lambda number: {"ours": Sample(1.0, 1.0, stolen[number], 0.0)}


def test_a_round_that_the_host_disturbed_is_repeated():
    counted, disturbed, enough = undisturbed(3, rounds(0.0, 0.2, 0.05, 0.0))
    assert (len(counted), disturbed, enough) == (3, 1, True)
    assert all(samples["ours"].stolen_s < 0.1 for samples in counted)


def test_too_many_disturbed_rounds_are_told():
    counted, disturbed, enough = undisturbed(3, rounds(0.0, *[0.2] * 9))
    assert (len(counted), disturbed, enough) == (5, 4, False)


def test_a_median_below_its_floor_is_told_by_how_much(floors):
    ratio = floors.ratio("read", "ours", "theirs", [0.1, 0.4, 0.9], True)
    assert ratio.verdict == BELOW
    assert "0.4 x the throughput of theirs: 0.1 below the floor of 0.5" in complaint(ratio)
    assert floors.ratio("read", "ours", "theirs", [0.1, 0.5, 0.9], True).verdict == HOLDS
    limit = floors.limit("read", "memory", "MB", [12.0], True)
    assert limit.verdict == BELOW and "2 above the limit of 10" in complaint(limit)


def test_what_cannot_be_told_does_not_pass(floors):
    ratio = floors.ratio("read", "ours", "theirs", [0.9], False)
    assert ratio.verdict == UNKNOWN and complaint(ratio) is None
    assert summary.exit_status(0, [("Read", ratio)]) == summary.EXIT_UNKNOWN
    assert summary.exit_status(1, [("Read", ratio)]) == 1
    held = floors.ratio("read", "ours", "theirs", [0.9], True)
    assert summary.exit_status(0, [("Read", held)]) == 0
    assert list(summary.lines([("Read", ratio), ("Read", held)])) == [
        "Read",
        "  unknown ours against theirs: 0.9 (at least 0.5, goal 0.8)",
        "  holds   ours against theirs: 0.9 (at least 0.5, goal 0.8)",
        "1 holds, 0 below, 1 unknown",
    ]


def test_a_ratio_without_a_floor_is_refused(floors):
    with pytest.raises(MissingFloor, match=r"no line .others. in"):
        floors.ratio("read", "ours", "others", [1.0], True)


def test_a_side_that_fails_is_named():
    side = Side("ours", "subject", "opening:imports", {"modules": ["no_such_module"]})
    with pytest.raises(WorkerFailed, match="No module named 'no_such_module'") as failed:
        take_turns("start-up", "Import", 1, 1, [side], 1)
    assert str(failed.value).startswith("ours:")


def test_sides_of_one_process_have_one_environment():
    sides = [
        Side(
            label, "subject", "opening:imports", {"modules": []}, "shared", environment=environment
        )
        for label, environment in (("ours", {"TFKAFKA_NATIVE": "1"}), ("theirs", {}))
    ]
    with pytest.raises(AssertionError, match="theirs: another environment"):
        take_turns("start-up", "Import", 1, 1, sides, 1)


def test_cpu_time_of_a_thread_that_ends_is_counted():
    sampler, told = Sampler(), threading.Event()

    def spin() -> None:
        while not told.is_set():
            pass

    thread = threading.Thread(target=spin, name="spinning")
    thread.start()
    try:
        wait_for(lambda: sampler.used()["spinning"] > SPUN_S, "the thread's time", 60)
    finally:
        told.set()
        thread.join()
    assert SPUN_S < sampler.stop()["spinning"] < time.process_time()
