"""Ranges of offsets in equal parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.properties import few
from tfkafka import shards
from tfkafka.chunk import OffsetRange

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
