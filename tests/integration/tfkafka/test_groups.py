"""KafkaGroupDataset and KafkaMiniBatchDataset: delivery, commits, membership."""

from __future__ import annotations

import gc
import threading
import time

import pytest
import tensorflow as tf
from confluent_kafka import Consumer, KafkaError

from tests import fillers, groups
from tests.integration.tfkafka.records import ints, numbers
from tests.integration.tfkafka.rivals import trickle
from tests.tutorial import PATIENT_GROUP_CONFIGURATION as SETTINGS
from tfkafka import CsvDecoder, KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.client import consumer
from tfkafka.errors import ConfigurationError
from tfkafka.testing import wait_for


@pytest.fixture
def patient(monkeypatch) -> None:
    """An iteration without a record tells where the group is if Kafka answers within 2 s."""
    monkeypatch.setattr("tfkafka.reading.member.ASK_S", 60.0)


@fillers.both
def test_all_once_and_nothing_the_second_time(servers, make_topic, group, committed):
    topic = make_topic(2)
    for partition in range(2):
        numbers(servers, topic, 3000, partition, first=3000 * partition)
    dataset = KafkaGroupDataset(topic, group, servers, 0, SETTINGS)
    assert sorted(ints(dataset)) == [*range(6000)]
    assert committed() == {0: 3000, 1: 3000}
    assert ints(dataset) == []
    numbers(servers, topic, 5, 1, first=6000)
    assert ints(dataset) == [*range(6000, 6005)]


@pytest.mark.parametrize("kind", [KafkaGroupDataset, KafkaMiniBatchDataset])
def test_an_iteration_without_a_record_says_so(servers, make_topic, group, kind, caplog, patient):
    topic = make_topic(2)
    numbers(servers, topic, 10, 1)
    dataset = kind(topic, group, servers, 0, SETTINGS)
    assert len(list(dataset)) > 0
    assert caplog.messages == []
    for _ in range(2):
        assert list(dataset) == []
    first, second = caplog.messages
    assert first == second
    assert f"group {group}, topic {topic}: this iteration had no record: " in first
    assert f"topic {topic}, partition 1: committed 10, ends at 10; a group reads each" in first
    assert f"topic {topic}, partition 0: committed " in first and "ends at 0; " in first


