"""tfkafka.read: the records of KafkaDataset as NumPy arrays, without TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import fillers
from tests.integration.tfkafka.records import numbers, transaction
from tfkafka import CsvDecoder, Field, JsonDecoder, KafkaDataset, headers_of, read, write
from tfkafka.errors import BadRecordError, OffsetError, TopicError
from tfkafka.testing import wait_for

ROOT = Path(__file__).parents[3]
DECODE = CsvDecoder(2, label="key")


def rows(servers: str, topic: str, lengths: tuple[int, ...]) -> None:
    for partition, count in enumerate(lengths):
        values = [f"{partition},{number}" for number in range(count)]
        write(servers, topic, values, [str(n % 2) for n in range(count)], partition=partition)


def threads() -> set[int]:
    return {t.ident for t in threading.enumerate() if t.name == "tfkafka-read"}


@fillers.both
@pytest.mark.parametrize("metadata", [False, True])
def test_batches_are_those_of_the_dataset(servers, make_topic, metadata):
    topic = make_topic(3)
    rows(servers, topic, (500, 200, 30))
    common = {"servers": servers, "decode": DECODE, "batch_size": 64, "metadata": metadata}
    dataset, batches = KafkaDataset(topic, **common), read(topic, **common)
    assert batches.ranges == dataset.ranges
    pairs = zip(batches, dataset.as_numpy_iterator(), strict=True)
    for batch, element in pairs:
        found, expected = tf.nest.flatten(batch), tf.nest.flatten(element)
        assert len(found) == len(expected) == (9 if metadata else 2)
        for array, same in zip(found, expected, strict=True):
            if array.dtype == object:
                array = np.array([a if isinstance(a, bytes) else a.encode() for a in array])
            assert array.tolist() == same.tolist()
    assert batches.counts == dataset.counts and batches.counts.used == 730
    assert next(batches, None) is None


@fillers.both
def test_chunks_of_messages_and_keys(servers, topic):
    write(servers, topic, ["a", None, ""], [None, "k", b"\xff"])
    transaction(servers, topic, ["never"], "abort")
    [(messages, keys)] = read(topic, servers=servers)
    assert messages.tolist() == [b"a", b"", b""] and keys.tolist() == [b"", b"k", b"\xff"]
    [(_, _, where)] = read(topic, servers=servers, metadata=True)
    assert where.null_message.tolist() == [False, True, False]
    assert where.offset.tolist() == [0, 1, 2] and headers_of(where.headers[0]) == []
    assert [len(keys) for _, keys in read(topic, servers=servers, batch_size=2)] == [2, 1]


def test_named_features_and_features_alone(servers, topic):
    write(servers, topic, [json.dumps({"a": n, "b": [n, n]}) for n in range(5)])
    decode = JsonDecoder(["a", Field("b", shape=[2])], features="dict")
    batches = list(read(topic, servers=servers, decode=decode, batch_size=3))
    assert [sorted(batch) for batch in batches] == [["a", "b"]] * 2
    assert [batch["a"].tolist() for batch in batches] == [[0, 1, 2], [3, 4]]
    assert batches[1]["b"].tolist() == [[3, 3], [4, 4]]


def test_a_range_and_a_shard(servers, make_topic):
    topic = make_topic(2)
    rows(servers, topic, (40, 8))
    bounds = {"start": {0: 10, 1: 0}, "stop": {0: 40, 1: 8}, "servers": servers, "decode": DECODE}
    shards = [read(topic, **bounds, shard=(index, 2)) for index in range(2)]
    assert [sum(map(len, shard.ranges)) for shard in shards] == [19, 19]
    found = [tuple(row) for shard in shards for batch, _ in shard for row in batch.tolist()]
    assert sorted(found) == [(0, n) for n in range(10, 40)] + [(1, n) for n in range(8)]
    assert sum(len(labels) for _, labels in read(topic, **bounds, max_records=5)) == 5


def test_errors_are_tfkafkas_own(servers, topic, caplog):
    write(servers, topic, ["1,2", "x,2", "3,4"], ["0"] * 3)
    with pytest.raises(TopicError, match="no topic nope"):
        read("nope", servers=servers)
    with pytest.raises(OffsetError, match="not within 0:3"):
        read(topic, servers=servers, start=7)
    with pytest.raises(BadRecordError, match=rf"^topic {topic}, partition 0, offset 1: ") as error:
        list(read(topic, servers=servers, decode=DECODE))
    assert error.value.offset == 1
    batches = read(topic, servers=servers, decode=DECODE, on_bad_record="skip")
    [(features, _)] = batches
    assert features.tolist() == [[1, 2], [3, 4]]
    assert (batches.counts.used, batches.counts.skipped) == (2, 1)
    assert "1 of 3 records could not be decoded and were skipped" in caplog.messages[-1]


def test_no_record_says_so(servers, topic, caplog):
    assert list(read(topic, servers=servers)) == []
    [line] = caplog.messages
    assert line.startswith(f"topic {topic}: there was no record: its ranges are empty")


@fillers.both
@pytest.mark.parametrize("way", ["close", "with", "drop", "error", "end"])
def test_its_client_is_closed(servers, topic, way):
    numbers(servers, topic, 1000)
    before = threads()
    # So little that the thread waits for room, until it is told to end.
    batches = read(topic, servers=servers, batch_size=5, prefetch_bytes=2000)
    next(batches)
    assert threads() - before
    if way == "close":
        batches.close()
        assert next(batches, None) is None
    elif way == "with":
        with batches:
            next(batches)
    elif way == "drop":
        del batches
    elif way == "error":
        with pytest.raises(ZeroDivisionError), batches:
            raise ZeroDivisionError
    else:
        assert len(list(batches)) == 199
    wait_for(lambda: not threads() - before, "the reading thread to end")


def test_tensorflow_is_not_needed(servers, topic):
    numbers(servers, topic, 5)
    code = (
        "import sys, tfkafka\n"
        f"[(values, _, where)] = tfkafka.read({topic!r}, servers={servers!r}, metadata=True)\n"
        "print(values.tolist(), where.offset.tolist())\n"
        "print({'tensorflow', 'keras', 'jax'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = ["[b'0', b'1', b'2', b'3', b'4'] [0, 1, 2, 3, 4]", "set()"]
    assert done.stdout.splitlines() == lines
