"""What the caller of an iteration gets where Kafka fails: soon, and with a reason."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests import fillers
from tests.integration.tfkafka.records import numbers
from tfkafka import Admin, CsvDecoder, KafkaDataset, KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.errors import ConfigurationError, OffsetError, ReadError

ROOT = Path(__file__).parents[3]
EARLIEST = ["auto.offset.reset=earliest"]
# Small enough that a dataset of some MB has not been read to its end when the first record is out.
SHORT = {"broker_timeout": 3000, "prefetch_bytes": 1 << 20}


def test_a_broker_that_dies_while_reading_is_an_error_within_the_timeout(own_kafka):
    servers = own_kafka.bootstrap_servers
    Admin(servers).create_topic("big")
    write(servers, "big", [b"x" * 1000] * 60_000)
    dataset = KafkaDataset("big", servers=servers, **SHORT)
    began = None
    with pytest.raises(tf.errors.OpError, match=r"topic big.*no answer from Kafka") as refusal:
        for place, _ in enumerate(dataset):
            if place == 0:
                own_kafka.kill()
                began = time.monotonic()
    assert time.monotonic() - began < 25
    assert servers in str(refusal.value)
    assert isinstance(dataset.error, ReadError)


def test_a_frozen_broker_ends_a_group_with_an_error_and_not_as_if_it_were_done(own_kafka):
    servers = own_kafka.bootstrap_servers
    Admin(servers).create_topic("few")
    numbers(servers, "few", 5)
    dataset = KafkaGroupDataset("few", "g", servers, 2000, EARLIEST, broker_timeout=6000)
    seen = []
    try:
        with pytest.raises(tf.errors.OpError, match="topic few"):
            for message, _ in dataset:
                seen.append(int(message))
                if len(seen) == 5:
                    own_kafka.pause()
    finally:
        own_kafka.resume()
    assert seen == [*range(5)]
    assert isinstance(dataset.error, ReadError)


def test_no_broker_at_all():
    with pytest.raises(ReadError, match="topic t"):
        KafkaDataset("t", servers="127.0.0.1:1", broker_timeout=500)
    dataset = KafkaGroupDataset("t", "g", "127.0.0.1:1", 100, broker_timeout=500)
    with pytest.raises(tf.errors.OpError, match=r"127\.0\.0\.1:1"):
        list(dataset)


@fillers.both
def test_records_deleted_since_are_an_error(kafka, topic):
    servers = kafka.bootstrap_servers
    numbers(servers, topic, 100)
    whole = KafkaDataset(topic, servers=servers)
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.delete_records([TopicPartition(topic, 0, 40)]).values():
        future.result(30)
    with pytest.raises(tf.errors.OpError, match=rf"topic {topic}, partition 0"):
        list(whole)
    assert isinstance(whole.error, OffsetError)
    assert (whole.error.topic, whole.error.partition, whole.error.offset) == (topic, 0, 0)
    with pytest.raises(OffsetError, match="all before 40 have been deleted"):
        KafkaDataset(topic, start=10, servers=servers)
    assert len(list(KafkaDataset(topic, servers=servers))) == 60
    # "The last 80" is no offset that somebody had noted: these are the last that there are.
    assert len(list(KafkaDataset(topic, last=80, servers=servers))) == 60


@fillers.both
def test_a_topic_deleted_while_reading_is_an_error(kafka, admin, topic, group):
    servers = kafka.bootstrap_servers
    numbers(servers, topic, 5)
    dataset = KafkaGroupDataset(topic, group, servers, -1, EARLIEST)
    seen = []
    with pytest.raises(tf.errors.OpError, match=rf"topic {topic}"):
        for message, _ in dataset:
            seen.append(int(message))
            if len(seen) == 5:
                admin.delete_topic(topic)
    assert seen == [*range(5)]


def test_the_error_reaches_the_caller_of_fit(kafka, topic):
    write(kafka.bootstrap_servers, topic, ["1,2"] * 200 + ["text"], ["1"] * 201)
    dataset = KafkaDataset(
        topic, servers=kafka.bootstrap_servers, decode=CsvDecoder(2, "key"), batch_size=10
    )
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(tf.errors.OpError, match=rf"topic {topic}, partition 0, offset 200"):
        model.fit(dataset, verbose=0)


def test_a_group_topic_that_is_not_there(kafka, group):
    with pytest.raises(tf.errors.OpError, match="no-such-topic"):
        list(KafkaGroupDataset("no-such-topic", group, kafka.bootstrap_servers, 1000))


@pytest.mark.parametrize("kind", [KafkaGroupDataset, KafkaMiniBatchDataset])
def test_wrong_arguments_are_refused_when_the_dataset_is_made(kind):
    with pytest.raises(ValueError, match="stream_timeout is -2"):
        kind("t", "g", "127.0.0.1:1", -2)
    with pytest.raises(ConfigurationError, match=r"session\.timeout\.ms"):
        kind("t", "g", "127.0.0.1:1", configuration=["session.timeout=7"])
    with pytest.raises(ValueError, match="group_id is ''"):
        kind("t", "", "127.0.0.1:1")


WAITING = """
import sys
from tfkafka import KafkaGroupDataset
for message, _ in KafkaGroupDataset(sys.argv[2], sys.argv[3], sys.argv[1], -1,
                                    ["auto.offset.reset=earliest"]).batch(1).prefetch(2):
    print("got", message.numpy(), flush=True)
"""


def test_ctrl_c_ends_a_process_in_a_silent_stream_and_the_group_is_left(kafka, admin, topic, group):
    """test_signals.py tries other pipelines, in one process."""
    numbers(kafka.bootstrap_servers, topic, 3)
    command = [sys.executable, "-c", WAITING]
    waiting = subprocess.Popen(
        [*command, kafka.bootstrap_servers, topic, group],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    alarm = threading.Timer(600, waiting.kill)
    alarm.start()
    try:
        assert [waiting.stdout.readline().split()[0] for _ in range(3)] == ["got"] * 3
        waiting.send_signal(signal.SIGINT)
        # A second for the stream, the rest for the end of a process that has TensorFlow in it.
        errors = waiting.communicate(timeout=30)[1]
    finally:
        alarm.cancel()
        waiting.kill()
    assert waiting.returncode == -signal.SIGINT, errors[-1000:]
    assert "\nKeyboardInterrupt\n" in errors, errors[-1000:]
    assert not admin.has_members(group)
