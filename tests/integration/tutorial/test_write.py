"""Step 7: what was written is what an independent reader finds."""

from collections import defaultdict
from collections.abc import Callable
from functools import cache

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError

from reproduction.susy.schema import LABEL
from tests.client_settings import for_kafka_python
from tests.tutorial import SusyTopic

Found = dict[int, list[tuple[bytes, bytes]]]


def read_all(topic: SusyTopic) -> Found:
    """(key, value) of every record of each partition, from offset 0 to the end."""
    consumer = KafkaConsumer(
        bootstrap_servers=topic.bootstrap_servers,
        enable_auto_commit=False,
        group_id=None,
        **for_kafka_python(),
    )
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    records = defaultdict(list)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        polled = consumer.poll(timeout_ms=10_000)
        assert polled, f"no record for 10 s, {ends} not reached"
        for partition, batch in polled.items():
            records[partition.partition] += [(record.key, record.value) for record in batch]
    consumer.close()
    return records


@pytest.fixture(scope="module")
def topics(susy_train_topic: SusyTopic, susy_test_topic: SusyTopic) -> dict[str, SusyTopic]:
    return {"train": susy_train_topic, "test": susy_test_topic}


@pytest.fixture(scope="module")
def found(topics: dict[str, SusyTopic]) -> Callable[[str], Found]:
    """found("train" or "test") -> all that the topic has, read once."""
    return cache(lambda which: read_all(topics[which]))


@pytest.mark.parametrize("which", ["train", "test"])
def test_acknowledged_is_sent_is_found(
    topics: dict[str, SusyTopic], found: Callable[[str], Found], which: str
):
    topic, records_of = topics[which], found(which)
    assert topic.acknowledged == len(topic.messages) == sum(map(len, records_of.values()))
    sent = list(zip(topic.messages.keys, topic.messages.values, strict=True))
    # A partition keeps the order of its records, and all records of a key are in one partition.
    for records in records_of.values():
        keys = {key for key, _ in records}
        assert records == [record for record in sent if record[0] in keys]


def test_each_class_has_a_partition_of_its_own(
    found: Callable[[str], Found], susy_test_topic: SusyTopic
):
    records = found("test")
    keys = [{key for key, _ in records[partition]} for partition in (0, 1)]
    assert sorted(map(tuple, keys)) == [(b"0.0",), (b"1.0",)]
    counts = susy_test_topic.messages.frame[LABEL].value_counts()
    for partition in (0, 1):
        (key,) = keys[partition]
        assert len(records[partition]) == counts[float(key)]


def test_an_error_callback_that_raises_is_not_heard(kafka, make_topic, observe):
    """The tutorial's error_callback cannot fail a run; the future does say what happened."""
    name = make_topic(settings={"max.message.bytes": "1000"})
    heard = []

    def error_callback(error):
        heard.append(error)
        raise RuntimeError(f"Error while sending data to kafka: {error}")

    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, **for_kafka_python())
    future = producer.send(name, value=b"x" * 10_000).add_errback(error_callback)
    try:
        producer.flush(timeout=30)
        producer.close()
        run_fails = False
    except RuntimeError:
        run_fails = True
    assert [type(error) for error in heard] == [MessageSizeTooLargeError]
    assert future.failed()
    observe("write.error_callback", run_fails)
    assert not run_fails, "the callback is heard: then the scripts can do as the tutorial does"
