"""Arguments that only a broker, or records, can show to be right or wrong; and odd names."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import isolated
from tests.integration.tfkafka.records import ints, numbers, settled_predictions
from tfkafka import (
    CommitCallback,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    format_group,
    tfio,
    write,
)
from tfkafka.errors import TopicError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn

EARLIEST = {"auto.offset.reset": "earliest"}
DECODER = CsvDecoder(1, label="key")
DEAD = {"on_bad_record": "dead_letter", "dead_letter_topic": "nope"}
# Kafka takes any text as the name of a group.
ODD = 'grüße, "x"|y\\z <&> a\tb'


def one_line(refusal: pytest.ExceptionInfo[BaseException]) -> str:
    assert len(str(refusal.value).splitlines()) == 1
    return str(refusal.value)


def build() -> keras.Model:
    model = keras.Sequential([keras.layers.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_whole_numbers_may_be_numpys(servers, make_topic):
    topic = make_topic(2)
    numbers(servers, topic, 5)
    numbers(servers, topic, 5, partition=1, first=5)
    for partitions in (np.int64(1), [np.int32(1)], np.array([1]), range(1, 2), {1}, 1):
        assert ints(KafkaDataset(topic, partitions, servers=servers)) == [5, 6, 7, 8, 9]
    options = {"batch_size": np.int64(2), "max_records": np.int64(3), "start": np.int64(1)}
    dataset = KafkaDataset(topic, np.int64(0), servers=servers, **options)
    assert [len(batch) for batch, _ in dataset] == [2, 1]
    assert json.loads(json.dumps(dataset.state()))["batch_size"] == 2
    assert sorted(ints(KafkaDataset(topic, None, servers=servers))) == [*range(10)]


def test_the_ends_of_a_slice_may_be_negative_as_in_a_list(servers, topic):
    numbers(servers, topic, 10)
    values = tfio.IOTensor.from_kafka(topic, servers=servers)
    listed = [*range(10)]
    ends = [None, 0, 1, 4, 9, 10, 12, -1, -3, -9, -10, -12]
    for start in ends:
        for stop in ends[:6] if start in (4, -3) else [None, -3]:
            wanted = slice(start, stop)
            assert [int(each) for each in values[wanted].numpy()] == listed[wanted], wanted
    assert [int(values[index]) for index in (0, 9, -1, -10, np.int64(3))] == [0, 9, 9, 0, 3]
    for index in (10, -11):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            values[index]


def test_a_state_after_records_that_were_not_delivered(servers, topic):
    numbers(servers, topic, 5)
    dataset = KafkaDataset(topic, servers=servers)
    for records in (-1, 6, "5", True, 1.5):
        with pytest.raises((TypeError, ValueError), match=r"^records is") as refusal:
            dataset.state(records)
        one_line(refusal)


def test_a_commit_of_what_was_not_delivered(servers, topic, group, committed):
    numbers(servers, topic, 5)
    stream = KafkaGroupDataset(topic, group, servers, 0, EARLIEST, auto_commit=False)
    for records in (None, 3):
        with pytest.raises(ValueError, match=r"commit\(\) was called before the first") as refusal:
            stream.commit(records)
        one_line(refusal)
    with pytest.raises(ValueError, match="before the first iteration"):
        KafkaMiniBatchDataset(topic, group, servers).commit()
    assert len(list(stream)) == 5
    for records in (-1, 6, 10**9):
        with pytest.raises(ValueError, match=f"^records is {records:,}") as refusal:
            stream.commit(records)
        one_line(refusal)
    # Where a member begins is committed when it joins.
    assert committed() == {0: 0}
    stream.commit(3)
    assert committed() == {0: 3}


def test_a_callback_is_for_the_group_dataset_itself(group):
    stream = KafkaGroupDataset("t", group, "127.0.0.1:1")
    with pytest.raises(TypeError, match=r"^dataset is <_BatchDataset .*the KafkaGroupDataset itse"):
        CommitCallback(stream.batch(3))


@pytest.mark.parametrize(
    ("values", "keys", "named"),
    [
        (["a", 3], None, r"^values\[1\] is 3, must be text, bytes or None: for numbers give"),
        (["a"], [3], r"^keys\[0\] is 3, must be text"),
        (["a", "\ud800"], None, r"^values\[1\] is '\\ud800', must be text that UTF-8"),
        (["a", ["b"]], None, r"^values\[1\] is \['b'\]"),
        (tf.constant(["a"]), None, r"^values\[0\] is <tf.Tensor"),
        # confluent-kafka would write eight bytes.
        (np.array([1.5]), None, r"^values\[0\] is (np.float64\()?1.5"),
        ([b"a"], [memoryview(b"k")], r"^keys\[0\] is <memory"),
    ],
)
def test_what_cannot_be_written_is_named(servers, topic, values, keys, named):
    with pytest.raises((TypeError, ValueError), match=named) as refusal:
        write(servers, topic, values, keys)
    one_line(refusal)


@pytest.mark.parametrize(
    "make",
    [
        lambda servers: KafkaDataset("in", servers=servers, decode=DECODER, **DEAD),
        lambda servers: KafkaGroupDataset("in", "g", servers, decode=DECODER, **DEAD),
        lambda servers: KafkaMiniBatchDataset("in", "g", servers, decode=DECODER, **DEAD),
        lambda servers: ExactlyOnceInference(
            InferenceJob(len, DECODER, "in", "out", "g", **DEAD), servers
        ),
    ],
    ids=["bounded", "group", "mini datasets", "exactly once"],
)
def test_a_dead_letter_topic_must_exist(servers, admin, make):
    with pytest.raises(TopicError, match=r"^dead_letter_topic: there is no topic nope") as refusal:
        make(servers)
    one_line(refusal)
    assert "nope" not in admin.topics()


def test_a_dead_letter_topic_of_a_learner_must_exist(servers, admin, tmp_path):
    with pytest.raises(TopicError, match=r"^dead_letter_topic: there is no topic nope") as refusal:
        learn(tmp_path / "state", Stream("in", DECODER, servers, **DEAD), build, print, seed=1)
    one_line(refusal)
    assert "nope" not in admin.topics()


def test_two_members_with_one_instance_id(servers, topic, group):
    numbers(servers, topic, 2)
    same = EARLIEST | {"group.instance.id": "twin", "session.timeout.ms": 6000}
    stream = KafkaGroupDataset(topic, group, servers, -1, same)
    first = iter(stream)
    next(first)
    second = KafkaGroupDataset(topic, group, servers, -1, same)
    joined = threading.Thread(target=lambda: next(iter(second), None), daemon=True)
    joined.start()
    with pytest.raises(tf.errors.OpError):
        for _ in first:
            pass
    assert str(stream.error) == (
        f"topic {topic}: another member of the group has the same group.instance.id and has taken "
        f"over: give each member its own"
    )
    second.stop()
    joined.join(30)
    assert not joined.is_alive()


@pytest.fixture
def ipv6(servers: str) -> Iterator[str]:
    """Where the broker can be reached first by IPv6; the address that it gives is another."""
    host, _, port = servers.rpartition(":")
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65536):
            sink.sendall(data)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            broker = socket.create_connection((host, int(port)))
            for pair in ((client, broker), (broker, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"[::1]:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_an_address_may_be_of_ipv6(ipv6, topic, group):
    for servers in (ipv6, [ipv6], [f"{ipv6},{ipv6}"]):
        numbers(ipv6, topic, 1)
        assert ints(KafkaDataset(topic, servers=servers))
    assert len(list(KafkaGroupDataset(topic, group, ipv6, 0, EARLIEST))) == 3


def learned(servers: str, topic: str, group: str, folder: Path) -> int:
    stream = Stream(topic, DECODER, servers, stream_timeout=0, group_id=group)
    return learn(folder, stream, build, lambda model, x, y: None, seed=1).records


def test_a_group_may_have_any_name(servers, make_topic, admin, group, tmp_path):
    source, target = make_topic(), make_topic()
    group = f"{ODD} {group}"
    write(servers, source, ["1", "2", "3"], ["1", "0", "1"])
    assert len(list(KafkaGroupDataset(source, group, servers, 0, EARLIEST))) == 3
    [row] = admin.describe_group(group)
    assert (row.group, row.committed, row.lag) == (group, 3, 0)
    heads, line = format_group([row]).splitlines()
    # Columns are under their heads, and a control character moves none of them.
    assert line[heads.index("TOPIC") :].split()[0] == source
    assert "\t" not in line

    # In a transaction, librdkafka takes ASCII alone.
    exactly = f'gross, "x"|y\\z <&> {uuid.uuid4().hex}'
    job = InferenceJob(lambda rows: rows[:, 0], DECODER, source, target, exactly)
    assert ExactlyOnceInference(job, servers).run().used == 3
    found = settled_predictions(servers, target)
    assert sum(len(offsets) for offsets, _ in found.values()) == 3

    shown = f"{ODD} {group} shown"
    folder = tmp_path / 'a folder, "x" grüße'
    assert isolated.run(learned, servers, source, shown, folder) == 3
    assert [row.committed for row in admin.describe_group(shown)] == [3]
    same = KafkaDataset.from_manifest(folder / "model.manifest.json", servers=servers)
    assert len(list(same)) == 3
