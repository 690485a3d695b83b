"""The chunk of records, held against lists of records."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import fill, message
from tests.unit.properties import HEADERS, TEXT, few
from tfkafka.chunk import (
    BYTES_OBJECT_SIZE,
    Chunk,
    Column,
    OffsetRange,
    Position,
    TopicPartition,
    concat,
    concat_columns,
    empty,
    select_from,
    split,
)

SOURCES = tuple(TopicPartition(topic, number) for topic in ("t", "u") for number in (0, 7))


@dataclass(frozen=True)
class Record:
    source: TopicPartition
    offset: int
    value: bytes | None
    key: bytes | None
    headers: list


@st.composite
def records(draw, max_size: int = 8) -> list[Record]:
    """Records of four partitions, each partition's in the order of its offsets, with gaps."""
    row = st.tuples(st.sampled_from(SOURCES), st.integers(1, 3), TEXT, TEXT, HEADERS)
    made, last = [], dict.fromkeys(SOURCES, draw(st.integers(-1, 2**40)))
    for source, step, value, key, headers in draw(st.lists(row, max_size=max_size)):
        last[source] += step
        made.append(Record(source, last[source], value, key, headers))
    return made


def of_messages(made: list[Record]) -> Chunk:
    return fill(
        message(r.value, r.key, r.source.partition, r.offset, r.source.topic, r.headers)
        for r in made
    )


def column_of_buffer(entries: list[bytes | None]) -> Column:
    """A column within a longer buffer."""
    sizes = [len(entry or b"") for entry in entries]
    buffer = np.frombuffer(b"before" + b"".join(e or b"" for e in entries) + b"after", np.uint8)
    return Column.of_buffer(
        buffer,
        np.cumsum([len(b"before"), *sizes], dtype=np.int64),
        np.array([entry is None for entry in entries], np.bool_),
    )


def of_buffers(made: list[Record]) -> Chunk:
    return Chunk(
        column_of_buffer([r.value for r in made]),
        column_of_buffer([r.key for r in made]),
        SOURCES,
        np.array([SOURCES.index(r.source) for r in made], np.int32),
        np.array([r.offset for r in made], np.int64),
        np.array([1_700_000_000_000 + r.offset for r in made], np.int64),
        np.fromiter((r.headers for r in made), object, len(made)),
    )


def cut(made: list[Record], draw) -> list[Chunk]:
    """The same records in several chunks, of any form."""
    cuts = sorted(draw(st.lists(st.integers(0, len(made)), max_size=4)))
    pieces = [made[i:j] for i, j in zip([0, *cuts], [*cuts, len(made)], strict=True)]
    return [draw(st.sampled_from([of_messages, of_buffers]))(piece) for piece in pieces]


forms = pytest.mark.parametrize("make", [of_messages, of_buffers])


def assert_column(column: Column, entries: list[bytes | None]) -> None:
    """In both forms, whichever is asked for first."""
    nulls = [entry is None for entry in entries]
    assert len(column) == len(entries)
    assert column.has_nulls == any(nulls)
    content = sum(len(entry or b"") for entry in entries)
    assert column.nbytes >= content
    bounds = column.offsets.tolist()
    assert column.offsets.dtype == np.int64 and column.buffer.dtype == np.uint8
    assert len(bounds) == len(entries) + 1 and bounds == sorted(bounds)
    assert bounds[-1] - bounds[0] == content
    assert [column.buffer[start:stop].tobytes() for start, stop in pairwise(bounds)] == [
        entry or b"" for entry in entries
    ]
    assert column.nulls.dtype == np.bool_ and column.nulls.tolist() == nulls
    assert column.has_nulls == any(nulls)
    assert column.entries.dtype == object and column.entries.tolist() == entries


