"""tfkafka.tfio: tensorflow-io's names, arguments and defaults, case by case."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import tensorflow as tf

import tfkafka.tfio as tfio
import tfkafka.tfio.kafka as kafka_io
from tests.integration.tfkafka.records import ints, numbers
from tests.tutorial import PATIENT_GROUP_CONFIGURATION as EARLIEST
from tests.unit.decoding.avro_samples import record
from tests.unit.tfio.comparing import delivered, is_lifted
from tfkafka import AvroEncoder, write
from tfkafka.tfio.lifting import VARIABLE

SETTINGS = EARLIEST[:2]
streaming = tfio.experimental.streaming


@pytest.fixture
def ten(servers, topic) -> str:
    write(servers, topic, [f"D{n}" for n in range(10)], [f"K{n % 2}" for n in range(10)])
    return topic


D = [f"D{n}".encode() for n in range(10)]


def test_io_tensor(servers, ten):
    tensor = tfio.IOTensor.from_kafka(ten, servers=servers)
    assert tensor.dtype == tf.string and tensor.shape.as_list() == [None]
    assert tensor.to_tensor().numpy().tolist() == D
    assert tensor[3].numpy() == D[3] and tensor[2:5].numpy().tolist() == D[2:5]
    with pytest.raises(IndexError, match="index 10 is out of range"):
        tensor[10]


def test_io_dataset_repeats(servers, ten):
    dataset = tfio.IODataset.from_kafka(ten, servers=servers, configuration=["fetch.min.bytes=2"])
    assert isinstance(dataset, tf.data.Dataset)
    for _ in range(3):
        assert [m.numpy().tolist() for m, _ in dataset.batch(2)] == [
            D[i : i + 2] for i in range(0, 10, 2)
        ]
    [first] = dataset.take(1)
    assert (first.message.numpy(), first.key.numpy()) == (b"D0", b"K0")


# The others map nothing, which is what can be lifted.
@pytest.mark.parametrize("lift", ["1", "0"])
def test_the_tutorials_pipeline(servers, topic, lift, monkeypatch):
    monkeypatch.setenv(VARIABLE, lift)
    write(servers, topic, [f"{n},{n}" for n in range(100)], ["1.0"] * 100)

    def decode(item):
        return tf.stack(tf.io.decode_csv(item.message, [[0.0]] * 2)), tf.strings.to_number(item.key)

    dataset = tfio.IODataset.from_kafka(topic, partition=0, offset=0, servers=servers)
    dataset = dataset.shuffle(buffer_size=64).map(decode).batch(64)
    assert is_lifted(dataset) == (lift == "1")
    batches = list(dataset)
    assert [len(x) for x, _ in batches] == [64, 36]
    assert sorted(tf.concat([x[:, 0] for x, _ in batches], 0).numpy()) == [*range(100)]


def test_offset_start_and_stop(servers, ten):
    def read(**arguments):
        dataset = tfio.IODataset.from_kafka(ten, servers=servers, **arguments)
        return [item.message.numpy() for item in dataset]

    assert read(offset=7) == D[7:]
    assert read(start=2, stop=5) == D[2:5]
    with pytest.raises(TypeError, match="ofset"):
        read(ofset=7)


def test_stream_ends_at_the_end_of_the_partition(servers, ten):
    dataset = tfio.IODataset.stream().from_kafka(ten, servers=servers, offset=4)
    assert [item.message.numpy() for item in dataset] == D[4:]


def test_group_resumes_with_new_records(servers, ten, group):
    def read():
        dataset = streaming.KafkaGroupIODataset(
            topics=[ten],
            group_id=group,
            servers=servers,
            message_poll_timeout=1000,
            configuration=EARLIEST,
        )
        return sorted(message.numpy() for message, _ in dataset)

    assert read() == D
    assert read() == []
    for n in range(10, 20):
        kafka_io.write_kafka(message=f"D{n}", topic=ten, servers=servers)
    assert read() == [f"D{n}".encode() for n in range(10, 20)]


@pytest.mark.parametrize("reset", ["auto.offset.reset", "conf.topic.auto.offset.reset"])
def test_auto_offset_reset_of_the_client_and_of_the_topic(servers, ten, group, reset):
    for value, expected in (("earliest", D), ("latest", [])):
        dataset = streaming.KafkaGroupIODataset(
            [ten],
            f"{group}-{value}",
            servers,
            message_poll_timeout=1000,
            configuration=[*SETTINGS, f"{reset}={value}"],
        )
        assert sorted(message.numpy() for message, _ in dataset) == expected


@pytest.mark.parametrize("kind", [streaming.KafkaGroupIODataset, streaming.KafkaBatchIODataset])
def test_invalid_stream_timeout(kind):
    text = r"^Invalid stream_timeout value: -20 ,set it to -1 to block indefinitely\.$"
    with pytest.raises(ValueError, match=text):
        kind(topics=["t"], group_id="g", servers="localhost:9092", stream_timeout=-20)


def test_stream_timeout_waits_for_late_records(servers, ten, group):
    late = threading.Timer(2.0, numbers, (servers, ten, 5))
    dataset = streaming.KafkaGroupIODataset(
        [ten],
        group,
        servers,
        stream_timeout=5000,
        message_poll_timeout=1000,
        configuration=EARLIEST,
    )
    late.start()
    assert len([message for message, _ in dataset]) == 15


def test_mini_datasets_have_the_size_that_the_settings_say(servers, topic, group):
    numbers(servers, topic, 250)
    dataset = streaming.KafkaBatchIODataset(
        [topic],
        group,
        servers,
        stream_timeout=1000,
        message_poll_timeout=1000,
        configuration=[*EARLIEST, "batch.num.messages=100"],
    )
    assert isinstance(dataset, tf.data.Dataset)
    minis = list(dataset)
    assert [len(mini) for mini in minis] == [100, 100, 50]
    assert sorted(n for mini in minis for n in ints(mini)) == [*range(250)]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["{}:0:0:4"], D[:5]),
        (["{}:0:5:-1"], D[5:]),
        (["{}"], D),
        (["{}:0:0:4", "{}:0:5:-1"], D),
        (["{}:0:100:-1"], D),
    ],
)
def test_subscriptions(servers, ten, entries, expected):
    dataset = kafka_io.KafkaDataset(
        [entry.format(ten) for entry in entries],
        servers=servers,
        group="test",
        eof=True,
        config_topic=["auto.offset.reset=earliest"],
    )
    assert [message.numpy() for message in dataset.repeat(2)] == expected * 2


def test_subscriptions_with_key_and_offset(servers, ten):
    def first(**which):
        dataset = kafka_io.KafkaDataset([f"{ten}:0:3"], servers=servers, eof=True, **which)
        return next(dataset.as_numpy_iterator())

    assert first() == b"D3"
    assert first(message_key=True) == (b"D3", b"K1")
    assert first(message_offset=True) == (b"D3", b"0:3")
    assert first(message_key=True, message_offset=True) == (b"D3", b"K1", b"0:3")


def test_a_subscription_without_eof_waits_for_more(servers, ten):
    later = threading.Timer(1.0, numbers, (servers, ten, 2))
    dataset = kafka_io.KafkaDataset([f"{ten}:0:8"], servers=servers)
    later.start()
    assert [m.numpy() for m in dataset.take(4)] == [*D[8:], b"0", b"1"]


@pytest.mark.parametrize("entry", ["", "t:x", "t:0:0:0:0"])
def test_invalid_subscriptions(entry):
    with pytest.raises(ValueError, match="Invalid parameters"):
        kafka_io.KafkaDataset([entry])


def test_output_sequence_writes_in_the_order_of_indices(servers, topic):
    sequence = kafka_io.KafkaOutputSequence(topic, servers=servers)
    for index in (2, 0, 1, 4):
        sequence.setitem(index, f"item {index}")
    sequence.flush()
    sequence.setitem(3, "item 3")
    sequence.flush()
    got = [
        item.message.numpy().decode() for item in tfio.IODataset.from_kafka(topic, servers=servers)
    ]
    assert got == [f"item {index}" for index in range(5)]


def test_write_kafka_in_a_graph(servers, topic):
    @tf.function
    def work(text):
        return kafka_io.write_kafka(text, topic=topic, servers=servers)

    assert work(tf.constant("x")).numpy() == b"x"
    assert len(list(tfio.IODataset.from_kafka(topic, servers=servers))) == 1


SCHEMA = json.dumps(record("Row", [("f1", "string"), ("f2", "long")]))


def test_avro_that_was_encoded_and_written(servers, topic):
    texts, numbers = tf.constant(["value1", "value2", "value3"]), tf.constant([1, 2, 3], tf.int64)
    for message in kafka_io.encode_avro([texts, numbers], schema=SCHEMA):
        kafka_io.write_kafka(message, topic, servers)
    records = tfio.IODataset.from_kafka(topic, servers=servers).map(lambda item: item.message)
    decoded = kafka_io.decode_avro(next(iter(records.batch(10))), schema=SCHEMA)
    assert decoded["f1"].numpy().tolist() == texts.numpy().tolist()
    assert decoded["f2"].numpy().tolist() == numbers.numpy().tolist()


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_avro_in_confluents_format_is_the_same_lifted_or_not(
    servers, topic, batched, bad, monkeypatch
):
    """As tensorflow-io's users read it: without the five bytes before the record."""
    schema = record("Row", [("x", "float"), ("n", ["null", "long"])])
    encoder = AvroEncoder(schema, registry="mock://tfio", subject=f"{topic}-value")
    columns = {"x": np.arange(10, dtype=np.float32), "n": np.arange(10)}
    write(servers, topic, columns, encoder=encoder)
    if bad:
        write(servers, topic, [b"\0\0\0\0\1\0"])

    def decode(item):
        body = tf.strings.substr(item.message, 5, -1)
        return kafka_io.decode_avro(body, json.dumps(schema))

    found = []
    for lift in ("1", "0"):
        monkeypatch.setenv(VARIABLE, lift)
        records = tfio.IODataset.from_kafka(topic, servers=servers)
        batches = records.batch(4).map(decode) if batched else records.map(decode).batch(4)
        found.append(delivered(batches))
    assert found[0] == found[1] and len(found[0]) == 3
    assert np.frombuffer(found[0][0][1][2], np.float32).tolist() == [0, 1, 2, 3]
    assert [each[0] for each in found[0]].count(tf.errors.InvalidArgumentError) == bad
