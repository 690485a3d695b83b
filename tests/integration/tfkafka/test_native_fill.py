"""The native filler does what Python's does, and what can go wrong beside librdkafka does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from confluent_kafka import KafkaError, Producer

from tests import fillers
from tests.integration.tfkafka.records import numbers, transaction
from tfkafka import native, write
from tfkafka.chunk import Chunk, TopicPartition, concat
from tfkafka.client import native_fill, plugin
from tfkafka.client.consumer import Consumer, Polled
from tfkafka.client.diagnosis import Connection
from tfkafka.client.lineage import Lineage
from tfkafka.config import Limits
from tfkafka.errors import BadRecordError, ConfigurationError, ReadError
from tfkafka.native.filling import Filling, Room
from tfkafka.testing import wait_for

ROOT = Path(__file__).parents[3]
LIMITS = Limits(broker_timeout=60_000)
DEADLINE_S = 60.0
LARGE = 300_000


@pytest.fixture
def make(servers, monkeypatch) -> Iterator[Callable[..., Consumer]]:
    """make(filler, topic) -> a consumer, which is closed after the test."""
    made: list[Consumer] = []

    def consumer(filler: str, topic: str, metadata: bool = True, **settings: object) -> Consumer:
        fillers.use(monkeypatch, filler)
        settings = {"bootstrap.servers": servers, "group.id": "any", **settings}
        made.append(Consumer(settings, LIMITS, [topic], metadata=metadata, lineage=Lineage()))
        return made[-1]

    yield consumer
    for each in made:
        each.close()


@pytest.fixture
def consumer(make, topic) -> Consumer:
    """A consumer of `topic` with the native filler."""
    return make("native", topic)


def partitions(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def read(consumer: Consumer, starts: dict[TopicPartition, int]) -> tuple[list[Chunk], dict]:
    """Return the records from `starts` to the ends, and the ends."""
    consumer.start_at(starts)
    chunks, ends = [], {}
    deadline = time.monotonic() + DEADLINE_S
    while ends.keys() < starts.keys():
        assert time.monotonic() < deadline, f"{ends} are all ends after {DEADLINE_S} s"
        polled = consumer.poll(0.1)
        chunks.append(polled.chunk)
        ends |= polled.ends
    return chunks, ends


def of_partition(chunks: list[Chunk], source: TopicPartition) -> tuple:
    """All that records of a partition have, in the order in which they were read."""
    chunk = concat([each.select(_is_of(each, source)) for each in chunks if len(each)])
    timestamps, headers = chunk.metadata
    columns = chunk.values.entries, chunk.keys.entries, chunk.offsets, timestamps, headers
    return tuple(column.tolist() for column in columns)


def _is_of(chunk: Chunk, source: TopicPartition) -> np.ndarray:
    if source not in chunk.sources:
        return np.zeros(len(chunk), np.bool_)
    return chunk.source == chunk.sources.index(source)


def write_all_kinds(servers: str, topic: str, count: int) -> None:
    """Write records that have each part in each form."""
    producer = Producer(
        {"bootstrap.servers": servers, "message.max.bytes": 10_000_000, "log_level": 0}
    )
    random = np.random.default_rng(1)
    headers = [
        None,
        [],
        [("a", b"1")],
        [("a", b"1"), ("a", None), ("ä" * 40, b""), ("", b"\0\xff")],
        [("large", b"h" * LARGE)],
    ]
    sizes = [0, 1, 7, 340, 5_000, LARGE]
    for number in range(count):
        size = sizes[random.integers(6)] if number % 50 == 0 else sizes[random.integers(4)]
        value = None if number % 11 == 3 else random.bytes(size)
        key = [None, b"", b"1.0", random.bytes(20), random.bytes(70_000)][
            4 if number % 97 == 0 else random.integers(4)
        ]
        each = headers[4] if number % 101 == 0 else headers[random.integers(4)]
        producer.produce(
            topic, value, key, number % 3, headers=each, timestamp=1_600_000_000_000 + number
        )
        producer.poll(0)
    assert producer.flush(DEADLINE_S) == 0, "the records could not be written"


@pytest.mark.parametrize("timestamps", ["CreateTime", "LogAppendTime"])
def test_both_fillers_read_the_same(servers, make_topic, make, timestamps):
    settings = {"message.timestamp.type": timestamps, "max.message.bytes": "10000000"}
    topic = make_topic(3, settings)
    write_all_kinds(servers, topic, 1500)
    transaction(servers, topic, ["in a transaction"], "commit")
    sources = partitions(topic, 3)
    seen = {}
    for filler in fillers.NAMES:
        reading = make(filler, topic)
        chunks, ends = read(reading, dict.fromkeys(sources, 0))
        seen[filler] = [of_partition(chunks, source) for source in sources], ends
        assert [reading._lineage.latest(source) for source in sources] == [0, 0, 0]
    assert seen["native"] == seen["python"]
    records, ends = seen["native"]
    # The transaction's marker has an offset too.
    assert ends == dict(zip(sources, (502, 500, 500), strict=True))
    assert [offsets for _, _, offsets, *_ in records] == [[*range(n)] for n in (501, 500, 500)]


def test_memory_does_not_follow_the_largest_record(servers, make_topic, make, monkeypatch):
    """After small records thousands of large ones might come, but not into one chunk."""
    topic = make_topic()
    large, header = b"x" * 900_000, [("large", b"h" * 900_000)]
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for number in range(5000):
        producer.produce(topic, b"small")
        if number % 1000 == 999:
            for parts in ({"value": large}, {"key": large}, {"headers": header}):
                for _ in range(3):
                    producer.produce(topic, **parts)
        producer.poll(0)
    assert producer.flush(DEADLINE_S) == 0, "the records could not be written"
    rooms = []

    class Noted(Filling):
        def __init__(self, records: int, room: Room, metadata: bool):
            rooms.append(sum(room))
            super().__init__(records, room, metadata)

    monkeypatch.setattr(native_fill, "Filling", Noted)
    reading = make("native", topic, **{"fetch.message.max.bytes": 10_000_000})
    chunks, _ = read(reading, {TopicPartition(topic, 0): 0})
    assert sum(map(len, chunks)) == 5045
    assert max(rooms) < 50 << 20


@pytest.mark.parametrize("filler", fillers.NAMES)
def test_a_chunk_of_large_records_is_no_larger_than_it_may_be(servers, topic, make, filler):
    """Nor is the first one, before which nothing says how large they are."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for _ in range(100):
        producer.produce(topic, b"x" * 900_000)
    assert producer.flush(DEADLINE_S) == 0, "the records could not be written"
    reading = make(filler, topic, **{"queued.max.messages.kbytes": 200_000})
    chunks, _ = read(reading, {TopicPartition(topic, 0): 0})
    assert sum(map(len, chunks)) == 100
    assert max(chunk.nbytes for chunk in chunks) < LIMITS.chunk_bytes + 1_000_000


