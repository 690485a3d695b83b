"""Columns of records on their way into a topic, natively and by Python."""

from __future__ import annotations

import gc
import multiprocessing

import confluent_kafka
import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException

from tests import fillers, isolated
from tests.integration.tfkafka.records import read_messages, settled_messages
from tfkafka.chunk import Column
from tfkafka.client.producer import Producer
from tfkafka.client.record_writer import RecordWriter, RefusedError
from tfkafka.client.records import Records
from tfkafka.client.transactions import TransactionalProducer
from tfkafka.errors import AbortedError, ForkError, TransactionError, WriteError

TIMEOUT_MS = 30_000
# As `config.WRITER_DEFAULTS` has it.
MOST_BYTES = 1000


def column(entries: list[bytes | None]) -> Column:
    """A column in one buffer."""
    made = Column.of(entries, len(entries))
    return Column.of_buffer(made.buffer, made.offsets, made.nulls)


def odd(count: int) -> list[bytes | None]:
    """Null, empty, short and long ones, and any bytes."""
    kinds = [None, b"", b"a", bytes(range(256)), b"long" * 5000]
    return [kinds[number % len(kinds)] for number in range(count)]


def some_records() -> Records:
    values, keys = odd(1000), [None if n % 7 else b"key %d" % n for n in range(1000)]
    names = {"first": [b"%d" % n for n in range(1000)], "é": odd(1003)[3:]}
    headers = {name: column(entries) for name, entries in names.items()}
    return Records(column(values), column(keys), headers)


def as_written(messages: list[confluent_kafka.Message]) -> list[tuple]:
    return [(m.value(), m.key(), m.headers() or []) for m in messages]


