"""KafkaDataset: which records it gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psutil
import pytest
import tensorflow as tf
from confluent_kafka import Producer

from tests import fillers
from tests.integration.tfkafka.records import ints, numbers, settle, transaction, values
from tfkafka import CsvDecoder, KafkaDataset, headers_of, write
from tfkafka.chunk import OffsetRange
from tfkafka.config import Limits
from tfkafka.errors import OffsetError, TopicError
from tfkafka.reading.ranges import read, resolve
from tfkafka.testing import wait_for


@fillers.both
@pytest.mark.parametrize("count", [0, 1, 2, 1023, 1024, 1025, 2049, 5000])
def test_no_count_of_records_loses_one(servers, topic, count):
    numbers(servers, topic, count)
    assert ints(KafkaDataset(topic, servers=servers)) == [*range(count)]


@fillers.both
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"start": 20, "stop": 30}, range(20, 30)),
        ({"start": {0: 20}, "stop": 30}, range(20, 30)),
        ({"stop": 1}, range(1)),
        ({"start": 100}, range(0)),
        ({"start": "latest"}, range(0)),
        ({"last": 3}, range(97, 100)),
        ({"last": 300}, range(100)),
        ({"max_records": 7}, range(7)),
        ({"max_records": 0}, range(0)),
        ({"start": 98, "max_records": 7}, range(98, 100)),
    ],
)
def test_start_stop_and_max_records(servers, topic, arguments, expected):
    numbers(servers, topic, 100)
    assert ints(KafkaDataset(topic, servers=servers, **arguments)) == [*expected]


@pytest.mark.parametrize("arguments", [{"start": 101}, {"stop": 101}, {"start": 5, "stop": 4}])
def test_offsets_that_are_not_there_are_refused(servers, topic, arguments):
    numbers(servers, topic, 100)
    with pytest.raises(OffsetError, match=rf"{topic}, partition 0: .*not within 0:100") as refusal:
        KafkaDataset(topic, servers=servers, **arguments)
    assert (refusal.value.topic, refusal.value.partition) == (topic, 0)
    assert refusal.value.offset in arguments.values()


def test_a_negative_number_of_records_is_refused(servers, topic):
    with pytest.raises(ValueError, match="max_records is -1, must be at least 0"):
        KafkaDataset(topic, servers=servers, max_records=-1)


@fillers.both
def test_an_iteration_without_a_record_says_so(servers, topic, caplog):
    dataset = KafkaDataset(topic, servers=servers)
    assert ints(dataset) == []
    transaction(servers, topic, ["1"], "abort")
    dataset.refresh()
    assert ints(dataset) == []
    assert ints(KafkaDataset(topic, servers=servers, max_records=0)) == []
    empty, aborted = caplog.messages
    where = f"topic {topic}, partition 0, offsets"
    assert f"topic {topic}: this iteration had no record: its ranges are empty ({where}" in empty
    assert f"2 offsets are without a record ({where} 0:2): their records were compact" in aborted


def test_a_partition_that_is_given_twice_is_refused(servers, topic):
    with pytest.raises(ValueError, match=r"partitions is \[0, 0\], must be different"):
        KafkaDataset(topic, [0, 0], servers=servers)


def test_a_reader_that_waits_for_records_does_not_take_that_for_a_fault(servers, topic):
    numbers(servers, topic, 5)
    settings, limits = {"bootstrap.servers": servers}, Limits(broker_timeout=5000)
    ranges = replace(resolve(settings, limits, topic), ranges=(OffsetRange(topic, 0, 0, 6),))
    seen: list[int] = []

    def read_patiently() -> None:
        for chunk in read(ranges, settings, limits, waits=True):
            seen.extend(chunk.offsets.tolist())

    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_patiently)
        try:
            wait_for(lambda: len(seen) == 5, "the first records")
            # It ends, while the other one goes on waiting.
            with pytest.raises(OffsetError, match="nothing came for 5000 ms"):
                list(read(ranges, settings, limits))
        finally:
            numbers(servers, topic, 1)
        reading.result()
    assert seen == [*range(6)]


@fillers.both
def test_a_topic_made_anew_with_fewer_records_is_no_shorter_epoch(servers, admin, topic):
    numbers(servers, topic, 100)
    dataset = KafkaDataset(topic, servers=servers, broker_timeout=3000)
    admin.delete_topic(topic)
    admin.create_topic(topic)
    numbers(servers, topic, 3)
    with pytest.raises(tf.errors.OpError, match=rf"topic {topic} on .* was deleted and created"):
        ints(dataset)
    assert isinstance(dataset.error, TopicError)


def test_topic_or_partition_that_is_not_there_is_refused(servers, topic):
    with pytest.raises(TopicError, match="no topic no-such-topic"):
        KafkaDataset("no-such-topic", servers=servers)
    with pytest.raises(TopicError, match="no partition 3, it has 0 to 0"):
        KafkaDataset(topic, 3, servers=servers)


def test_start_by_time(servers, topic):
    numbers(servers, topic, 5)
    between = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) > between + timedelta(milliseconds=5), "the clock to go on")
    numbers(servers, topic, 5, first=5)
    assert ints(KafkaDataset(topic, start=between, servers=servers)) == [*range(5, 10)]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert ints(KafkaDataset(topic, start=later, servers=servers)) == []


@fillers.both
def test_every_epoch_has_the_same_records_until_refresh(servers, topic):
    numbers(servers, topic, 10)
    dataset = KafkaDataset(topic, servers=servers)
    assert ints(dataset) == [*range(10)]
    numbers(servers, topic, 5, first=10)
    assert ints(dataset) == [*range(10)]
    assert ints(dataset.repeat(2)) == [*range(10)] * 2
    dataset.refresh()
    assert ints(dataset) == [*range(15)]


def test_partitions_come_in_one_order_however_they_arrive(servers, make_topic, monkeypatch):
    """In proportion to their lengths, whatever a broker sends first and how much waits."""
    topic, lengths = make_topic(4), (600, 300, 150, 150)
    for partition, count in enumerate(lengths):
        numbers(servers, topic, count, partition, first=10_000 * partition)
    places = sorted(
        ((offset + 0.5) / count, partition, offset)
        for partition, count in enumerate(lengths)
        for offset in range(count)
    )
    expected = [10_000 * partition + offset for _, partition, offset in places]
    for iteration in range(20):
        fillers.use(monkeypatch, fillers.NAMES[iteration % 2])
        dataset = KafkaDataset(
            topic,
            [0, 1, 2, 3],
            servers=servers,
            # From a part of a partition at a time to all of it.
            configuration={
                "fetch.message.max.bytes": 1000 * 2 ** (iteration % 5),
                "fetch.wait.max.ms": 5,
            },
            prefetch_bytes=1 << 20 if iteration % 7 else 20_000,
        )
        assert ints(dataset) == expected, f"iteration {iteration}"


def test_memory_is_bounded_also_with_many_partitions_and_large_records(servers, make_topic):
    """200 partitions with a record of 1 MB each: 200 MB, of which 16 MB may be held."""
    topic = make_topic(200, settings={"max.message.bytes": "2000000"})
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": 2_000_000})
    for partition in range(200):
        producer.produce(topic, b"x" * 1_000_000, partition=partition)
        producer.flush(30)
    dataset = KafkaDataset(topic, range(200), servers=servers, prefetch_bytes=16 << 20)
    held = []

    def note(value: tf.Tensor, _key: tf.Tensor) -> tf.Tensor:
        held.append(psutil.Process().memory_info().rss)
        return tf.strings.length(value)

    sizes = [note(*element) for element in dataset]
    assert len(sizes) == 200 and {int(size) for size in sizes} == {1_000_000}
    # What TensorFlow holds of the chunks that it was given comes on top: two, and one in work.
    assert max(held) - min(held) < (16 + 3 * 8 + 40) << 20


@fillers.both
def test_several_partitions(servers, make_topic):
    topic = make_topic(3)
    for partition in range(3):
        numbers(servers, topic, 3000, partition, first=3000 * partition)
    seen = ints(KafkaDataset(topic, [0, 2], servers=servers))
    assert [n for n in seen if n < 3000] == [*range(3000)]
    assert [n for n in seen if n >= 3000] == [*range(6000, 9000)]
    assert len(ints(KafkaDataset(topic, range(3), servers=servers, stop=10))) == 30


@fillers.both
def test_transactions(servers, topic):
    """Aborted records and the transactions' own marks have offsets, and are no elements."""
    transaction(servers, topic, ["1", "2"], "commit")
    transaction(servers, topic, ["3", "4"], "abort")
    assert ints(KafkaDataset(topic, servers=servers)) == [1, 2]
    dirty = ["isolation.level=read_uncommitted"]
    assert ints(KafkaDataset(topic, servers=servers, configuration=dirty)) == [1, 2, 3, 4]
    numbers(servers, topic, 1, first=5)
    assert ints(KafkaDataset(topic, servers=servers)) == [1, 2, 5]


