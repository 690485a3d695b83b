"""Where a group begins to read, and what happens where an offset no longer exists."""

from __future__ import annotations

import threading

import keras
import pytest
import tensorflow as tf
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from tests import fillers
from tests.integration.tfkafka.records import ints, numbers, settled_predictions
from tfkafka import CsvDecoder, KafkaDataset, KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.errors import OffsetError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn
from tfkafka.testing import wait_for

EARLIEST, LATEST = {"auto.offset.reset": "earliest"}, {"auto.offset.reset": "latest"}
GONE = "offset {} comes next, but all before {} have been deleted: {} records are gone"
# So small that librdkafka has not fetched the records that are deleted.
LITTLE = {"fetch.message.max.bytes": 2000, "queued.min.messages": 1}
# A broker sends whole batches of records, so of small ones a reader has fetched only a few.
SMALL_BATCHES = {"batch.size": 10_000}


def delete_before(servers: str, topic: str, offset: int, partition: int = 0) -> None:
    client = AdminClient({"bootstrap.servers": servers})
    for answer in client.delete_records([TopicPartition(topic, partition, offset)]).values():
        answer.result(30)


def add_partitions(servers: str, admin, topic: str, partitions: int) -> None:
    client = AdminClient({"bootstrap.servers": servers})
    for answer in client.create_partitions([NewPartitions(topic, partitions)]).values():
        answer.result(30)
    wait_for(
        lambda: len(admin.describe_topic(topic).partitions) == partitions, "the new partitions"
    )


@fillers.both
@pytest.mark.parametrize("reset", [EARLIEST, LATEST])
def test_a_committed_offset_that_is_gone_is_an_error(servers, topic, group, committed, reset):
    numbers(servers, topic, 100)
    first = KafkaGroupDataset(topic, group, servers, 0, EARLIEST, auto_commit=False)
    assert len(ints(first)) == 100
    first.commit(10)
    delete_before(servers, topic, 50)
    again = KafkaGroupDataset(topic, group, servers, 0, reset)
    with pytest.raises(tf.errors.OpError, match=GONE.format(10, 50, 40)):
        ints(again)
    assert isinstance(again.error, OffsetError)
    assert (again.error.topic, again.error.partition, again.error.offset) == (topic, 0, 10)
    assert committed() == {0: 10}


@pytest.mark.parametrize("reset", [EARLIEST, LATEST])
def test_or_is_counted_and_logged(servers, topic, group, committed, caplog, reset):
    numbers(servers, topic, 100)
    first = KafkaGroupDataset(topic, group, servers, 0, EARLIEST, auto_commit=False)
    ints(first)
    first.commit(10)
    delete_before(servers, topic, 50)
    again = KafkaGroupDataset(topic, group, servers, 0, reset, on_missing_offsets="earliest")
    assert ints(again) == [*range(50, 100)]
    assert again.counts.missing == 40 and again.counts.read == 50
    assert f"topic {topic}, partition 0: {GONE.format(10, 50, 40)}; continuing at" in caplog.text
    assert committed() == {0: 100}


@fillers.both
@pytest.mark.parametrize("on_missing", ["error", "earliest"])
def test_records_that_are_deleted_while_a_group_reads(servers, topic, group, on_missing):
    count = 20_000
    write(servers, topic, [f"{n:0100}" for n in range(count)], configuration=SMALL_BATCHES)
    stream = KafkaGroupDataset(
        topic,
        group,
        servers,
        0,
        EARLIEST | LITTLE,
        batch_size=100,
        prefetch_bytes=20_000,
        on_missing_offsets=on_missing,
    )
    batches = iter(stream)
    seen = [int(value) for value in next(batches)[0].numpy()]
    delete_before(servers, topic, count - 100)
    if on_missing == "error":
        with pytest.raises(tf.errors.OpError, match=f"all before {count - 100} have been deleted"):
            list(batches)
        assert isinstance(stream.error, OffsetError)
        return
    for batch, _ in batches:
        seen += [int(value) for value in batch.numpy()]
    assert seen[-100:] == [*range(count - 100, count)]
    assert seen == sorted(set(seen)), "nothing twice"
    assert len(seen) + stream.counts.missing == count


@fillers.both
def test_records_that_are_deleted_while_a_range_is_read(servers, topic):
    count = 20_000
    write(servers, topic, [f"{n:0100}" for n in range(count)], configuration=SMALL_BATCHES)
    dataset = KafkaDataset(
        topic, servers=servers, configuration=LITTLE, batch_size=100, prefetch_bytes=20_000
    )
    batches = iter(dataset)
    next(batches)
    delete_before(servers, topic, count - 100)
    with pytest.raises(tf.errors.OpError, match=f"all before {count - 100} have been deleted"):
        list(batches)
    assert isinstance(dataset.error, OffsetError)