def test_fit_with_more_epochs_than_a_stream_has_says_so(servers, topic, group, caplog):
    write(servers, topic, ["1,2"] * 10, ["1"] * 10)
    decode = CsvDecoder(2, "key")
    dataset = KafkaGroupDataset(topic, group, servers, 0, SETTINGS, decode=decode, batch_size=5)
    model = tf.keras.Sequential([tf.keras.layers.Input((2,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(dataset, epochs=3, verbose=0, shuffle=False)
    assert len(caplog.messages) == 2
    assert all("for several epochs, use KafkaDataset" in line for line in caplog.messages)


def test_a_new_group_at_the_end_is_told_where_the_beginning_is(
    servers, topic, group, caplog, patient
):
    numbers(servers, topic, 10)
    assert ints(KafkaGroupDataset(topic, group, servers, 0)) == []
    [line] = caplog.messages
    assert "ends at 10; a new group begins at the end unless auto.offset.reset=earliest" in line


def test_a_stream_that_was_stopped_or_left_says_nothing(servers, topic, group, caplog):
    stream = KafkaGroupDataset(topic, group, servers, -1, SETTINGS)
    threading.Timer(1, stream.stop).start()
    assert ints(stream) == []
    numbers(servers, topic, 10)
    for _ in KafkaGroupDataset(topic, group, servers, 0, SETTINGS):
        break
    assert caplog.messages == []


@fillers.both
def test_several_topics(servers, make_topic, group):
    topics = [make_topic(), make_topic(2)]
    numbers(servers, topics[0], 10)
    numbers(servers, topics[1], 10, 1, first=10)
    dataset = KafkaGroupDataset(topics, group, servers, 0, SETTINGS)
    assert sorted(ints(dataset)) == [*range(20)]


def test_latest_gives_a_new_group_only_what_comes(servers, topic, group):
    numbers(servers, topic, 10)
    dataset = KafkaGroupDataset(topic, group, servers, 3000, ["auto.offset.reset=latest"])
    records = dataset.as_numpy_iterator()
    with trickle(servers, topic, 10, every_s=0.05) as written:
        first, _ = next(records)
    seen = [int(first), *(int(value) for value, _ in records)]
    assert seen[0] >= 10
    assert seen == [*range(seen[0], written.end)]


def test_the_stream_ends_after_unbroken_silence_not_counting_the_models_time(servers, topic, group):
    numbers(servers, topic, 2)
    seen, ended = [], []
    for message, _ in KafkaGroupDataset(topic, group, servers, 1500, SETTINGS):
        seen.append(int(message))
        if len(seen) == 1:
            # A model that works longer than the stream may be silent.
            threading.Event().wait(3)
            numbers(servers, topic, 1, first=2)
        ended = [time.monotonic()]
    assert seen == [0, 1, 2]
    assert time.monotonic() - ended[0] >= 1.5


@pytest.mark.parametrize("kind", [KafkaGroupDataset, KafkaMiniBatchDataset])
def test_stop_ends_a_silent_stream(servers, topic, group, committed, kind):
    numbers(servers, topic, 5)
    dataset = kind(topic, group, servers, -1, SETTINGS)
    seen = 0
    for element in dataset:
        seen += len(element) if kind is KafkaMiniBatchDataset else 1
        if seen == 5:
            # Later than the loop has asked for more.
            threading.Timer(1.0, dataset.stop).start()
    assert seen == 5
    assert dataset.error is None
    assert committed() == {0: 5}
    numbers(servers, topic, 5)
    assert not list(dataset)


def test_what_a_stopped_stream_has_read_ahead_comes_again(servers, topic, group):
    numbers(servers, topic, 20_000)
    dataset = KafkaGroupDataset(topic, group, servers, -1, SETTINGS)
    seen = []
    for message, _ in dataset:
        seen.append(int(message))
        if len(seen) == 100:
            dataset.stop()
    assert 100 <= len(seen) < 20_000
    rest = KafkaGroupDataset(topic, group, servers, 0, SETTINGS)
    assert seen + ints(rest) == [*range(20_000)]


def test_what_a_stopped_stream_has_for_a_mini_dataset_comes_again(servers, topic, group):
    numbers(servers, topic, 25)
    dataset = KafkaMiniBatchDataset(topic, group, servers, -1, SETTINGS, records=10)
    seen = []
    for mini_dataset in dataset:
        seen += ints(mini_dataset)
        dataset.stop()
    assert seen == [*range(10)]
    rest = KafkaGroupDataset(topic, group, servers, 0, SETTINGS)
    assert ints(rest) == [*range(10, 25)]


def test_late_records_are_delivered(servers, topic, group, committed):
    numbers(servers, topic, 3)
    seen = []
    dataset = KafkaGroupDataset(topic, group, servers, 120_000, SETTINGS)
    for message, _ in dataset:
        seen.append(int(message))
        if len(seen) in (3, 6):
            # Written later than the dataset has asked for more.
            later = threading.Timer(1.0, numbers, (servers, topic, 3), {"first": len(seen)})
            later.start()
        if len(seen) == 9:
            dataset.stop()
    assert seen == [*range(9)]
    assert committed() == {0: 9}


def _end(servers, topic, group):
    list(KafkaGroupDataset(topic, group, servers, 0, SETTINGS))


def _break(servers, topic, group):
    for _ in KafkaGroupDataset(topic, group, servers, -1, SETTINGS).batch(2).prefetch(2):
        break


def _take(servers, topic, group):
    list(KafkaGroupDataset(topic, group, servers, -1, SETTINGS).take(3))


def _fail(servers, topic, group):
    with pytest.raises(RuntimeError, match="the model fails"):
        for _ in KafkaGroupDataset(topic, group, servers, -1, SETTINGS):
            raise RuntimeError("the model fails")


def _break_mini(servers, topic, group):
    for _ in KafkaMiniBatchDataset(topic, group, servers, -1, SETTINGS):
        break


def _take_mini(servers, topic, group):
    list(KafkaMiniBatchDataset(topic, group, servers, -1, SETTINGS).take(1))


def _fail_decoding(servers, topic, group):
    dataset = KafkaGroupDataset(topic, group, servers, -1, SETTINGS, decode=CsvDecoder(2))
    with pytest.raises(tf.errors.OpError, match="has 1 columns instead of 2"):
        list(dataset)
    return dataset  # its `error` holds the frames in which it was raised


@pytest.mark.parametrize(
    "way", [_end, _break, _take, _fail, _fail_decoding, _break_mini, _take_mini]
)
def test_the_group_is_left(servers, topic, group, admin, way):
    numbers(servers, topic, 10)
    _kept = way(servers, topic, group)
    # The iterator may be in a cycle of references, which an exception's traceback makes.
    gc.collect()
    groups.wait_until_left(admin, group)


def test_a_commit_does_not_wait_for_room_to_read_ahead(servers, topic, group, committed):
    """Each would wait for a second: the loop makes no room while it waits for the answer."""
    numbers(servers, topic, 100_000)
    online = KafkaMiniBatchDataset(
        topic, group, servers, -1, SETTINGS, records=5000, prefetch_bytes=10_000
    )
    mini_datasets = iter(online)
    next(mini_datasets)
    began = time.monotonic()
    for _ in range(19):
        next(mini_datasets)
    assert time.monotonic() - began < 17
    assert committed() == {0: 95_000}
    online.close()


@pytest.mark.parametrize("kind", ["async", "full"])
def test_a_commit_that_finds_no_coordinator_is_sent_again(
    servers, topic, group, committed, kind, monkeypatch
):
    """As librdkafka answers at times after the death of the broker that was the coordinator."""
    lacking: list[KafkaError] = []
    answer = consumer._answer

    def answer_late(error, partitions):
        return answer(lacking.pop() if lacking else error, partitions)

    monkeypatch.setattr(consumer, "_answer", answer_late)
    write(servers, topic, ["x" * 1000] * 100)
    buffer = {"prefetch_bytes": 2000} if kind == "full" else {}
    stream = KafkaGroupDataset(
        topic, group, servers, -1, SETTINGS, batch_size=10, auto_commit=False, **buffer
    )
    batches = iter(stream)
    next(batches)
    lacking += [KafkaError(KafkaError._WAIT_COORD)] * 3
    stream.commit(10)
    assert not lacking and committed() == {0: 10}
    stream.close()


def test_a_mini_dataset_has_at_least_one_record(servers, topic, group):
    with pytest.raises(ValueError, match="records is 0, must be at least 1"):
        KafkaMiniBatchDataset(topic, group, servers, records=0)
    with pytest.raises(ConfigurationError, match="as records="):
        KafkaMiniBatchDataset(topic, group, servers, configuration=["batch.num.messages=7"])


@fillers.both
def test_a_loop_that_is_broken_off_leaves_its_last_chunk_uncommitted(
    servers, topic, group, committed
):
    numbers(servers, topic, 10)
    for _ in KafkaGroupDataset(topic, group, servers, -1, SETTINGS):
        break
    assert committed() == {0: 0}
    assert ints(KafkaGroupDataset(topic, group, servers, 0, SETTINGS)) == [*range(10)]


def test_a_slow_model_stays_in_the_group(servers, topic, group, admin, committed):
    """Longer at one chunk than max.poll.interval.ms and the session may last."""
    write(servers, topic, [b"x" * 1000] * 20_000)
    settings = ["session.timeout.ms=7000", "max.poll.interval.ms=7000", *SETTINGS[2:]]
    dataset = KafkaGroupDataset(topic, group, servers, 0, settings, prefetch_bytes=1 << 20)
    members, count = set(), 0
    for place, message in enumerate(dataset.chunks()):
        count += len(message[0])
        if place in (1, 3):
            threading.Event().wait(8.5)
        if place < 5:
            members |= {row.consumer_id for row in admin.describe_group(group)}
    assert count == 20_000
    assert len(members) == 1 and None not in members
    assert committed() == {0: 20_000}


def test_two_members_share_and_nothing_is_lost(servers, make_topic, group, committed):
    topic = make_topic(2)
    for partition in range(2):
        numbers(servers, topic, 20_000, partition, first=20_000 * partition)
    first = KafkaGroupDataset(topic, group, servers, 4000, SETTINGS, prefetch_bytes=1 << 16)
    second = KafkaGroupDataset(topic, group, servers, 4000, SETTINGS)
    seen_by_second: list[int] = []
    thread = threading.Thread(target=lambda: seen_by_second.extend(ints(second)))
    seen = []
    for place, (message, _) in enumerate(first.chunks()):
        seen += [int(value) for value in message.numpy()]
        if place == 1:
            thread.start()
            threading.Event().wait(4)
    thread.join(300)
    assert not thread.is_alive(), "the second member reads for more than 300 s"
    assert {*seen, *seen_by_second} == {*range(40_000)}
    assert committed() == {0: 20_000, 1: 20_000}


@fillers.both
def test_nothing_is_committed_that_commit_did_not_say(servers, topic, group, committed):
    numbers(servers, topic, 10)
    dataset = KafkaGroupDataset(topic, group, servers, 0, SETTINGS, auto_commit=False)
    assert ints(dataset) == [*range(10)]
    assert committed() == {0: 0}
    dataset.commit(4)
    assert committed() == {0: 4}
    assert ints(dataset) == [*range(4, 10)]
    dataset.commit()
    assert committed() == {0: 10}


def test_commit_after_a_loop_was_broken_off(servers, topic, group, committed, admin):
    numbers(servers, topic, 10)
    dataset = KafkaGroupDataset(topic, group, servers, -1, SETTINGS, auto_commit=False)
    for _ in dataset.take(3):
        pass
    dataset.commit(3)
    assert committed() == {0: 3}
    assert not admin.has_members(group)


@fillers.both
def test_bad_records_that_are_skipped_are_committed_too(servers, topic, group, committed):
    write(servers, topic, ["1,2", "text", "3,4", "text"], ["0"] * 4)
    dataset = KafkaGroupDataset(
        topic,
        group,
        servers,
        0,
        SETTINGS,
        decode=CsvDecoder(2, "key"),
        on_bad_record="skip",
        auto_commit=False,
    )
    assert len(list(dataset)) == 2
    dataset.commit(1)
    assert committed() == {0: 2}
    dataset.commit(2)
    assert committed() == {0: 4}


@fillers.both
def test_mini_datasets(servers, topic, group, committed):
    numbers(servers, topic, 250)
    lengths, offsets, seen = [], [], []
    for mini in KafkaMiniBatchDataset(topic, group, servers, 3000, SETTINGS, records=100):
        lengths.append(len(mini))
        offsets.append(committed().get(0))
        seen += ints(mini.repeat(2))
    assert lengths == [100, 100, 50]
    assert offsets == [0, 100, 200]
    assert seen == [*[*range(100)] * 2, *[*range(100, 200)] * 2, *[*range(200, 250)] * 2]
    assert committed() == {0: 250}


def test_mini_datasets_as_the_tutorial_uses_them(servers, topic, group):
    numbers(servers, topic, 100)
    dataset = KafkaMiniBatchDataset(topic, group, servers, 1500, SETTINGS)
    for mini in dataset:
        batches = mini.shuffle(32).map(lambda message, key: (message, key)).batch(32)
        assert len(batches) == 4 and len(batches) > 0
    mapped = KafkaMiniBatchDataset(topic, group + "-2", servers, 1500, SETTINGS).map(
        lambda mini: mini.batch(10)
    )
    assert [len(mini) for mini in mapped] == [10]


def test_mini_datasets_are_committed_when_told(servers, topic, group, committed):
    numbers(servers, topic, 30)
    dataset = KafkaMiniBatchDataset(
        topic, group, servers, -1, SETTINGS, records=10, auto_commit=False
    )
    for place, _ in enumerate(dataset):
        if place == 1:
            dataset.commit()
            break
    assert committed() == {0: 20}


def test_another_library_goes_on_where_the_dataset_ended(servers, topic, group):
    numbers(servers, topic, 10)
    list(KafkaGroupDataset(topic, group, servers, 0, SETTINGS))
    numbers(servers, topic, 1, first=10)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    consumer.subscribe([topic])
    try:
        message = wait_for(lambda: consumer.poll(1.0), "a record for the other consumer")
        assert message.value() == b"10"
    finally:
        consumer.close()
