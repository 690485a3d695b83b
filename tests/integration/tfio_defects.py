"""tensorflow-io's Kafka datasets on a real broker: what they deliver, commit and raise.

Each function runs in a process of its own and brings back facts; the tests judge them. `reader`
is the module that offers tensorflow-io's names. The value of a record is a number in digits.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from tests import isolated
from tests.tutorial import FAST_FETCH, GROUP_CONFIGURATION
from tfkafka import Admin
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for

STREAM_TIMEOUT_MS = 10_000
WINDOW = 1024
AUTO_COMMIT_S = 5.0
BUSY_S = 15.0


@dataclass(frozen=True)
class Topics:
    """Topics with one partition (`pair` has two) that hold these many records."""

    one: str
    odd: str  # 1,025
    many: str  # 8,192
    few: str  # 10, numbered from 0
    others: str  # 10, numbered from 100
    pair: str  # 10 in each partition


@dataclass(frozen=True)
class Facts:
    """What one process saw; a text `Error: message` stands where something was raised.

    `window_s` has the seconds that each window of 1,024 records took, with the default
    configuration and with fetch.wait.max.ms=5.
    """

    window_s: tuple[list[float], list[float]]
    odd_counts: dict[int, int]
    from_offset: list[int]
    from_start_to_stop: list[int]
    partition_datasets: tuple[list[int], list[int]]
    first_of_group_dataset: int
    beside_busy_member: list[int]
    equals_sign: list[int] | str
    reseeded: list[int] | str


@dataclass(frozen=True)
class Late:
    """Records that came while a stream waited for them, and the group after its end."""

    delivered: list[int]
    committed: int | None
    lag: int | None


@dataclass(frozen=True)
class NewKafka:
    """A broker of Kafka 4: from_kafka, and a group dataset beside another library's consumer."""

    partition: list[int] | str
    group: list[int]
    group_ended: bool
    other_consumer: list[int]