@fillers.both
def test_an_open_transaction_is_the_end(servers, topic):
    numbers(servers, topic, 3)
    unfinished = transaction(servers, topic, ["3", "4"], "leave open")
    numbers(servers, topic, 1, first=5)
    committed = KafkaDataset(topic, servers=servers)
    dirty = KafkaDataset(
        topic, servers=servers, configuration={"isolation.level": "read_uncommitted"}
    )
    assert ints(committed) == [0, 1, 2]
    assert ints(dirty) == [0, 1, 2, 3, 4, 5]
    unfinished.abort_transaction(30)
    settle(servers, topic)
    assert ints(committed) == [0, 1, 2]
    committed.refresh()
    assert ints(committed) == [0, 1, 2, 5]


def test_a_compacted_topic_ends_where_it_ends(servers, make_topic, admin):
    topic = make_topic(
        settings={
            "cleanup.policy": "compact",
            "segment.bytes": "1048576",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.0",
            "max.compaction.lag.ms": "100",
            "delete.retention.ms": "0",
            "file.delete.delay.ms": "0",
        }
    )
    write(servers, topic, [f"{n}" for n in range(600)], [f"{n % 3}" for n in range(600)])
    before = KafkaDataset(topic, servers=servers)
    assert len(ints(before)) == 600

    def compacted() -> bool:
        # A new record closes the active segment, which is never compacted.
        write(servers, topic, ["0"], ["0"])
        return len(ints(KafkaDataset(topic, servers=servers))) < 300

    wait_for(compacted, "the log to be compacted", 90)
    dataset = KafkaDataset(topic, servers=servers, metadata=True)
    offsets = [int(where.offset) for _, _, where in dataset.as_numpy_iterator()]
    assert offsets == sorted(offsets)
    assert offsets[-1] == dataset.ranges[0].stop - 1
    assert len(offsets) < dataset.ranges[0].stop
    # A manifest tells at the end that records within its ranges are gone.
    again = KafkaDataset.from_manifest(before.manifest())
    with pytest.raises(tf.errors.OpError, match=r"had 600 records and have \d+ now"):
        ints(again)
    assert isinstance(again.error, OffsetError)


