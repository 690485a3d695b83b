"""Records that cannot be decoded: error, skip, dead letter."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from kafka import KafkaProducer

from tests import fillers
from tests.client_settings import for_kafka_python
from tfkafka import (
    ArraySpec,
    CsvDecoder,
    FunctionDecoder,
    KafkaDataset,
    headers_of,
    write,
)
from tfkafka.decoding.bad_records import Counts
from tfkafka.errors import BadRecordError

VALUES = ["1,2", "1", "text", "3,", "5,6", "7,8"]
KEYS = ["0", "0", "0", "0", "1", None]
DECODE = CsvDecoder(2, label="key")


@pytest.fixture
def bad_topic(kafka, topic) -> str:
    write(kafka.bootstrap_servers, topic, VALUES, KEYS)
    return topic


def test_the_error_names_the_record_and_the_reason(kafka, bad_topic):
    dataset = KafkaDataset(bad_topic, servers=kafka.bootstrap_servers, decode=DECODE, batch_size=2)
    named = rf"{bad_topic}, partition 0, offset 1: has 1 columns instead of 2"
    with pytest.raises(tf.errors.OpError, match=named):
        list(dataset)
    assert isinstance(dataset.error, BadRecordError)


def test_skip_counts(kafka, bad_topic, caplog):
    dataset = KafkaDataset(
        bad_topic,
        servers=kafka.bootstrap_servers,
        decode=DECODE,
        batch_size=64,
        on_bad_record="skip",
    )
    for _ in range(2):
        [(features, labels)] = list(dataset)
        assert features.numpy().tolist() == [[1, 2], [5, 6]]
        assert labels.numpy().tolist() == [0, 1]
        assert dataset.counts == Counts(read=6, used=2, skipped=4)
    assert dataset.counts.reasons == {
        "has 1 columns instead of 2": 2,
        "column 1 (from 0) is empty": 1,
        "label: is null": 1,
    }
    assert len(caplog.messages) == 1  # and not once for each iteration
    assert f"topic {bad_topic}: 4 of 6 records could not be decoded and were sk" in caplog.text


@fillers.both
def test_dead_letter_keeps_the_record_and_the_reason_once(kafka, bad_topic, make_topic):
    servers, dead_letter_topic = kafka.bootstrap_servers, make_topic()
    dataset = KafkaDataset(
        bad_topic,
        servers=servers,
        decode=DECODE,
        on_bad_record="dead_letter",
        dead_letter_topic=dead_letter_topic,
    )
    for _ in range(2):
        assert len(list(dataset)) == 2
        assert dataset.counts == Counts(read=6, used=2, dead_lettered=4)
    kept = [*KafkaDataset(dead_letter_topic, servers=servers, metadata=True).as_numpy_iterator()]
    assert [message.decode() for message, _, _ in kept] == ["1", "text", "3,", "7,8"]
    headers = [dict(headers_of(where.headers)) for _, _, where in kept]
    assert [h["tfkafka.offset"] for h in headers] == [b"1", b"2", b"3", b"5"]
    assert headers[3]["tfkafka.reason"] == b"label: is null"
    assert headers[0]["tfkafka.topic"].decode() == bad_topic


def test_a_large_record_is_the_brokers_to_judge(kafka, make_topic):
    servers = kafka.bootstrap_servers
    topic, large = (make_topic(settings={"max.message.bytes": "5000000"}) for _ in range(2))
    write(servers, topic, ["x" * 2_000_000])

    def reading(dead_letter_topic: str) -> KafkaDataset:
        return KafkaDataset(
            topic,
            servers=servers,
            decode=DECODE,
            on_bad_record="dead_letter",
            dead_letter_topic=dead_letter_topic,
        )

    dataset = reading(large)
    assert list(dataset) == []
    assert dataset.counts == Counts(read=1, dead_lettered=1)
    with pytest.raises(tf.errors.OpError, match=rf"{topic}, partition 0, offset 0.*too large"):
        list(reading(make_topic()))


class Raw(str):
    """The name of a header that kafka-python sends as these bytes."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


def test_a_header_whose_name_is_not_utf8_is_refused_in_one_line(kafka, topic, make_topic):
    """Other clients write such names; confluent-kafka fails on them with a SystemError."""
    servers = kafka.bootstrap_servers
    write(servers, topic, ["1", "2"])
    producer = KafkaProducer(bootstrap_servers=servers, **for_kafka_python())
    producer.send(topic, b"3", headers=[("fine", b"1"), (Raw("-"), b"2"), ("fine", b"3")])
    producer.close()
    assert len(list(KafkaDataset(topic, servers=servers))) == 3
    for arguments in (
        {"metadata": True},
        {
            "decode": DECODE,
            "on_bad_record": "dead_letter",
            "dead_letter_topic": make_topic(),
        },
    ):
        dataset = KafkaDataset(topic, servers=servers, **arguments)
        named = rf"{topic}, partition 0, offset 2: the name of a header is not UTF-8"
        with pytest.raises(tf.errors.OpError, match=named):
            list(dataset)
        assert isinstance(dataset.error, BadRecordError)
        assert dataset.error.offset == 2


@pytest.mark.parametrize(
    "arguments", [{"on_bad_record": "ignore"}, {"on_bad_record": "dead_letter"}]
)
def test_wrong_arguments_are_refused(kafka, topic, arguments):
    with pytest.raises(ValueError, match="on_bad_record"):
        KafkaDataset(topic, servers=kafka.bootstrap_servers, decode=DECODE, **arguments)


def test_the_reason_of_a_dead_letter_is_whole(servers, topic, make_topic):
    """Kafka's client ends a header at a null byte, and refuses a lone surrogate."""
    dead_letter_topic = make_topic()

    def refuse(values: list[bytes]) -> None:
        raise ValueError(f"null \0, surrogate \udc80, escape \x1b: {len(values)} values")

    write(servers, topic, ["1"])
    dataset = KafkaDataset(
        topic,
        servers=servers,
        decode=FunctionDecoder(refuse, ArraySpec((), np.dtype(np.float32))),
        on_bad_record="dead_letter",
        dead_letter_topic=dead_letter_topic,
    )
    assert not list(dataset)
    [(_, _, where)] = KafkaDataset(dead_letter_topic, servers=servers, metadata=True)
    reason = dict(headers_of(where.headers.numpy()))["tfkafka.reason"].decode()
    said = r"null \x00, surrogate \udc80, escape \x1b: 1 values"
    assert reason == f"raised ValueError: {said}"
