"""Writing: what is acknowledged, and what is said of what is not."""

from __future__ import annotations

import confluent_kafka
import numpy as np
import pandas
import polars
import pytest

from tests.integration.tfkafka.records import ints
from tfkafka import FunctionEncoder, JsonEncoder, KafkaDataset, TensorEncoder, write
from tfkafka.client import create
from tfkafka.errors import ConfigurationError, WriteError
from tfkafka.testing import wait_for


def test_all_are_there_in_order(kafka, topic):
    servers = kafka.bootstrap_servers
    assert write(servers, topic, (str(n) for n in range(50_000))) == 50_000
    assert ints(KafkaDataset(topic, servers=servers, batch_size=None).take(3)) == [0, 1, 2]
    chunks = KafkaDataset(topic, servers=servers).chunks()
    assert [int(v) for m, _ in chunks for v in m.numpy()] == [*range(50_000)]


def test_what_a_generator_yields_is_sent_as_it_comes(kafka, admin, topic):
    def values():
        for count in range(1, 4):
            yield str(count)
            wait_for(lambda n=count: admin.record_count(topic) == n, f"record {count}", 30)

    assert write(kafka.bootstrap_servers, topic, values()) == 3


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


@pytest.mark.parametrize(
    ("limit", "configuration", "expected"),
    [
        ("1048588", None, [1_000_000]),
        ("999999", None, [1_000_000, 100_000]),
        ("999999", ["batch.size=500000"], ["500000"]),
    ],
)
def test_batches_are_as_large_as_the_topic_takes(
    kafka, make_topic, monkeypatch, limit, configuration, expected
):
    sizes, create_client = [], create.make_client

    def noted(kind, settings):
        if kind is confluent_kafka.Producer:
            sizes.append(settings["batch.size"])
        return create_client(kind, settings)

    monkeypatch.setattr(create, "make_client", noted)
    topic = make_topic(settings={"max.message.bytes": limit})
    write(kafka.bootstrap_servers, topic, ["a"], configuration=configuration)
    assert sizes == expected


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


COLUMNS = {
    "x": np.array([0.1, 2.5, -3], np.float32),
    "n": np.array([1, 2, 3]),
    "label": np.array(["a", "b", "c"], object),
}
OBJECTS = [
    b'{"x":0.1,"n":1,"label":"a"}',
    b'{"x":2.5,"n":2,"label":"b"}',
    b'{"x":-3.0,"n":3,"label":"c"}',
]


@pytest.mark.parametrize("table", [dict, pandas.DataFrame, polars.DataFrame])
def test_columns_with_an_encoder(kafka, topic, table):
    servers, keys = kafka.bootstrap_servers, COLUMNS["label"]
    series = {
        dict: keys,
        pandas.DataFrame: pandas.Series(keys),
        polars.DataFrame: polars.Series(keys),
    }
    written = write(servers, topic, table(COLUMNS), series[table], encoder=JsonEncoder())
    found = [*KafkaDataset(topic, servers=servers).as_numpy_iterator()]
    assert written == 3 and found == list(zip(OBJECTS, [b"a", b"b", b"c"], strict=True))


def test_an_array_is_encoded_in_parts(kafka, topic):
    servers, array = kafka.bootstrap_servers, np.arange(40_000, dtype=np.float32).reshape(-1, 2)
    lengths = []

    class Encoder(TensorEncoder):
        def encode(self, columns):
            lengths.append(len(columns))
            return super().encode(columns)

    assert write(servers, topic, array, encoder=Encoder("float32", (2,))) == 20_000
    assert sum(lengths) == 20_000 and max(lengths) < 10_000
    values = [value for value, _ in KafkaDataset(topic, servers=servers).as_numpy_iterator()]
    assert b"".join(values) == array.tobytes()


def test_columns_that_cannot_be_written(kafka, topic):
    """Refused in one line before anything is sent, except for what is in a later part."""
    servers, array = kafka.bootstrap_servers, np.zeros(20_000, np.float32)

    def refused(error, match, values, keys=None, encoder=JsonEncoder()):  # noqa: B008
        with pytest.raises(error, match=match) as caught:
            write(servers, topic, values, keys, encoder=encoder)
        assert len(str(caught.value).splitlines()) == 1

    for values in (COLUMNS, pandas.DataFrame(COLUMNS), polars.DataFrame(COLUMNS)):
        refused(TypeError, r"^values is .* or columns with encoder=", values, encoder=None)
    refused(TypeError, r"^values\[0\] is .*0.0.*: for numbers give columns", array, encoder=None)
    refused(TypeError, r"^values is \[\[1\]\], must be columns", [[1]])
    refused(TypeError, r"^encoder is .*, must be an encoder", array, encoder=JsonEncoder)
    refused(ValueError, r"^values is .*, must be columns", np.array(5))
    refused(ValueError, r"numbers of rows: a: 1, b: 2$", {"a": np.zeros(1), "b": np.zeros(2)})
    refused(ValueError, "there are none|must have different", {})
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    refused(ValueError, r"columns \['a', 'a'\], must have different", twice)
    refused(ValueError, r"TensorEncoder writes", COLUMNS, encoder=TensorEncoder())
    refused(ValueError, "keys has 2 entries, and values has 20,000", array, ["a", "b"])
    refused(TypeError, r"^keys\[0\] is .*5.*give numbers as text", array[:1], np.array([5]))
    short = FunctionEncoder(lambda columns: [b"x"], np.array)
    refused(ValueError, "returned 1 values for 8,192 rows", array, encoder=short)
    assert not list(KafkaDataset(topic, servers=servers))
    array[9_000] = np.nan
    refused(ValueError, r"^record 9000 \(from 0\) is nan", array)