@fillers.both
def test_a_new_partition_is_read_from_its_first_record(servers, admin, topic, group, committed):
    """Whatever auto.offset.reset says."""
    numbers(servers, topic, 10)
    assert ints(KafkaGroupDataset(topic, group, servers, 0, LATEST)) == []
    assert committed() == {0: 10}
    add_partitions(servers, admin, topic, 3)
    for partition in range(3):
        numbers(servers, topic, 5, partition, first=100 * (partition + 1))
    stream = KafkaGroupDataset(topic, group, servers, 0, LATEST)
    wanted = [100 * (partition + 1) + n for partition in range(3) for n in range(5)]
    assert sorted(ints(stream)) == wanted
    assert committed() == {0: 15, 1: 5, 2: 5}


def test_also_where_it_is_added_while_the_group_reads(servers, admin, topic, group, committed):
    numbers(servers, topic, 10)
    settings = {**LATEST, "topic.metadata.refresh.interval.ms": 500}
    stream = KafkaGroupDataset(topic, group, servers, -1, settings)
    found: list[int] = []
    # Nothing comes of the first partition but what is written after the group has begun.
    numbers_of = iter(stream)

    def write_late() -> None:
        wait_for(lambda: committed() == {0: 10}, "the group to begin")
        add_partitions(servers, admin, topic, 2)
        numbers(servers, topic, 5, 1, first=100)
        numbers(servers, topic, 1, 0, first=1)

    late = threading.Thread(target=write_late)
    late.start()
    while len(found) < 6:
        found.append(int(next(numbers_of)[0].numpy()))
    late.join()
    stream.stop()
    assert sorted(found) == [1, *range(100, 105)]


def test_a_new_group_of_two_members_does_not_read_what_latest_leaves_out(
    servers, make_topic, group, committed
):
    """The first member commits where the group begins; the second does not take that for new."""
    topic = make_topic(2)
    for partition in range(2):
        numbers(servers, topic, 1000, partition)
    streams = [KafkaGroupDataset(topic, group, servers, 3000, LATEST) for _ in range(2)]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda stream=stream: found.extend(ints(stream)))
        for stream in streams
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not found and committed() == {0: 1000, 1: 1000}


def test_a_group_that_began_goes_on_where_it_began(servers, topic, group):
    """Also where it has committed nothing itself, and latest would mean a later record now."""
    numbers(servers, topic, 10)
    first = KafkaGroupDataset(topic, group, servers, 0, LATEST, auto_commit=False)
    assert ints(first) == []
    first.close()
    numbers(servers, topic, 5, first=10)
    assert ints(KafkaGroupDataset(topic, group, servers, 0, LATEST)) == [*range(10, 15)]


def test_a_new_group_may_be_forbidden(servers, topic, group):
    numbers(servers, topic, 1)
    stream = KafkaGroupDataset(topic, group, servers, 0, {"auto.offset.reset": "error"})
    with pytest.raises(tf.errors.OpError, match="the group has no committed offset, and auto"):
        ints(stream)


def test_mini_datasets_go_on_too(servers, topic, group):
    numbers(servers, topic, 100)
    first = KafkaMiniBatchDataset(topic, group, servers, 2000, EARLIEST, records=10)
    for _ in first:
        first.commit()
        break
    delete_before(servers, topic, 50)
    again = KafkaMiniBatchDataset(
        topic, group, servers, 2000, LATEST, records=50, on_missing_offsets="earliest"
    )
    assert [ints(mini) for mini in again] == [[*range(50, 100)]]
    assert again.counts.missing == 40


@pytest.mark.parametrize("on_missing", ["error", "earliest"])
def test_an_exactly_once_worker(servers, make_topic, group, on_missing):
    topic, predictions = make_topic(), make_topic()
    job = InferenceJob(lambda x: x[:, 0], CsvDecoder(1), [topic], predictions, group)
    write(servers, topic, ["1"] * 10)
    assert ExactlyOnceInference(job, servers).run().used == 10
    write(servers, topic, ["1"] * 40)
    delete_before(servers, topic, 30)
    worker = ExactlyOnceInference(job, servers, on_missing_offsets=on_missing)
    if on_missing == "error":
        with pytest.raises(OffsetError, match=GONE.format(10, 30, 20)):
            worker.run()
        return
    counts = worker.run()
    assert (counts.used, counts.missing) == (20, 20)
    [(offsets, _)] = settled_predictions(servers, predictions).values()
    assert offsets.tolist() == [*range(10), *range(30, 50)]


@pytest.mark.parametrize("on_missing", ["error", "earliest"])
def test_a_learner(servers, topic, tmp_path, on_missing):
    seen: list[int] = []

    def build() -> keras.Model:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def train(_model, features, _labels) -> None:
        seen.extend(features[:, 0].astype(int).tolist())
        if len(seen) == 10:
            delete_before(servers, topic, 45)

    write(servers, topic, map(str, range(100)), ["1"] * 100)
    stream = Stream(
        topic,
        CsvDecoder(1, label="key"),
        servers,
        mini_dataset=10,
        stream_timeout=0,
        on_missing_offsets=on_missing,
    )
    lines: list[str] = []
    if on_missing == "error":
        with pytest.raises(OffsetError, match="all before 45 have been deleted"):
            learn(tmp_path, stream, build, train, seed=1)
        return
    learn(tmp_path, stream, build, train, seed=1, notify=lines.append)
    assert seen == [*range(10), *range(45, 100)]
    assert sum("records were deleted before they were read" in line for line in lines) == 4