def test_an_offset_that_is_not_there(servers, topic, consumer):
    numbers(servers, topic, 10)
    source = TopicPartition(topic, 0)
    consumer.start_at({source: 70})
    polled: list[Polled] = []
    wait_for(
        lambda: polled.append(consumer.poll(0.1)) or polled[-1].missing,
        "the broker says that the offset is missing",
        DEADLINE_S,
    )
    assert polled[-1].missing == {source: 70}
    assert not any(len(each.chunk) for each in polled)


@pytest.fixture
def noted(monkeypatch) -> list[str]:
    """The errors that clients have called back with."""
    seen: list[str] = []
    monkeypatch.setattr(Connection, "note", lambda _self, error: seen.append(error.str()))
    return seen


@pytest.mark.parametrize("filler", fillers.NAMES)
def test_a_partition_that_is_not_there(topic, make, noted, filler):
    """librdkafka calls back for it, out of the partition's queue."""
    reading = make(filler, topic)
    reading.start_at(dict.fromkeys(partitions(topic, 200), 0))
    wait_for(
        lambda: not len(reading.poll(0.1).chunk) and noted,
        "librdkafka calls back",
        DEADLINE_S,
    )
    assert re.match(rf"{topic} \[\d+\]: desired partition is not available \(.+\)$", noted[0])


@pytest.mark.parametrize("filler", fillers.NAMES)
def test_a_topic_that_is_deleted_while_it_is_read(servers, admin, make_topic, make, filler):
    topic = make_topic(2)
    numbers(servers, topic, 10)
    reading = make(filler, topic)
    read(reading, dict.fromkeys(partitions(topic, 2), 0))
    admin.delete_topic(topic)

    def is_refused() -> bool:
        try:
            reading.poll(0.1)
        except ReadError as error:
            return "exist" in str(error)
        return False

    wait_for(is_refused, "reading ends with an error", DEADLINE_S)


def first_offset(consumer: Consumer) -> int:
    """Return the offset of the first record that arrives."""
    polled = [consumer.poll(0.1).chunk]
    wait_for(
        lambda: len(polled[-1]) or polled.append(consumer.poll(0.1).chunk),
        "a record arrives",
        DEADLINE_S,
    )
    return int(polled[-1].offsets[0])


def test_records_of_an_earlier_position_are_not_delivered(servers, topic, consumer):
    numbers(servers, topic, 20_000)
    source = TopicPartition(topic, 0)
    consumer.start_at({source: 0})
    assert first_offset(consumer) == 0
    consumer.start_again_at({source: 15_000})
    assert first_offset(consumer) == 15_000
    consumer.start_at({source: 100})
    assert first_offset(consumer) == 100


