"""Shards: one of several processes reads each record, and all take the same number of steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import numpy as np
import pytest
import tensorflow as tf
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests import fillers, isolated
from tests.integration.tfkafka.records import ints, numbers, transaction
from tfkafka import CsvDecoder, KafkaDataset, native_status, shards, write
from tfkafka.testing.brokers.processes import free_ports

DECODE = CsvDecoder(1, label="key")
Places = list[tuple[int, int]]


@pytest.fixture
def gaps(servers, make_topic) -> str:
    """Partitions of 900, 300, 60 and 0 records, with aborted and deleted ones among them."""
    topic = make_topic(4)
    for number, part in enumerate((range(400), range(400, 900))):
        aborted = [f"aborted {n}" for n in range(300)]
        transaction(servers, topic, aborted, "abort")
        write(servers, topic, map(str, part), ["1"] * len(part), partition=0)
        transaction(servers, topic, aborted[: 50 * number], "abort")
    write(servers, topic, map(str, range(1000, 1350)), ["0"] * 350, partition=1)
    write(servers, topic, map(str, range(2000, 2060)), ["1"] * 60, partition=2)
    client = AdminClient({"bootstrap.servers": servers})
    for future in client.delete_records([TopicPartition(topic, 1, 50)]).values():
        future.result(30)
    return topic


def places_of(dataset: KafkaDataset) -> Places:
    return [
        (int(partition), int(offset))
        for *_, where in dataset.as_numpy_iterator()
        for partition, offset in zip(where.partition, where.offset, strict=True)
    ]


def read_shard(manifest: dict, index: int, count: int) -> tuple[bool, Places]:
    """Read a shard in a process of its own; return whether natively, and what."""
    dataset = KafkaDataset.from_manifest(manifest, shard=(index, count))
    return native_status().filler, places_of(dataset)


@pytest.mark.parametrize("filler", fillers.NAMES)
@pytest.mark.parametrize("count", [2, 4])
def test_processes_read_each_record_once(servers, gaps, monkeypatch, count, filler):
    if filler == "native":
        fillers.native_library()
    monkeypatch.setenv("TFKAFKA_NATIVE", "1" if filler == "native" else "0")
    whole = KafkaDataset(gaps, servers=servers, batch_size=100, metadata=True)
    manifest = json.loads(json.dumps(whole.manifest()))
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(isolated.run, read_shard, manifest, i, count) for i in range(count)]
        read = [call.result() for call in calls]
    assert {is_native for is_native, _ in read} == {filler == "native"}
    places = [place for _, part in read for place in part]
    assert sorted(places) == sorted(places_of(whole))
    assert len(places) == 900 + 300 + 60
    # Within a part the order is that of its own ranges, and each partition's is that of offsets.
    for _, part in read:
        for partition in range(4):
            offsets = [offset for each, offset in part if each == partition]
            assert offsets == sorted(offsets)


@fillers.both
def test_all_shards_have_the_same_steps_of_one_shape(servers, gaps):
    manifest = KafkaDataset(gaps, servers=servers, decode=DECODE, batch_size=64).manifest()
    parts = [KafkaDataset.from_manifest(manifest, shard=(index, 4)) for index in range(4)]
    offsets = [sum(map(len, part.ranges)) for part in parts]
    assert max(offsets) - min(offsets) <= 1
    steps = -(-max(offsets) // 64)
    records, values = [], []
    for part in parts:
        dataset = part.padded()
        assert dataset.element_spec[0] == tf.TensorSpec([64, 1], tf.float32)
        assert len(dataset) == steps
        rows = [np.concatenate(each) for each in zip(*dataset.as_numpy_iterator(), strict=True)]
        assert [len(each) for each in rows] == [64 * steps] * 3
        is_record = rows[2] == 1
        assert np.array_equal(is_record, np.arange(64 * steps) < part.counts.used)
        records.append(int(is_record.sum()))
        values += rows[0][is_record, 0].tolist()
    assert sorted(values) == [*range(900), *range(1050, 1350), *range(2000, 2060)]
    # As docs/scaling.md says: without padding they would take 3, 4, 7 and 7 steps.
    assert (offsets, records, steps) == ([478, 478, 478, 479], [177, 223, 432, 428], 8)


@pytest.mark.parametrize(("most", "steps"), [(None, 2), (3, 1)])
def test_the_largest_shard_decides_on_the_steps(servers, topic, most, steps):
    """One has 4 offsets and the other 5: without padding they would take one step and two."""
    write(servers, topic, map(str, range(9)), ["1"] * 9)
    common = {"start": 0, "stop": 9, "max_records": most, "servers": servers}
    for index in range(2):
        shard = KafkaDataset(topic, **common, decode=DECODE, batch_size=4, shard=(index, 2))
        assert len(shard.padded()) == len(list(shard.padded())) == steps


def test_a_shard_of_given_offsets(servers, make_topic):
    topic = make_topic(2)
    numbers(servers, topic, 100)
    numbers(servers, topic, 20, partition=1, first=100)
    bounds = {"start": 0, "stop": {0: 100, 1: 20}, "servers": servers}
    parts = [ints(KafkaDataset(topic, **bounds, shard=(index, 3))) for index in range(3)]
    assert parts[:2] == [[*range(40)], [*range(40, 80)]]
    assert sorted(parts[2]) == [*range(80, 120)]
    assert ints(KafkaDataset(topic, **bounds, shard=[0, 1])) == ints(KafkaDataset(topic, **bounds))
    few = KafkaDataset(topic, **bounds, shard=(2, 3), max_records=5)
    assert len(ints(few)) == 5 and few.manifest()["shard"] == [2, 3]


def test_a_shard_is_gone_on_with_and_read_again(servers, gaps, tmp_path):
    whole = KafkaDataset(gaps, servers=servers, decode=DECODE, batch_size=64).manifest()
    shard = KafkaDataset.from_manifest(whole, shard=(1, 2))
    first = [each.tolist() for each, _ in shard.as_numpy_iterator()]
    path = tmp_path / "shard.json"
    path.write_text(json.dumps(shard.manifest()))
    again = KafkaDataset.from_manifest(path)
    assert again.ranges == shard.ranges and len(again) == len(first)
    assert [each.tolist() for each, _ in again.as_numpy_iterator()] == first
    # The manifest of one part has what the others read, too.
    other = KafkaDataset.from_manifest(path, shard=(0, 2))
    assert other.manifest()["counts"] is None
    used = sum(1 for _ in other.unbatch()) + shard.counts.used
    assert used == 1260
    path.write_text(json.dumps(shard.state(128)))
    rest = KafkaDataset.from_state(path)
    assert [each.tolist() for each, _ in rest.as_numpy_iterator()] == first[2:]
    with pytest.raises(ValueError, match="skip those of from_manifest instead"):
        rest.padded()


@pytest.mark.parametrize("count", [1, 2])
def test_a_process_of_jax_reads_its_part_of_what_the_first_one_pins(servers, make_topic, count):
    pytest.importorskip("jax", reason="JAX is not installed")
    topic = make_topic(2)
    numbers(servers, topic, 300)
    numbers(servers, topic, 61, partition=1, first=300)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    script = [sys.executable, "-m", "tests.integration.tfkafka.jax_process"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [*script, str(index), str(count), address, servers, topic],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(count)
    ]
    try:
        ends = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    read = [json.loads(end.splitlines()[-1]) for end in ends]
    pinned = KafkaDataset(topic, servers=servers).ranges
    expected = [[[*astuple(each)[1:]] for each in part] for part in shards(pinned, count)]
    assert [ranges for ranges, _ in read] == expected
    assert sorted(value for _, values in read for value in values) == [*range(361)]


def test_a_shard_without_an_offset(servers, topic, caplog):
    numbers(servers, topic, 1)
    manifest = KafkaDataset(topic, servers=servers).manifest()
    parts = [KafkaDataset.from_manifest(manifest, shard=(index, 3)) for index in range(3)]
    assert [ints(part) for part in parts] == [[], [], [0]]
    assert ints(KafkaDataset.from_manifest(parts[0].manifest())) == []
    assert "its ranges are empty" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"decode": DECODE}, "has no batches: give batch_size="),
        ({"batch_size": 5}, "only .features, label. has a weight"),
        ({"batch_size": 5, "decode": CsvDecoder(1)}, "only .features, label. has a weight"),
        ({"batch_size": 5, "decode": DECODE, "metadata": True}, "has a weight: .* no metadata"),
    ],
)
def test_what_cannot_be_padded(servers, topic, arguments, reason):
    dataset = KafkaDataset(topic, servers=servers, **arguments)
    with pytest.raises(ValueError, match=rf"^topic {topic}: padded\(\) cannot be had: .*{reason}"):
        dataset.padded()