@fillers.both
def test_any_bytes_null_and_empty(servers, make_topic):
    topic = make_topic(settings={"max.message.bytes": "10000000"})
    sent = [b"", None, b"\x00\xff\n,\"'", b"x" * 5_000_000, "zażółć".encode()]
    keys = [b"k", None, b"", b"\x00", None]
    write(servers, topic, sent, keys)
    got = [*KafkaDataset(topic, servers=servers, metadata=True).as_numpy_iterator()]
    assert [message for message, _, _ in got] == [value or b"" for value in sent]
    assert [key for _, key, _ in got] == [key or b"" for key in keys]
    assert [bool(where.null_message) for _, _, where in got] == [v is None for v in sent]
    assert [bool(where.null_key) for _, _, where in got] == [k is None for k in keys]


@fillers.both
def test_metadata(servers, topic):
    producer = Producer({"bootstrap.servers": servers})
    headers = [("trace", b"\x00\xff"), ("trace", b"2"), ("none", None), ("empty", b"")]
    producer.produce(topic, "a", "k", headers=headers, timestamp=1_700_000_000_123)
    producer.produce(topic, "b", timestamp=1_700_000_000_456)
    producer.flush(30)
    first, second = (e[2] for e in KafkaDataset(topic, servers=servers, metadata=True))
    assert (first.topic.numpy().decode(), int(first.partition), int(first.offset)) == (topic, 0, 0)
    assert int(first.timestamp) == 1_700_000_000_123
    assert headers_of(first.headers.numpy()) == headers
    assert int(second.offset) == 1 and headers_of(second.headers.numpy()) == []


@fillers.both
def test_batches_and_chunks(servers, topic):
    numbers(servers, topic, 10_000)
    dataset = KafkaDataset(topic, servers=servers, batch_size=64)
    assert [len(message) for message, _ in dataset] == [64] * 156 + [16]
    chunks = [*dataset.chunks()]
    assert np.concatenate([m.numpy() for m, _ in chunks]).astype(int).tolist() == [*range(10_000)]
    assert all(len(message) for message, _ in chunks) and len(chunks) < 100


@fillers.both
def test_decoded(servers, topic):
    write(servers, topic, [f"{n},{n / 2}" for n in range(100)], [str(n % 2) for n in range(100)])
    decode = CsvDecoder(2, label="key")
    features, labels = zip(*KafkaDataset(topic, servers=servers, decode=decode), strict=True)
    assert [f.numpy().tolist() for f in features] == [[n, n / 2] for n in range(100)]
    assert [float(label) for label in labels] == [n % 2 for n in range(100)]
    batched = KafkaDataset(topic, servers=servers, decode=decode, batch_size=30)
    assert [x.shape[0] for x, _ in batched] == [30, 30, 30, 10]
    alone = KafkaDataset(topic, servers=servers, decode=CsvDecoder(2), batch_size=100)
    assert alone.element_spec == tf.TensorSpec([None, 2], tf.float32)
    assert next(iter(alone))[3].numpy().tolist() == [3, 1.5]


def test_many_datasets_in_any_order_and_after_a_new_seed(servers, make_topic):
    topics = [make_topic() for _ in range(3)]
    for place, topic in enumerate(topics):
        numbers(servers, topic, 5, first=10 * place)
    datasets = [KafkaDataset(topic, servers=servers) for topic in topics]
    tf.keras.utils.set_random_seed(1)
    together = tf.data.Dataset.zip(tuple(datasets[::-1]))
    rows = [[int(m) for m, _ in row] for row in together.as_numpy_iterator()]
    assert rows == [[20 + n, 10 + n, n] for n in range(5)]
    assert [value for dataset in datasets for value in values(dataset.take(1))] == [
        b"0",
        b"10",
        b"20",
    ]
