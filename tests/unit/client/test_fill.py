"""From messages to chunks."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import MOST_BYTES, Messages, fault, fill, message
from tests.unit.properties import few
from tfkafka.chunk import TopicPartition
from tfkafka.client.fill import PIECE_RECORDS, PythonFiller

END = KafkaError._PARTITION_EOF


def test_columns_have_what_messages_have():
    chunk = fill(
        [
            message(b"a", b"k", 0, 5, headers=[("h", b"1"), ("h", b"2")]),
            message(None, None, 1, 7),
            message(b"", b"", 0, 9, topic="u"),
        ]
    )
    assert len(chunk) == 3
    assert chunk.values.entries.tolist() == [b"a", None, b""]
    assert chunk.keys.entries.tolist() == [b"k", None, b""]
    assert chunk.topics.tolist() == ["t", "t", "u"]
    assert chunk.partitions.tolist() == [0, 1, 0] and chunk.partitions.dtype == np.int32
    assert chunk.offsets.tolist() == [5, 7, 9] and chunk.offsets.dtype == np.int64
    assert (chunk.timestamps - 1_700_000_000_000).tolist() == [5, 7, 9]
    assert chunk.headers.tolist() == [[("h", b"1"), ("h", b"2")], [], []]


def test_a_message_without_a_time():
    timeless = Message(topic="t", partition=0, offset=0, timestamp=(0, 0))
    assert fill([timeless, message()]).timestamps.tolist() == [-1, 1_700_000_000_000]


def test_an_error_of_the_whole_client_is_of_no_partition():
    failed = Message(error=KafkaError(KafkaError._FAIL))
    [event] = PythonFiller(Messages([failed])).fill(0.1, 1, MOST_BYTES).events
    assert event.error is failed.error() and (event.source, event.offset) == (None, None)


@few
@given(
    plan=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["record", "end", "error"]))),
    at_most=st.integers(1, 9),
)
def test_records_and_events_come_once_in_their_order(plan, at_most):
    """Whatever stands between the records; and no more than was asked for at a time."""
    codes = {"end": END, "error": KafkaError._TRANSPORT}
    messages = [
        message(b"%d" % n, partition=partition, offset=n)
        if kind == "record"
        else fault(codes[kind], partition, n)
        for n, (partition, kind) in enumerate(plan)
    ]
    consumer = Messages(messages)
    filler = PythonFiller(consumer, metadata=True)
    records, events = [], []
    while consumer.messages:
        filled = filler.fill(0.1, at_most, MOST_BYTES)
        assert len(filled.chunk) + len(filled.events) <= at_most
        chunk = filled.chunk
        records += zip(chunk.partitions.tolist(), chunk.offsets.tolist(), strict=True)
        assert chunk.values.entries.tolist() == [b"%d" % offset for offset in chunk.offsets]
        events += [(e.source, e.offset, e.error.code()) for e in filled.events]
    numbered = [(partition, n, kind) for n, (partition, kind) in enumerate(plan)]
    assert records == [(partition, n) for partition, n, kind in numbered if kind == "record"]
    assert events == [
        (TopicPartition("t", partition), n, codes[kind])
        for partition, n, kind in numbered
        if kind != "record"
    ]
    nothing = filler.fill(0.1, at_most, MOST_BYTES)
    assert not len(nothing.chunk) and not nothing.events


def test_a_large_chunk_is_of_several_pieces():
    count = 2 * PIECE_RECORDS + 5
    chunk = fill(message(partition=n % 3, offset=n) for n in range(count))
    assert chunk.offsets.tolist() == list(range(count))
    assert chunk.partitions.tolist() == [n % 3 for n in range(count)]


def test_so_many_bytes_are_enough():
    """Large records that come first might otherwise be more than there is memory for."""
    filler = PythonFiller(Messages([message(b"v" * 1000, offset=n) for n in range(9)]))
    assert [len(filler.fill(0.1, 9, 3500).chunk) for _ in range(4)] == [3, 3, 3, 0]
    filler = PythonFiller(Messages([message(b"v" * 1000, offset=n) for n in range(2)]))
    assert [len(filler.fill(0.1, 9, 500).chunk) for _ in range(3)] == [1, 1, 0]


def test_one_partition_that_is_known_is_not_asked_for():
    source = TopicPartition("t", 4)
    filler = PythonFiller(
        Messages([message(partition=4, offset=n) for n in range(3)]), alone=source
    )
    chunk = filler.fill(0.1, 9, MOST_BYTES).chunk
    assert chunk.sources == (source,) and chunk.next_offsets == {source: 3}


def test_metadata_only_where_asked_for():
    chunk = fill([message(headers=[("h", b"1")])], metadata=False)
    assert chunk.timestamps is None and chunk.headers is None


class Counted(Message):
    """A message that can be referred to weakly."""


def test_messages_are_freed_once_the_chunk_is_made():
    consumer = Messages([message(offset=n, headers=[("h", b"1")], kind=Counted) for n in range(9)])
    alive = [weakref.ref(each) for each in consumer.messages]
    filler = PythonFiller(consumer, metadata=True)
    chunk = filler.fill(0.1, 9, MOST_BYTES).chunk
    assert len(chunk) == len(alive) == 9
    assert not [each for each in alive if each() is not None]


def test_the_collector_is_left_as_it_was():
    assert gc.isenabled()
    fill([message()])
    assert gc.isenabled()
    gc.disable()
    try:
        fill([message()])
        assert not gc.isenabled()
    finally:
        gc.enable()
