"""Ranges of offsets in equal parts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.properties import few
from tfkafka import KafkaDataset, shards
from tfkafka.chunk import OffsetRange
from tfkafka.reading.jax_processes import own_shard
from tfkafka.reading.sharding import most_offsets, part_of

LARGE = 2**40
RANGES = st.lists(
    st.builds(
        lambda partition, start, length: OffsetRange("t", partition, start, start + length, 7),
        st.integers(0, 9),
        st.integers(0, LARGE),
        st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 300)),
    ),
    max_size=8,
)


def offsets(ranges: list[OffsetRange]) -> list[tuple[int, int]]:
    return [(each.partition, offset) for each in ranges for offset in range(each.start, each.stop)]


@few
@given(ranges=RANGES, count=st.integers(1, 20))
def test_each_offset_is_in_one_part_in_order(ranges, count):
    parts = shards(ranges, count)
    assert offsets([each for part in parts for each in part]) == offsets(ranges)
    sizes = [sum(map(len, part)) for part in parts]
    assert len(sizes) == count and max(sizes) - min(sizes) <= 1
    assert all(len(each) for part in parts for each in part)
    # At most one range more for each cut.
    assert sum(map(len, parts)) < len(ranges) + count
    assert all(each.leader_epoch == 7 for part in parts for each in part)


@few
@given(length=st.integers(LARGE, 2**62), count=st.integers(1, 1000))
def test_long_ranges_are_cut_to_the_offset(length, count):
    parts = shards([OffsetRange("t", 0, 3, 3 + length)], count)
    assert [part[0].start for part in parts[1:]] == [part[0].stop for part in parts[:-1]]
    assert (parts[0][0].start, parts[-1][0].stop) == (3, 3 + length)
    assert {len(part[0]) for part in parts} <= {length // count, -(-length // count)}


def test_partitions_are_cut_whatever_their_sizes():
    ranges = [OffsetRange("t", p, 10, 10 + n) for p, n in enumerate((12, 0, 3, 1))]
    assert shards(ranges, 2) == [
        [OffsetRange("t", 0, 10, 18)],
        [OffsetRange("t", 0, 18, 22), OffsetRange("t", 2, 10, 13), OffsetRange("t", 3, 10, 11)],
    ]


def test_fewer_offsets_than_parts():
    assert shards([OffsetRange("t", 0, 5, 6)], 3) == [[], [], [OffsetRange("t", 0, 5, 6)]]
    assert shards([], 2) == [[], []]


def test_what_is_no_range_is_named():
    with pytest.raises(TypeError, match=r"^ranges\[1\] is 5, must be an OffsetRange$"):
        shards([OffsetRange("t", 0, 0, 1), 5], 2)


@pytest.mark.parametrize("shard", [(0, 1), [1, 2], (np.int64(3), 4), np.array([1, 2])])
def test_what_is_a_shard(shard):
    assert own_shard(shard) == tuple(shard)
    assert own_shard(None) is None


@pytest.mark.parametrize(
    "shard", [(2, 2), (-1, 2), (0, 0), (0,), (0, 1, 2), (), (0.5, 2), ("0", 2), "jack", 3, {0, 1}]
)
def test_what_is_no_shard(shard):
    line = r'^shard is .*, must be \(index, count\) with an index from 0 to count - 1, or "jax"$'
    with pytest.raises((TypeError, ValueError), match=line):
        own_shard(shard)


def test_jax_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ValueError, match=r'^shard is "jax", and JAX cannot be .*: pip install jax'):
        KafkaDataset("t", servers="127.0.0.1:1", shard="jax")


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ({}, "start is 'earliest', which"),
        ({"start": 5}, "stop is 'latest', which"),
        ({"last": 5}, "start is Last"),
        ({"start": 5, "stop": datetime(2026, 1, 1, tzinfo=UTC)}, "stop is datetime"),
        ({"start": {0: 5, 1: "earliest"}, "stop": 9}, "start is 'earliest', which"),
    ],
)
def test_bounds_that_differ_between_processes_are_refused(bounds, named):
    """Each would cut other ranges: some records would be read twice, and others by nobody."""
    line = rf"^shard is \(1, 2\), and {named}.*give offsets as start= and stop="
    with pytest.raises(ValueError, match=line):
        KafkaDataset("t", servers="127.0.0.1:1", shard=(1, 2), **bounds)


def test_a_shard_has_at_least_one_range():
    ranges = (OffsetRange("t", 0, 5, 6), OffsetRange("t", 1, 0, 0))
    assert part_of(ranges, None) == ranges
    assert part_of(ranges, (1, 2)) == ranges[:1]
    assert part_of(ranges, (0, 2)) == ranges[1:]


@few
@given(ranges=RANGES, count=st.integers(1, 20))
def test_the_most_offsets_of_a_shard(ranges, count):
    sizes = [sum(map(len, part)) for part in shards(ranges, count)]
    assert most_offsets(ranges, (0, count)) == max(sizes)
    assert most_offsets(ranges, None) == sum(sizes)
