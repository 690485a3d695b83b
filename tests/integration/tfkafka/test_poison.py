"""Records that cannot be decoded: fail, skip, quarantine."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tfkafka import CsvDecoder, KafkaDataset, headers_of, write
from tfkafka.decoding.bad_records import Counts
from tfkafka.errors import PoisonedRecordError

VALUES = ["1,2", "1", "text", "3,", "5,6", "7,8"]
KEYS = ["0", "0", "0", "0", "1", None]
DECODE = CsvDecoder(2, label="key")


@pytest.fixture
def poisoned(kafka, topic) -> str:
    write(kafka.bootstrap_servers, topic, VALUES, KEYS)
    return topic


def test_fail_names_the_record_and_the_reason(kafka, poisoned):
    dataset = KafkaDataset(poisoned, servers=kafka.bootstrap_servers, decode=DECODE, batch_size=2)
    named = rf"{poisoned}, partition 0, offset 1: has 1 columns instead of 2"
    with pytest.raises(tf.errors.OpError, match=named):
        list(dataset)
    assert isinstance(dataset.error, PoisonedRecordError)


def test_skip_counts(kafka, poisoned):
    dataset = KafkaDataset(
        poisoned, servers=kafka.bootstrap_servers, decode=DECODE, batch_size=64, on_poison="skip"
    )
    for _ in range(2):
        [(features, labels)] = list(dataset)
        assert features.numpy().tolist() == [[1, 2], [5, 6]]
        assert labels.numpy().tolist() == [0, 1]
        assert dataset.counts == Counts(read=6, used=2, skipped=4)


def test_quarantine_keeps_the_record_and_the_reason_once(kafka, poisoned, make_topic):
    servers, quarantine = kafka.bootstrap_servers, make_topic()
    dataset = KafkaDataset(
        poisoned, servers=servers, decode=DECODE, on_poison="quarantine",
        quarantine_topic=quarantine,
    )  # fmt: skip
    for _ in range(2):
        assert len(list(dataset)) == 2
        assert dataset.counts == Counts(read=6, used=2, quarantined=4)
    kept = [*KafkaDataset(quarantine, servers=servers, metadata=True).as_numpy_iterator()]
    assert [message.decode() for message, _, _ in kept] == ["1", "text", "3,", "7,8"]
    headers = [dict(headers_of(where.headers)) for _, _, where in kept]
    assert [h["tfkafka.offset"] for h in headers] == [b"1", b"2", b"3", b"5"]
    assert headers[3]["tfkafka.reason"] == b"label: is null"
    assert headers[0]["tfkafka.topic"].decode() == poisoned


def test_a_large_record_is_the_brokers_to_judge(kafka, make_topic):
    servers = kafka.bootstrap_servers
    topic, large = (make_topic(settings={"max.message.bytes": "5000000"}) for _ in range(2))
    write(servers, topic, ["x" * 2_000_000])

    def reading(quarantine: str) -> KafkaDataset:
        return KafkaDataset(
            topic, servers=servers, decode=DECODE, on_poison="quarantine",
            quarantine_topic=quarantine,
        )  # fmt: skip

    dataset = reading(large)
    assert list(dataset) == []
    assert dataset.counts == Counts(read=1, quarantined=1)
    with pytest.raises(tf.errors.OpError, match=rf"{topic}, partition 0, offset 0.*too large"):
        list(reading(make_topic()))


@pytest.mark.parametrize("arguments", [{"on_poison": "ignore"}, {"on_poison": "quarantine"}])
def test_wrong_arguments_are_refused(kafka, topic, arguments):
    with pytest.raises(ValueError, match="on_poison"):
        KafkaDataset(topic, servers=kafka.bootstrap_servers, decode=DECODE, **arguments)
