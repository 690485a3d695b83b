"""The chunk of records."""

import numpy as np

from tests.unit.messages import message
from tfkafka.records import MESSAGE_BYTES, Chunk, is_null, without_null


def test_columns_have_an_entry_for_each_record():
    chunk = Chunk(
        [
            message(b"a", b"k", 0, 5, headers=[("h", b"1"), ("h", b"2")]),
            message(None, None, 1, 7),
            message(b"", b"", 0, 9),
        ]
    )
    assert len(chunk) == 3
    assert chunk.values == [b"a", None, b""]
    assert chunk.keys == [b"k", None, b""]
    assert chunk.topics == ["t", "t", "t"]
    assert chunk.partitions.tolist() == [0, 1, 0] and chunk.partitions.dtype == np.int32
    assert chunk.offsets.tolist() == [5, 7, 9] and chunk.offsets.dtype == np.int64
    assert (chunk.timestamps - 1_700_000_000_000).tolist() == [5, 7, 9]
    assert chunk.headers == [[("h", b"1"), ("h", b"2")], [], []]
    assert chunk.size == 1 + 3 * MESSAGE_BYTES


def test_next_offsets_are_behind_each_partitions_last_record():
    chunk = Chunk([message(offset=3), message(partition=1, offset=8), message(offset=6)])
    assert chunk.next_offsets == {("t", 0): 7, ("t", 1): 9}


def test_a_position_names_topic_partition_and_offset():
    chunk = Chunk([message(), message(partition=2, offset=31)])
    assert str(chunk.position(1)) == "topic t, partition 2, offset 31"


def test_select_takes_records_in_the_given_order():
    chunk = Chunk([message(bytes([letter])) for letter in b"abc"])
    assert chunk.select(np.array([2, 0])).values == [b"c", b"a"]


def test_null_and_empty_can_be_told_apart():
    column = [b"", None, b"x"]
    assert without_null(column) == [b"", b"", b"x"]
    assert is_null(column).tolist() == [False, True, False]
