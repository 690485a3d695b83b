"""Writing: what is acknowledged, and what is said of what is not."""

from __future__ import annotations

import pytest

from tests.integration.tfkafka.records import ints
from tfkafka import KafkaDataset, write
from tfkafka.errors import ConfigurationError, WriteError


def test_all_are_there_in_order(kafka, topic):
    servers = kafka.bootstrap_servers
    assert write(servers, topic, (str(n) for n in range(50_000))) == 50_000
    assert ints(KafkaDataset(topic, servers=servers, batch_size=None).take(3)) == [0, 1, 2]
    chunks = KafkaDataset(topic, servers=servers).chunks()
    assert [int(v) for m, _ in chunks for v in m.numpy()] == [*range(50_000)]


def test_a_key_has_the_partition_that_java_gives_it(kafka, make_topic):
    """murmur2, as in Kafka's own DefaultPartitioner: of 2 partitions "1.0" has 0, "0.0" has 1."""
    from kafka.partitioner.default import murmur2

    servers, topic, keys = kafka.bootstrap_servers, make_topic(2), [f"{n}" for n in range(50)]
    write(servers, topic, keys, keys)
    for partition in range(2):
        expected = [key for key in keys if (murmur2(key.encode()) & 0x7FFFFFFF) % 2 == partition]
        got = [
            k.decode()
            for _, k in KafkaDataset(topic, partition, servers=servers).as_numpy_iterator()
        ]
        assert got == expected


def test_refused_records_are_named_and_the_others_are_written(kafka, make_topic):
    servers, topic = kafka.bootstrap_servers, make_topic(settings={"max.message.bytes": "150000"})
    values, keys = ["a", "x" * 200_000, "b"], ["k1", "k2", "k3"]
    named = (
        rf"topic {topic}: 1 of 3 records were not written: key b'k2', value b'xxx.*200,000 bytes"
    )
    with pytest.raises(WriteError, match=named):
        write(servers, topic, values, keys)
    assert len(list(KafkaDataset(topic, servers=servers))) == 2


def test_faults_of_the_caller(kafka, topic):
    servers = kafka.bootstrap_servers
    with pytest.raises(WriteError, match="topic no-such-topic"):
        write(servers, "no-such-topic", ["a"])
    with pytest.raises(WriteError, match="Unknown partition"):
        write(servers, topic, ["a"], partition=7)
    with pytest.raises(ValueError, match="keys has 2 entries, and values has 1"):
        write(servers, topic, ["a"], ["k", "k"])
    with pytest.raises(ValueError, match="keys and values differ in number"):
        write(servers, topic, ["a"], iter(["k", "k"]))
    with pytest.raises(ConfigurationError, match=r"did you mean batch\.size"):
        write(servers, topic, ["a"], configuration=["batch.sze=1"])


def test_no_broker_is_an_error_within_the_timeout():
    with pytest.raises(WriteError, match="topic t"):
        write("127.0.0.1:1", "t", ["a"], timeout_s=0.5)


def test_a_frozen_broker_is_an_error_within_the_timeout(own_kafka):
    servers = own_kafka.bootstrap_servers

    def values():
        yield "a"
        own_kafka.pause()
        yield "b"

    from tfkafka import Admin

    Admin(servers).create_topic("t")
    try:
        with pytest.raises(WriteError, match=r"topic t: .* were not acknowledged within 2 s"):
            write(servers, "t", values(), timeout_s=2)
    finally:
        own_kafka.resume()
