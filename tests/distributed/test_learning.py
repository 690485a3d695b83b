"""Processes that learn together end with the weights of one that learns alone."""

from __future__ import annotations

from tests.distributed import harness


def test_two_processes_learn_as_one(small):
    options, records = small
    alone = harness.learn(options.but(folder=options.folder + "/1"), 1)
    both = harness.learn(options.but(folder=options.folder + "/2"), 2)
    assert harness.numbers(alone) == harness.numbers(both) == records
    assert harness.difference(alone[0], both[0]) <= 1e-6