def assert_chunk(chunk: Chunk, made: list[Record]) -> None:
    assert len(chunk) == len(made)
    assert_column(chunk.values, [r.value for r in made])
    assert_column(chunk.keys, [r.key for r in made])
    assert chunk.source.dtype == np.int32 and chunk.offsets.dtype == np.int64
    assert [chunk.sources[number] for number in chunk.source] == [r.source for r in made]
    assert chunk.topics.tolist() == [r.source.topic for r in made]
    assert chunk.partitions.dtype == np.int32
    assert chunk.partitions.tolist() == [r.source.partition for r in made]
    assert chunk.offsets.tolist() == [r.offset for r in made]
    assert [chunk.position(index) for index in range(len(made))] == [
        (*r.source, r.offset) for r in made
    ]
    if made:
        assert (chunk.timestamps - 1_700_000_000_000).tolist() == [r.offset for r in made]
        assert chunk.timestamps.dtype == np.int64
        assert chunk.headers.tolist() == [r.headers for r in made]
    real = sum(len(r.value or b"") + len(r.key or b"") for r in made) + 20 * len(made)
    real += sum(len(name) + len(value or b"") for r in made for name, value in r.headers)
    assert chunk.nbytes >= real
    if is_in_order(made):
        assert chunk.next_offsets == {r.source: r.offset + 1 for r in made}


def is_in_order(made: list[Record]) -> bool:
    last: dict[TopicPartition, int] = {}
    for record in made:
        if record.offset <= last.get(record.source, -1):
            return False
        last[record.source] = record.offset
    return True


@forms
@few
@given(made=records())
def test_columns_have_an_entry_for_each_record(make, made):
    assert_chunk(make(made), made)


@forms
@few
@given(made=records(), data=st.data())
def test_a_slice_is_that_of_the_list(make, made, data):
    bound = st.one_of(st.none(), st.integers(-len(made) - 2, len(made) + 2))
    first = slice(data.draw(bound), data.draw(bound))
    second = slice(data.draw(bound), data.draw(bound))
    assert_chunk(make(made)[first], made[first])
    assert_chunk(make(made)[first][second], made[first][second])


@forms
@few
@given(made=records(), data=st.data())
def test_select_takes_records_in_the_given_order(make, made, data):
    most = 10 if made else 0
    chosen = data.draw(st.lists(st.integers(0, max(0, len(made) - 1)), max_size=most))
    assert_chunk(make(made).select(np.array(chosen, np.int64)), [made[i] for i in chosen])


@forms
@few
@given(made=records(), data=st.data())
def test_select_by_a_mask_keeps_the_order(make, made, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made)))
    chunk = make(made)
    assert_chunk(
        chunk.select(np.array(mask, np.bool_)),
        [record for record, is_kept in zip(made, mask, strict=True) if is_kept],
    )
    assert chunk.select(np.ones(len(made), np.bool_)) is chunk


@forms
@few
@given(made=records(), lost=st.lists(st.sampled_from(SOURCES)))
def test_without_leaves_partitions_out(make, made, lost):
    assert_chunk(make(made).without(lost), [r for r in made if r.source not in lost])


@few
@given(made=records(12), data=st.data())
def test_records_of_several_chunks_are_taken_in_the_given_order(made, data):
    chunks = cut(made, data.draw)
    most = 20 if made else 0
    chosen = data.draw(st.lists(st.integers(0, max(0, len(made) - 1)), max_size=most))
    taken = select_from(chunks, np.array(chosen, np.int64))
    assert_chunk(taken, [made[i] for i in chosen])


def test_records_of_no_chunk_are_none():
    assert_chunk(select_from([], np.zeros(0, np.int64)), [])


@few
@given(made=records(12), data=st.data())
def test_concat_joins_in_order_whatever_the_form(made, data):
    chunks = cut(made, data.draw)
    assert_chunk(concat(chunks), made)
    assert_column(concat_columns([c.values for c in chunks]), [r.value for r in made])


@forms
@few
@given(sizes=st.lists(st.integers(0, 4), max_size=4), count=st.integers(0, 18))
def test_split_gives_the_first_records_and_the_others(make, sizes, count):
    made = [Record(SOURCES[0], o, b"%d" % o, None, []) for o in range(sum(sizes))]
    whole, chunks, start = make(made), [], 0
    for size in sizes:
        chunks.append(whole[start : start + size])
        start += size
    first, rest = split(chunks, count)
    assert_chunk(concat(first), made[:count])
    assert_chunk(concat(rest), made[count:])


