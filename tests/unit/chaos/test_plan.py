"""The faults of a chaos run: the same for a seed, and all kinds soon."""

from __future__ import annotations

from itertools import islice

from tests.chaos.plan import FIRST_PARTITIONS, MOST_PARTITIONS, TO_BROKERS, Kind, steps

READERS = ("group", "learner")


def plan(seed: int, count: int):
    return list(islice(steps(seed, READERS), count))


def test_a_seed_has_one_plan():
    assert plan(7, 50) == plan(7, 50)
    assert plan(7, 50) != plan(8, 50)


def test_each_kind_comes_soon_and_at_most_one_broker_is_hit():
    for seed in range(50):
        faults = [step.faults for step in plan(seed, 20)]
        assert {fault.kind for step in faults for fault in step} == set(Kind)
        assert all(sum(fault.kind in TO_BROKERS for fault in step) <= 1 for step in faults)


def test_partitions_are_added_up_to_a_limit():
    added = sum(f.kind == Kind.ADD_PARTITION for step in plan(1, 500) for f in step.faults)
    assert added == MOST_PARTITIONS - FIRST_PARTITIONS


def test_readers_are_hit_where_a_fault_is_of_a_reader():
    hit = {fault.target for step in plan(1, 50) for fault in step.faults if "reader" in fault.kind}
    assert hit == set(READERS)
