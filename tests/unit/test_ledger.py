"""Which records are used, and what may be committed."""

import numpy as np
import pytest

from tests.unit.messages import message
from tfkafka.ledger import Ledger
from tfkafka.records import Chunk


def chunk(*places: tuple[int, int], topic: str = "t") -> Chunk:
    return Chunk([message(partition=p, offset=offset, topic=topic) for p, offset in places])


@pytest.fixture
def ledger() -> Ledger:
    """Partition 0 has offsets 0, 1, 3, 4 (2 is missing), partition 1 has 7, 8; in two chunks."""
    ledger = Ledger()
    for part in (chunk((0, 0), (1, 7), (0, 1)), chunk((0, 3), (1, 8), (0, 4))):
        ledger.add(part, part)
    return ledger


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (0, {("t", 0): 0, ("t", 1): 7}),
        (1, {("t", 0): 1, ("t", 1): 7}),
        (2, {("t", 0): 1, ("t", 1): 8}),
        (3, {("t", 0): 3, ("t", 1): 8}),
        (4, {("t", 0): 4, ("t", 1): 8}),
        (6, {("t", 0): 5, ("t", 1): 9}),
    ],
)
def test_positions_are_behind_what_is_used(ledger, used, expected):
    ledger.use_first(used)
    assert ledger.positions() == expected


def test_out_of_order_the_oldest_unused_record_is_the_limit(ledger):
    everything = [(0, 4), (1, 8), (0, 0), (0, 3), (1, 7), (0, 1)]
    limits = [(0, 7), (0, 7), (1, 7), (1, 7), (1, 9), (5, 9)]
    for (partition, offset), (first, second) in zip(everything, limits, strict=True):
        ledger.use(["t"], np.array([partition]), np.array([offset]))
        assert ledger.positions() == {("t", 0): first, ("t", 1): second}


def test_what_became_no_element_counts_as_used():
    ledger = Ledger()
    ledger.add(chunk((0, 0), (0, 1), (0, 2)), chunk((0, 1)))
    ledger.add(chunk((0, 3)), chunk())
    assert ledger.positions() == {("t", 0): 1}
    ledger.use_first(1)
    assert ledger.positions() == {("t", 0): 4}


def test_topics_are_told_apart_where_all_of_one_became_no_element():
    """Partition 0 of topic u has a poisoned record alone, t's are elements."""
    good, poisoned = chunk((0, 100), (0, 101)), chunk((0, 0), topic="u")
    ledger = Ledger()
    ledger.add(Chunk([*good.messages, *poisoned.messages]), good)
    ledger.use_first(1)
    assert ledger.positions() == {("t", 0): 101, ("u", 0): 1}
    ledger.use(["u"], np.array([0]), np.array([101]))
    assert ledger.positions() == {("t", 0): 101, ("u", 0): 1}


def test_partitions_of_another_member_are_forgotten(ledger):
    ledger.use_first(6)
    ledger.forget([("t", 0)])
    assert ledger.positions() == {("t", 1): 9}


def test_what_another_member_has_now_does_not_keep_the_rest(ledger):
    """Nobody will use it here, so nothing may wait for it."""
    ledger.forget([("t", 0)])
    ledger.use(["t"] * 2, np.array([1, 1]), np.array([7, 8]))
    assert ledger.positions() == {("t", 1): 9}
    assert not ledger._entries


def test_topics_are_told_apart():
    ledger, both = Ledger(), Chunk([message(topic="a", offset=1), message(topic="b", offset=1)])
    ledger.add(both, both)
    ledger.use(["b"], np.array([0]), np.array([1]))
    assert ledger.positions() == {("a", 0): 1, ("b", 0): 2}