@forms
@few
@given(made=records(), start=st.integers(0, 8), stop=st.integers(0, 8))
def test_a_slice_copies_nothing(make, made, start, stop):
    chunk = make(made)
    part = chunk[start:stop]
    if not len(part):
        return
    for name in ("offsets", "source", "timestamps", "headers"):
        assert np.shares_memory(getattr(part, name), getattr(chunk, name)), name
    for mine, whole in ((part.values, chunk.values), (part.keys, chunk.keys)):
        if make is of_messages:
            assert np.shares_memory(mine.entries, whole.entries)
        else:
            assert mine.buffer is whole.buffer
            assert np.shares_memory(mine.offsets, whole.offsets)
            assert np.shares_memory(mine.nulls, whole.nulls)
    assert part.sources is chunk.sources


@few
@given(made=records())
def test_selected_bytes_are_the_same_objects(made):
    chunk = of_messages(made)
    turned = chunk.select(np.arange(len(made))[::-1])
    for mine, its in zip(turned.values.entries[::-1], chunk.values.entries, strict=True):
        assert mine is its


@forms
def test_null_and_empty_can_be_told_apart(make):
    made = [Record(SOURCES[0], o, value, None, []) for o, value in enumerate([b"", None, b"x"])]
    values = make(made).values
    assert values.nulls.tolist() == [False, True, False] and values.has_nulls
    assert values.entries.tolist() == [b"", None, b"x"]
    assert not values[:1].has_nulls and values[1:2].has_nulls
    assert np.diff(values.offsets).tolist() == [0, 0, 1]


def test_memory_is_counted():
    made = [
        Record(SOURCES[0], 0, b"abc", b"k", [("h", b"12")]),
        Record(SOURCES[0], 1, None, b"", []),
    ]
    numbers = 2 * (4 + 8 + 8)
    header = 2 * BYTES_OBJECT_SIZE + 3
    assert of_messages(made).nbytes == numbers + header + 4 + 4 * BYTES_OBJECT_SIZE
    assert of_buffers(made).nbytes == numbers + header + 4 + 2 * (3 * 8 + 2)
    without = fill([message(b"abc", b"k")], metadata=False)
    assert without.nbytes == 4 + 8 + 4 + 2 * BYTES_OBJECT_SIZE
    assert empty().nbytes == 0


def test_a_slice_of_a_buffer_counts_its_own_bytes_only():
    column = column_of_buffer([bytes(1000), b"abc", bytes(1000)])
    assert column[1:2].nbytes == 3 + 2 * 8 + 1


def test_timestamps_and_headers_are_kept_where_all_have_them():
    with_them, without = fill([message(offset=1)]), fill([message(offset=2)], metadata=False)
    assert without.timestamps is None and without.headers is None
    both = concat([with_them, without])
    assert both.timestamps is None and both.headers is None
    assert both.offsets.tolist() == [1, 2]
    assert without[:1].headers is None and without.select(np.array([0])).timestamps is None
    assert concat([with_them, empty(), with_them]).timestamps is not None


def test_generations():
    old, new = fill([message(offset=1)]).of_generation(3), fill([message(offset=2)])
    assert old.of_generation(3) is old
    new = new.of_generation(5)
    assert concat([new, old]).generation == 3
    assert (new[:0].generation, new.select(np.array([0])).generation) == (5, 5)
    assert new.without([SOURCES[0]]).generation == 5
    assert concat([empty(1), new]).generation == 5
    assert empty(4).generation == 4


def test_nothing_at_all():
    assert len(concat([])) == len(empty()) == 0
    assert empty().next_offsets == {} and empty().topics.tolist() == []
    one = fill([message()])
    assert concat([empty(), one]) is one
    assert split([], 3) == ([], [])
    assert len(empty()[:3]) == len(empty().without(SOURCES)) == 0


def test_places_name_themselves():
    chunk = fill([message(), message(partition=2, offset=31)])
    assert chunk.position(1) == Position("t", 2, 31)
    assert str(chunk.position(1)) == "topic t, partition 2, offset 31"
    assert chunk.position(1).source == TopicPartition("t", 2)
    assert str(TopicPartition("t", 2)) == "topic t, partition 2"
    assert str(OffsetRange("t", 2, 3, 9)) == "topic t, partition 2, offsets 3:9"
    assert OffsetRange("t", 2, 3, 9).source == TopicPartition("t", 2)
    assert (len(OffsetRange("t", 2, 3, 9)), len(OffsetRange("t", 2, 9, 3))) == (6, 0)
