"""The order of records of several partitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decoding.csv_samples import of_buffers
from tests.unit.messages import fill, message
from tests.unit.properties import few
from tfkafka.chunk import OffsetRange, concat
from tfkafka.reading.order import Merge

Place = tuple[int, int]


@st.composite
def ranges(draw) -> list[OffsetRange]:
    count = draw(st.integers(1, 5))
    numbers = draw(st.permutations(range(count)))
    rows = [(draw(st.integers(0, 9)), draw(st.integers(1, 12))) for _ in numbers]
    return [
        OffsetRange("t", number, start, start + length)
        for number, (start, length) in zip(numbers, rows, strict=True)
    ]


def offsets_with_gaps(draw, each: OffsetRange) -> list[int]:
    gaps = draw(st.sets(st.integers(each.start, each.stop - 1)))
    return [offset for offset in range(each.start, each.stop) if offset not in gaps]


def place_in(wanted: list[OffsetRange], partition: int, offset: int) -> tuple[Fraction, int]:
    """As the docstring of `Merge` says it, in exact numbers."""
    number, each = next((n, r) for n, r in enumerate(wanted) if r.partition == partition)
    return Fraction(2 * (offset - each.start) + 1, 2 * len(each)), number


def ordered(wanted: list[OffsetRange], offsets: dict[int, list[int]]) -> list[Place]:
    everything = [(partition, offset) for partition, mine in offsets.items() for offset in mine]
    return sorted(everything, key=lambda place: place_in(wanted, *place))


def taken(chunks) -> list[Place]:
    each = concat(chunks)
    return list(zip(each.partitions.tolist(), each.offsets.tolist(), strict=True))


def arrive(
    merge: Merge, places: list[Place], reached: dict[int, int], wanted: list[OffsetRange]
) -> None:
    sources = {each.partition: each.source for each in wanted}
    chunk = fill(message(partition=p, offset=o) for p, o in places)
    records, nbytes = len(merge), merge.nbytes
    merge.add(chunk, {sources[p]: offset for p, offset in reached.items()})
    assert len(merge) == records + len(chunk)
    assert merge.nbytes == nbytes + chunk.nbytes


def take_all(merge: Merge, draw) -> list:
    """All that can be taken now, a few at a time."""
    chunks = []
    while len(chunk := merge.take(draw(st.integers(1, 9)))):
        chunks.append(chunk)
    return chunks


@few
@given(wanted=ranges(), data=st.data())
def test_the_order_is_that_of_the_places_however_records_arrive(wanted, data):
    offsets = {each.partition: offsets_with_gaps(data.draw, each) for each in wanted}
    expected = ordered(wanted, offsets)
    merge, chunks = Merge(wanted), []
    left = {each.partition: list(offsets[each.partition]) for each in wanted}
    ends = {each.partition: each.stop for each in wanted}
    while ends:
        # Any interleaving in which each partition keeps its order; its end may come on its own.
        places, reached = [], {}
        for _ in range(data.draw(st.integers(1, 6))):
            partition = data.draw(st.sampled_from(sorted(ends)))
            if left[partition]:
                offset = left[partition].pop(0)
                places.append((partition, offset))
                reached[partition] = offset + 1
            else:
                reached[partition] = ends.pop(partition)
                if not ends:
                    break
        arrive(merge, places, reached, wanted)
        if data.draw(st.booleans()):
            chunks += take_all(merge, data.draw)
    chunks += take_all(merge, data.draw)
    assert taken(chunks) == expected
    assert (len(merge), merge.nbytes) == (0, 0)


@few
@given(wanted=ranges(), data=st.data())
def test_what_is_taken_is_certain_and_the_awaited_partition_brings_more(wanted, data):
    """Only the partition that is awaited arrives: so there is progress with any of them paused."""
    offsets = {each.partition: offsets_with_gaps(data.draw, each) for each in wanted}
    expected = ordered(wanted, offsets)
    left = {each.partition: iter([*offsets[each.partition], None]) for each in wanted}
    unfinished = {each.partition: each.stop for each in wanted}
    next_offsets = {each.partition: each.start for each in wanted}
    place_of = {(p, o): place_in(wanted, p, o) for p, mine in offsets.items() for o in mine}

    def frontiers():
        """Places before which nothing more can come, of the partitions that are not read."""
        return [place_in(wanted, p, next_offsets[p]) for p in unfinished]

    merge, chunks = Merge(wanted), []
    while unfinished:
        partition = merge.awaited().partition
        assert partition in unfinished, "a partition is awaited that has ended"
        offset = next(left[partition])
        reached = unfinished[partition] if offset is None else offset + 1
        if reached == unfinished[partition]:
            del unfinished[partition]
        next_offsets[partition] = reached
        places = [] if offset is None else [(partition, offset)]
        arrive(merge, places, {partition: reached}, wanted)
        chunks += take_all(merge, data.draw)
        limit = min(frontiers(), default=(2, 0))
        certain = [place for place in expected if place_of[place] < limit]
        assert taken(chunks) == certain
    assert taken(chunks) == expected


def test_partitions_of_different_lengths_end_together():
    wanted = [OffsetRange("t", 0, 0, 2), OffsetRange("t", 1, 10, 16)]
    merge = Merge(wanted)
    arrive(merge, [(0, 0), (0, 1)], {0: 2}, wanted)
    assert not len(merge.take(99)) and merge.awaited() == wanted[1].source
    arrive(merge, [(1, offset) for offset in range(10, 16)], {1: 16}, wanted)
    assert taken([merge.take(99)]) == [
        (1, 10),
        (0, 0),
        (1, 11),
        (1, 12),
        (1, 13),
        (0, 1),
        (1, 14),
        (1, 15),
    ]


def test_where_places_are_equal_the_order_of_the_ranges_decides():
    for wanted in (
        [OffsetRange("t", 0, 0, 2), OffsetRange("t", 1, 0, 2)],
        [OffsetRange("t", 1, 0, 2), OffsetRange("t", 0, 0, 2)],
    ):
        first, second = (each.partition for each in wanted)
        for order in ([first, second], [second, first]):
            merge = Merge(wanted)
            chunks = []
            for partition in order:
                arrive(merge, [(partition, 0), (partition, 1)], {partition: 2}, wanted)
                chunks += [merge.take(99)]
            assert taken(chunks) == [(first, 0), (second, 0), (first, 1), (second, 1)]


def test_gaps_change_no_order():
    """Compaction may come between two epochs."""
    wanted = [OffsetRange("t", 0, 0, 4), OffsetRange("t", 1, 0, 4)]
    merge = Merge(wanted)
    arrive(merge, [(0, 3), (1, 0), (1, 2)], {0: 4, 1: 4}, wanted)
    assert taken([merge.take(99)]) == [(1, 0), (1, 2), (0, 3)]


def test_a_single_range_keeps_its_chunks():
    merge = Merge([OffsetRange("t", 0, 0, 9)])
    chunk = fill(message(offset=offset) for offset in range(3))
    merge.add(chunk, {})
    assert merge.take(3) is chunk
    merge.add(chunk, {})
    assert [len(merge.take(2)), len(merge.take(2)), len(merge.take(2))] == [2, 1, 0]


def test_offsets_that_a_float_cannot_tell_apart_keep_their_order():
    huge = 2**60
    wanted = [OffsetRange("t", 0, 0, huge), OffsetRange("t", 1, 0, huge)]
    merge = Merge(wanted)
    middle = huge // 2
    places = [(p, middle + step) for step in range(3) for p in (1, 0)]
    arrive(merge, places[:3], {0: middle + 1, 1: middle + 2}, wanted)
    first = merge.take(99)
    arrive(merge, places[3:], {0: huge, 1: huge}, wanted)
    found = taken([first, merge.take(99)])
    assert sorted(found) == sorted(places)
    for partition in (0, 1):
        mine = [offset for p, offset in found if p == partition]
        assert mine == sorted(mine)


@few
@given(wanted=ranges(), data=st.data())
def test_the_order_goes_on_from_any_place(wanted, data):
    offsets = {each.partition: offsets_with_gaps(data.draw, each) for each in wanted}
    expected = ordered(wanted, offsets)
    used = data.draw(st.integers(0, len(expected)))
    sources = {each.partition: each.source for each in wanted}
    reached = {sources[partition]: offset + 1 for partition, offset in expected[:used]}
    merge = Merge(wanted, reached)
    ends = {e.partition: e.stop for e in wanted if reached.get(e.source, e.start) < e.stop}
    arrive(merge, sorted(expected[used:]), ends, wanted)
    assert taken(take_all(merge, data.draw)) == expected[used:]


def test_a_partition_that_was_read_before_is_not_waited_for():
    wanted = [OffsetRange("t", 0, 0, 2), OffsetRange("t", 1, 10, 16)]
    merge = Merge(wanted, {wanted[0].source: 2, wanted[1].source: 15})
    assert merge.awaited() == wanted[1].source
    arrive(merge, [(1, 15)], {1: 16}, wanted)
    assert taken([merge.take(99)]) == [(1, 15)]


def test_few_records_do_not_keep_the_memory_of_many():
    """Most of a chunk is not copied; what is less than half of it keeps nothing of it."""
    many, few = OffsetRange("t", 0, 0, 40), OffsetRange("t", 1, 0, 4)
    places = [(0, offset) for offset in range(20)] + [(1, 0), (1, 1)]
    given = of_buffers(fill(message(b"x" * 50, b"", p, o) for p, o in places))
    merge = Merge([many, few])
    merge.add(given, {many.source: 20, few.source: 2})
    kept = {
        queue.source: [np.shares_memory(c.values.buffer, given.values.buffer) for c, _ in waiting]
        for queue in merge._queues
        if (waiting := queue._waiting)
    }
    assert kept == {many.source: [True], few.source: [False]}