def send(servers: str, topic: str, numbers: Iterable[int], partition: int = 0) -> None:
    """Write numbers as records; returns when all were acknowledged."""
    failed = []
    producer = Producer({"bootstrap.servers": servers})
    for number in numbers:
        producer.produce(
            topic,
            str(number),
            partition=partition,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
    if producer.flush(30) or failed:
        raise AssertionError(f"not all records for {topic} were acknowledged: {failed[:3]}")


def in_one_process(reader: str, servers: str, topics: Topics, group: str) -> Facts:
    """All that can be seen in one process without one thing disturbing the next."""

    def partition(topic: str, **options):
        return _partition(reader, servers, topic, **options)

    return Facts(
        window_s=(
            _window_seconds(partition(topics.many)),
            _window_seconds(partition(topics.many, configuration=FAST_FETCH)),
        ),
        odd_counts={
            1: len(_numbers(partition(topics.one))),
            1025: len(_numbers(partition(topics.odd))),
        },
        from_offset=_numbers(partition(topics.many, offset=8182)),
        from_start_to_stop=_numbers(partition(topics.many, start=2000, stop=2010)),
        partition_datasets=_read_all([partition(topics.few), partition(topics.others)]),
        first_of_group_dataset=_first_of_first(
            _group(reader, servers, topics.few, f"{group}-few", message_poll_timeout=1000),
            _group(reader, servers, topics.others, f"{group}-others"),
        ),
        beside_busy_member=_read_beside_busy_member(reader, servers, topics.pair, f"{group}-busy"),
        equals_sign=_or_error(
            lambda: _numbers(partition(topics.few, configuration=["client.id=bW9kZWw="]))
        ),
        reseeded=_or_error(lambda: _read_after_new_seed(partition(topics.few))),
    )


def read_with_late_records(
    reader: str, servers: str, topic: str, group: str, sent: int, late: range
) -> Late:
    """Write `late` as soon as the `sent` records that are there have been delivered."""
    delivered = []
    for message, _ in _group(reader, servers, topic, group).as_numpy_iterator():
        delivered.append(int(message))
        if len(delivered) == sent:
            send(servers, topic, late)
    # Committed in the background: waited for, and whatever is there in the end is the fact.
    with contextlib.suppress(TfkafkaError):
        wait_for(
            lambda: _committed(servers, group) == late.stop,
            "all to be committed",
            2 * AUTO_COMMIT_S,
        )
    [row] = Admin(servers).describe_group(group)
    return Late(delivered, row.committed, row.lag)


def die_after_auto_commit(reader: str, servers: str, topic: str, group: str, ledger: Path) -> None:
    """Hand one record to the model, let auto-commit come, and end as by kill -9."""
    # Held on to: letting go of an iterator waits for the poll that is under way, 10 s.
    records = _group(reader, servers, topic, group).as_numpy_iterator()
    message, _ = next(records)
    ledger.write_bytes(message)
    # A reader that commits no more than was seen gets three chances to do otherwise.
    with contextlib.suppress(TfkafkaError):
        wait_for(
            lambda: (_committed(servers, group) or 0) > 1,
            "a commit beyond what was seen",
            3 * AUTO_COMMIT_S,
        )
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_auto_commit(
    reader: str, servers: str, topic: str, group: str, count: int, ledger: Path
) -> None:
    """Hand `count` records to the model and end as by kill -9 while none was committed."""
    # Later than any slow machine gets here; the default of 5 s is as true and less certain.
    dataset = _group(
        reader, servers, topic, group, configuration=["auto.commit.interval.ms=300000"]
    )
    records = dataset.as_numpy_iterator()
    seen = [message for message, _ in islice(records, count)]
    ledger.write_bytes(b"\n".join(seen))
    os.kill(os.getpid(), signal.SIGKILL)


def _read_new_kafka(
    reader: str, servers: str, topic: str, group: str, count: int, patience_s: float
) -> NewKafka:
    """Read `count` records by from_kafka, and by a new group for `patience_s` seconds."""
    partition = _or_error(lambda: _numbers(_partition(reader, servers, topic)))
    dataset = _group(reader, servers, topic, group, stream_timeout=2000, message_poll_timeout=2000)
    delivered: list[int] = []
    reading = threading.Thread(
        target=lambda: delivered.extend(int(m) for m, _ in dataset.as_numpy_iterator()), daemon=True
    )
    reading.start()
    other_consumer = _read_span(servers, topic, 0, count)
    reading.join(patience_s)
    return NewKafka(partition, delivered, not reading.is_alive(), other_consumer)


def see_new_kafka(reader: str, servers: str, patience_s: float) -> NewKafka:
    """What a process of its own sees of ten records in a topic of the reader's own."""
    topic = f"ten-{reader}"
    Admin(servers).create_topic(topic)
    send(servers, topic, range(10))
    return isolated.run(
        _read_new_kafka, reader, servers, topic, f"new-{reader}", 10, patience_s=patience_s
    )


def numbers_in(ledger: Path) -> list[int]:
    """The numbers that a process wrote down before it was killed."""
    return [int(line) for line in ledger.read_text().split()]


def read_on(servers: str, topic: str, group: str, end: int) -> list[int]:
    """What a group has yet to read of partition 0: from its committed offset, else from 0."""
    start = _committed(servers, group) or 0
    return _read_span(servers, topic, start, end)


def _read_span(servers: str, topic: str, start: int, end: int) -> list[int]:
    """Records [start, end) of partition 0, read by another library."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "none", "enable.auto.commit": False}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, start)])
        messages = consumer.consume(end - start, timeout=20) if start < end else []
        return [int(message.value()) for message in messages]
    finally:
        consumer.close()


def _partition(reader: str, servers: str, topic: str, **options):
    return importlib.import_module(reader).IODataset.from_kafka(topic, servers=servers, **options)


def _group(reader: str, servers: str, topic: str, group: str, configuration=(), **options):
    options.setdefault("stream_timeout", STREAM_TIMEOUT_MS)
    return importlib.import_module(reader).experimental.streaming.KafkaGroupIODataset(
        topics=[topic],
        group_id=group,
        servers=servers,
        configuration=[*GROUP_CONFIGURATION, *configuration],
        **options,
    )


def _numbers(dataset) -> list[int]:
    return [int(item.message) for item in dataset.as_numpy_iterator()]


def _read_all(datasets: list) -> tuple[list[int], ...]:
    return tuple(_numbers(dataset) for dataset in datasets)


def _first_of_first(dataset, other) -> int:
    """The first record of `dataset`; `other` is there and is not read."""
    message, _ = next(dataset.as_numpy_iterator())
    return int(message)


def _window_seconds(dataset) -> list[float]:
    seconds, before = [], time.perf_counter()
    for _ in dataset.batch(WINDOW):
        seconds.append(time.perf_counter() - before)
        before = time.perf_counter()
    return seconds


def _read_beside_busy_member(reader: str, servers: str, topic: str, group: str) -> list[int]:
    """Read as the second member of a group whose first one is busy for a while with its model."""
    member = Consumer(
        {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    )
    member.subscribe([topic])
    wait_for(lambda: member.poll(0.1) is None and member.assignment(), "the first member's share")
    done = threading.Event()

    def work_and_poll() -> None:
        done.wait(BUSY_S)
        while not done.is_set():
            member.poll(0.1)
        member.close()

    working = threading.Thread(target=work_and_poll)
    working.start()
    try:
        dataset = _group(
            reader, servers, topic, group, stream_timeout=3000, message_poll_timeout=1500
        )
        return [int(message) for message, _ in dataset.as_numpy_iterator()]
    finally:
        done.set()
        working.join()


def _read_after_new_seed(dataset) -> list[int]:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    return _numbers(dataset)


def _committed(servers: str, group: str) -> int | None:
    rows = Admin(servers).describe_group(group)
    return rows[0].committed if rows else None


def _or_error(call: Callable[[], list[int]]) -> list[int] | str:
    """TensorFlow's own errors are facts; all others are faults of ours."""
    import tensorflow as tf

    try:
        return call()
    except tf.errors.OpError as error:
        return f"{type(error).__name__}: {error.message}"