def test_a_paused_partition_goes_on_where_it_was(servers, topic, consumer):
    numbers(servers, topic, 20_000)
    source = TopicPartition(topic, 0)
    consumer.start_at({source: 0})
    chunk = consumer.poll(1.0).chunk
    while not len(chunk):
        chunk = consumer.poll(1.0).chunk
    consumer.pause([source])
    assert not len(consumer.poll(0.5).chunk)
    consumer.resume([source])
    assert first_offset(consumer) == chunk.next_offsets[source]


def test_a_partition_that_is_left_out_is_silent_until_it_is_read_again(servers, make_topic, make):
    topic = make_topic(2)
    numbers(servers, topic, 1000, partition=0)
    numbers(servers, topic, 1000, partition=1)
    first, second = partitions(topic, 2)
    reading = make("native", topic)
    read(reading, {first: 0, second: 0})
    reading.leave_out([first])
    numbers(servers, topic, 10, partition=0)
    assert not len(reading.poll(0.5).chunk)
    reading.start_more_at({first: 1000})
    assert first_offset(reading) == 1000


def test_a_header_whose_name_is_not_utf_8(servers, topic, consumer):
    """As the bytes of a record batch, since clients for Python write text only."""
    write(servers, topic, [b"good"])
    consumer.start_at({TopicPartition(topic, 0): 0})
    assert first_offset(consumer) == 0
    with pytest.raises(BadRecordError, match=f"topic {topic}, partition 0, offset 9: .*UTF-8"):
        consumer._filler._headers(
            (np.frombuffer(b"\1\0\0\0\xff\xff\xff\xff\xff", np.uint8), np.array([0, 9]), None),
            np.zeros(1, np.int32),
            np.array([9]),
        )


def test_an_error_without_an_offset_has_none(topic, consumer):
    """As librdkafka says it; of a question for the end that a broker refuses, for example."""
    source = TopicPartition(topic, 0)
    consumer._filler.expect([source])
    refused = KafkaError.TOPIC_AUTHORIZATION_FAILED
    filling = SimpleNamespace(events=[(-1, 0, refused, b"no"), (7, 0, refused, b"no")])
    events = [*consumer._filler._events(filling)]
    assert [(event.source, event.offset) for event in events] == [(source, None), (source, 7)]


def test_a_closed_filler_takes_nothing_more(servers, topic, consumer):
    numbers(servers, topic, 20_000)
    consumer.start_at({TopicPartition(topic, 0): 0})
    assert first_offset(consumer) == 0
    consumer._filler.close()
    consumer._filler.close()
    assert not len(consumer.poll(0.1).chunk)
    # Closing a client calls back: it may still assign partitions.
    consumer._filler.expect([TopicPartition(topic, 1)])


def test_another_thread_closes_while_records_are_taken(servers, topic, consumer):
    numbers(servers, topic, 20_000)
    consumer.start_at({TopicPartition(topic, 0): 0})
    assert first_offset(consumer) == 0
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            consumer.poll(0.1)

    thread = threading.Thread(target=take)
    thread.start()
    consumer._filler.close()
    stop.set()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


# In a process of its own: a queue that is left over would make librdkafka wait forever.
LEFT_OPEN = """
import gc, sys
from tfkafka.chunk import TopicPartition
from tfkafka.client.consumer import Consumer, Polled
from tfkafka.config import Limits
from tfkafka import native

def make():
    settings = {"bootstrap.servers": sys.argv[1], "group.id": "any"}
    consumer = Consumer(settings, Limits(), [sys.argv[2]])
    assert type(consumer._filler).__name__ == "NativeFiller", native._for_clients
    consumer.start_at({TopicPartition(sys.argv[2], 0): 0})
    while not len(consumer.poll(0.1).chunk):
        pass
    return consumer

kept = make()
make()
gc.collect()
print("dropped", flush=True)
"""


def test_consumers_that_nobody_closes(servers, topic):
    numbers(servers, topic, 20_000)
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, servers, topic],
        cwd=ROOT,
        env={**os.environ, "TFKAFKA_NATIVE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "dropped\n", "")


def test_a_users_own_plugins_are_kept():
    paths = plugin.with_plugin({"plugin.library.paths": "mine"})["plugin.library.paths"]
    assert paths == f"mine;{native.PATH}"


def test_a_client_without_the_plugin_is_refused(make, topic, monkeypatch):
    monkeypatch.setattr(plugin, "with_plugin", dict)
    with pytest.raises(ConfigurationError, match=r"has not loaded its plugin .*TFKAFKA_NATIVE=0"):
        make("native", topic)