@pytest.fixture
def transact(servers, group):
    """transact({topic: records, ...}, **settings): write them in one transaction."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": servers, "group.id": group})

    def run(outgoing, **settings):
        settings = {"bootstrap.servers": servers, **settings}
        producer = TransactionalProducer(settings, group, TIMEOUT_MS)
        producer.connect()
        try:
            producer.transact(outgoing, [], consumer.consumer_group_metadata)
        finally:
            producer.discard()

    yield run
    consumer.close()


@fillers.both
def test_what_is_written_is_what_was_given(servers, make_topic, transact):
    first, second = make_topic(), make_topic()
    records, plain = some_records(), Records(column([b"x", None]))
    transact({first: records, second: plain})
    assert as_written(settled_messages(servers, first)) == [*records]
    assert as_written(settled_messages(servers, second)) == [(b"x", None, []), (None, None, [])]


def test_a_key_has_the_same_partition_both_ways(servers, make_topic, monkeypatch):
    found = []
    for name in fillers.NAMES:
        fillers.use(monkeypatch, name)
        topic, keys = make_topic(3), [b"%d" % number for number in range(200)]
        producer = Producer({"bootstrap.servers": servers})
        assert producer.send(topic, [Records(column(keys), column(keys))]) == 200
        of_each = (read_messages(servers, topic, [partition]) for partition in range(3))
        found.append([[m.value() for m in messages] for messages in of_each])
    assert found[0] == found[1] and all(found[0])


@fillers.both
def test_all_records_may_be_of_one_partition(servers, make_topic):
    topic = make_topic(3)
    keys = [b"%d" % number for number in range(50)]
    Producer({"bootstrap.servers": servers}).send(topic, [Records(column(keys), column(keys))], 2)
    assert [m.key() for m in read_messages(servers, topic, [2])] == keys


@fillers.both
def test_a_slice_of_columns_that_nobody_else_keeps(servers, topic):
    """Their memory is not used again before they are written, wherever they begin and end."""

    def made() -> Records:
        whole = column([b"value %d" % number for number in range(3000)])
        spread = np.zeros(2000, np.bool_)[::2]
        values = Column.of_buffer(whole.buffer.copy(), whole.offsets[1000:2001].copy(), spread)
        return Records(values, whole[2000:], {"h": whole[:1000]})

    producer = Producer({"bootstrap.servers": servers})
    producer.send(topic, (made() for _ in range(3) if gc.collect() >= 0))
    found = read_messages(servers, topic)
    expected = [
        (b"value %d" % (1000 + n), b"value %d" % (2000 + n), [("h", b"value %d" % n)])
        for n in range(1000)
    ]
    assert as_written(found) == 3 * expected


@fillers.both
def test_a_full_queue_is_waited_for(servers, topic, transact):
    """Each record comes once, and in order."""
    values = [b"%d" % number for number in range(20_000)]
    transact({topic: Records(column(values))}, **{"queue.buffering.max.messages": 1000})
    assert [m.value() for m in settled_messages(servers, topic)] == values


@fillers.both
def test_a_queue_that_stays_full(topic):
    settings = {"bootstrap.servers": "127.0.0.1:1", "queue.buffering.max.messages": 10}
    writer = RecordWriter({**settings, "log_level": 0}, timeout_s=0.3)
    with pytest.raises(WriteError, match="the queue of records to be sent is full"):
        writer.put(topic, Records(column([b"x"] * 20)))
    assert len(writer.producer) == 10
    writer.producer.purge()


@fillers.both
def test_a_record_that_is_refused_at_once_has_its_number(servers, topic):
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": MOST_BYTES})
    records = Records(column([b"a", b"b", b"c" * 2 * MOST_BYTES, b"d"]))
    refused = r"record 4 \(from 0\) was refused before it was sent: .*[Mm]essage size too large"
    with pytest.raises(WriteError, match=refused):
        producer.send(topic, [Records(column([b"1", b"2"])), records])
    # What was dropped then does not count later.
    assert producer.send(topic, [Records(column([b"later"]))]) == 1


@fillers.both
def test_a_refusal_is_the_same_both_ways(servers, group):
    settings = {"bootstrap.servers": servers, "transactional.id": group, "log_level": 0}
    writer = RecordWriter(settings)
    with pytest.raises(RefusedError) as caught:
        writer.put("t", Records(column([b"x"])))
    error = caught.value.args[0]
    assert (error.code(), caught.value.number) == (KafkaError._STATE, 0)
    assert error.str() == "Unable to produce message: Local: Erroneous state"


@fillers.both
def test_a_record_that_is_refused_after_it_has_waited_for_room_has_its_number(servers, topic):
    settings = {"bootstrap.servers": servers, "queue.buffering.max.messages": 10, "linger.ms": 500}
    writer = RecordWriter(settings)
    full = Records(column([b"x"] * 10))
    assert writer.put(topic, full, 0) == len(writer.producer) == 10
    with pytest.raises(RefusedError, match="Unknown partition") as caught:
        writer.put(topic, full, 7)
    assert caught.value.number == 0


@fillers.both
@pytest.mark.parametrize(
    ("settings", "values", "keys", "refusal"),
    [
        ({"max.message.bytes": "2000"}, [b"a", b"x" * 9000], [b"k", b"k"], "size too large"),
        ({"cleanup.policy": "compact"}, [b"a", b"b", b"c", b"d"], [b"k", None, b"l", None], "."),
    ],
)
def test_a_record_that_the_broker_refuses_aborts(
    servers, make_topic, transact, settings, values, keys, refusal
):
    refusing, other = make_topic(settings=settings), make_topic()
    records = Records(column(values), column(keys))
    with pytest.raises((AbortedError, TransactionError), match=refusal):
        transact({other: Records(column([b"1"])), refusing: records})
    assert read_messages(servers, refusing) == read_messages(servers, other) == []


@fillers.both
def test_records_that_the_broker_refuses_are_named(servers, make_topic):
    large = make_topic(settings={"max.message.bytes": "150000"})
    producer = Producer({"bootstrap.servers": servers})
    records = Records(column([b"a", b"x" * 200_000, b"b"]), column([b"k1", b"k2" * 50, b"k3"]))
    named = (
        rf"topic {large}: 1 of 3 records were not written: key b'k2k2.*\(100 bytes\), "
        r"value b'xxx.*200,000 bytes\): .*size too large"
    )
    with pytest.raises(WriteError, match=named):
        producer.send(large, [records])
    assert [m.key() for m in read_messages(servers, large)] == [b"k1", b"k3"]
    assert producer.send(large, [Records(column([b"later"]))]) == 1


@fillers.both
def test_each_record_of_a_refused_batch_counts(servers, make_topic):
    """Of a compacted topic: the broker refuses a whole batch for the records without a key."""
    compacted = make_topic(settings={"cleanup.policy": "compact"})
    records = Records(column([b"a", b"b", b"c", b"d"]), column([b"k", None, b"l", None]))
    with pytest.raises(WriteError, match=r"4 of 4 records .*key None, value b'b'"):
        Producer({"bootstrap.servers": servers}).send(compacted, [records])
    assert read_messages(servers, compacted) == []


@fillers.both
def test_records_one_after_another_and_columns_are_counted_alike(servers, make_topic):
    large = make_topic(settings={"max.message.bytes": "150000"})
    records = Records(column([b"x" * 200_000, b"a"]))
    with pytest.raises(WriteError, match="2 of 4 records were not written"):
        Producer({"bootstrap.servers": servers}).send(large, [records, [*records]])


def test_columns_of_different_lengths():
    one, two = column([b"1"]), column([b"1", b"2"])
    for others in ({"keys": two}, {"headers": {"h": two}}):
        with pytest.raises(ValueError, match="columns differ in their lengths"):
            Records(one, **others)


@fillers.both
def test_a_forked_child_is_refused(servers, topic):
    writer = RecordWriter({"bootstrap.servers": servers, "log_level": 0})
    records = Records(column([b"x"]))

    def child() -> None:
        with pytest.raises(ForkError):
            writer.put(topic, records)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert writer.put(topic, records) == 1 and writer.producer.flush(30) == 0
    assert len(read_messages(servers, topic)) == 1


@pytest.mark.parametrize("filler", fillers.NAMES)
def test_no_order_of_calls_ends_the_process(filler, servers, topic):
    isolated.run(drop_in_all_orders, filler, servers, topic)


def drop_in_all_orders(filler: str, servers: str, topic: str) -> None:
    patch = pytest.MonkeyPatch()
    fillers.use(patch, filler)
    records = Records(column([b"x"] * 1000), None, {"h": column([b"y"] * 1000)})
    for address in (servers, "127.0.0.1:1"):
        # Dropped with records in its queue, some of which fail then.
        writer = RecordWriter({"bootstrap.servers": address, "log_level": 0}, notes_failures=True)
        writer.put(topic, records)
        undelivered, producer = writer.undelivered, writer.producer
        producer.purge()
        del writer
        gc.collect()
        producer.poll(0)
        assert undelivered()[0] <= 1000
        del producer, undelivered
        gc.collect()
        closed = RecordWriter({"bootstrap.servers": address, "log_level": 0})
        closed.put(topic, records)
        closed.producer.purge()
        closed.producer.close()
        with pytest.raises((KafkaException, RuntimeError)):
            closed.put(topic, records)
    patch.undo()
