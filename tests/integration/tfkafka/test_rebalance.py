"""Group datasets while partitions change hands: what is delivered, what is committed, what ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests import fillers
from tests.integration.tfkafka.records import ints
from tests.integration.tfkafka.rivals import QUICK, trickle
from tfkafka import KafkaGroupDataset, KafkaMiniBatchDataset, write
from tfkafka.testing import wait_for

COUNT = 3000
MEMBER_ID = "1-member"
DEADLINE_S = 120.0
SETTINGS = {"auto.offset.reset": "earliest", "client.id": MEMBER_ID, **QUICK}
# With batches of 100 records, the partitions of a topic come in turns.
SMALL_FETCHES = {"max.partition.fetch.bytes": 1000}


@pytest.fixture
def member_has(admin, group) -> Callable[[set[int]], None]:
    """member_has(partitions): wait until the dataset is assigned exactly these."""

    def mine() -> set[int]:
        rows = admin.describe_group(group)
        return {row.partition for row in rows if (row.consumer_id or "").startswith(MEMBER_ID)}

    def wait(wanted: set[int]) -> None:
        wait_for(lambda: mine() == wanted, f"partitions {wanted} for the member", DEADLINE_S)

    return wait


def fill(servers: str, topic: str, count: int = COUNT, partition: int = 0) -> None:
    """Records whose values are partition * count + offset."""
    values = map(str, range(partition * count, (partition + 1) * count))
    write(servers, topic, values, partition=partition, configuration={"batch.num.messages": 100})


@contextlib.contextmanager
def ends_in_time(dataset: KafkaGroupDataset | KafkaMiniBatchDataset) -> Iterator[None]:
    """Close a dataset that hangs: its iteration raises then."""
    timer = threading.Timer(DEADLINE_S, dataset.close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        dataset.close()


@pytest.fixture
def begun(servers, group) -> Iterator[Callable[..., tuple[KafkaGroupDataset, list[int], Iterator]]]:
    """begun(topic, ...) -> a dataset, the values of its first chunk, an iterator over the others.

    Nobody asks for a chunk until the test does so: the others wait in the dataset's buffer.
    """
    with contextlib.ExitStack() as stack:

        def begin(topic: str, stream_timeout: int = 0, settings: dict | None = None, **arguments):
            configuration = {**SETTINGS, **(settings or {})}
            dataset = KafkaGroupDataset(
                topic, group, servers, stream_timeout, configuration, **arguments
            )
            stack.enter_context(ends_in_time(dataset))
            chunks = (values(chunk) for chunk in dataset.chunks())
            return dataset, next(chunks), chunks

        yield begin


def values(chunk) -> list[int]:
    return [int(value) for value in chunk[0].numpy()]


def rest(chunks: Iterator[list[int]]) -> list[int]:
    return [value for chunk in chunks for value in chunk]


@contextlib.contextmanager
def in_background(chunks: Iterator[list[int]]) -> Iterator[Future[list[int]]]:
    """The rest of a stream, read in a thread."""
    with ThreadPoolExecutor(1) as reader:
        yield reader.submit(rest, chunks)


@fillers.both
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_lost_partition_is_neither_delivered_nor_committed(
    servers, make_topic, begun, join, committed, strategy
):
    topic = make_topic(2)
    for partition in (0, 1):
        fill(servers, topic, partition=partition)
    settings = {"partition.assignment.strategy": strategy}
    _, before, chunks = begun(topic, settings=settings | SMALL_FETCHES)
    rival = join(topic, **settings)
    (lost,) = rival.wait_for_partitions()
    rival.read_until(lost, COUNT)
    rival.commit()
    seen = before + rest(chunks)
    kept = 1 - lost
    of_lost = [value - lost * COUNT for value in seen if value // COUNT == lost]
    assert of_lost + rival.offsets[lost] == [*range(COUNT)]
    assert seen[len(before) :] == [v for v in seen[len(before) :] if v // COUNT == kept]
    assert [v for v in seen if v // COUNT == kept] == [*range(kept * COUNT, (kept + 1) * COUNT)]
    assert committed() == {0: COUNT, 1: COUNT}


@fillers.both
def test_a_partition_that_comes_back_goes_on_at_the_committed_offset(
    servers, topic, begun, join, member_has, committed
):
    """The buffer is full, and the partition paused."""
    fill(servers, topic)
    _, before, chunks = begun(topic, prefetch_bytes=1 << 16)
    rival = join(topic)
    rival.read_until(0, len(before) + 1)
    assert rival.offsets[0][0] == len(before)
    rival.leave()
    member_has({0})
    assert committed() == {0: len(before)}
    assert before + rest(chunks) == [*range(COUNT)]
    assert committed() == {0: COUNT}


def test_a_partition_may_be_lost_in_the_middle_of_taking_a_chunk(
    servers, topic, begun, join, member_has, committed
):
    """Some losses come between two chunks, but hardly all of three."""
    fill(servers, topic)
    _, seen, chunks = begun(topic, stream_timeout=3000)
    with trickle(servers, topic, COUNT) as written:
        for _ in range(3):
            rival = join(topic)
            rival.read_until(0, written.end)
            assert rival.offsets[0][0] == len(seen)
            rival.leave()
            member_has({0})
            seen += next(chunks)
            assert seen == [*range(len(seen))]
    seen += rest(chunks)
    assert seen == [*range(written.end)]
    assert committed() == {0: written.end}


@fillers.both
def test_what_was_delivered_and_not_committed_comes_again(servers, topic, begun, join, member_has):
    fill(servers, topic)
    dataset, before, chunks = begun(topic, auto_commit=False)
    dataset.commit(100)
    rival = join(topic)
    rival.read_until(0, COUNT)
    rival.leave()
    member_has({0})
    assert rest(chunks) == [*range(100, COUNT)]
    assert len(before) > 100 and rival.offsets[0] == [*range(100, COUNT)]


def test_what_was_delivered_before_a_loss_is_not_committed_after_it(
    servers, topic, begun, join, member_has, committed
):
    """It would take the group back behind what the other member has committed."""
    fill(servers, topic)
    dataset, _, chunks = begun(topic, auto_commit=False)
    rival = join(topic)
    rival.read_until(0, COUNT)
    rival.commit()
    dataset.commit()
    assert committed() == {0: COUNT}
    rival.leave()
    member_has({0})
    dataset.commit()
    assert committed() == {0: COUNT}
    assert rest(chunks) == []


def test_between_two_assignments_no_stream_is_over(servers, make_topic, begun, join, committed):
    """A member that does not answer holds up the assignment."""
    topic = make_topic(2)
    for partition in (0, 1):
        fill(servers, topic, partition=partition)
    sleeper = join(topic)
    sleeper.wait_for_partitions(2)
    with ThreadPoolExecutor(1) as reader:
        beginning = reader.submit(begun, topic, stream_timeout=300)
        wait_for(lambda: sleeper.poll() and beginning.done(), "the first chunk")
    _, before, chunks = beginning.result()
    newcomer = join(topic)
    # Partitions that are given back are committed.
    wait_for(
        lambda: newcomer.poll() or committed().get(1) == len(before), "the member's commit on loss"
    )
    with in_background(chunks) as reading:
        with pytest.raises(TimeoutError):
            reading.result(1.0)
        sleeper.leave()
        newcomer.read_until(0, COUNT)
        seen = reading.result(DEADLINE_S)
    assert {*before, *seen} == {*range(COUNT, 2 * COUNT)}
    assert newcomer.offsets[0] == [*range(COUNT)]


def test_a_member_without_partitions_ends_like_others(servers, topic, begun, join):
    fill(servers, topic)
    _, before, chunks = begun(topic, stream_timeout=500)
    rival = join(topic)
    rival.read_until(0, COUNT)
    started = time.monotonic()
    assert rest(chunks) == []
    assert time.monotonic() - started >= 0.5
    assert rival.offsets[0] == [*range(len(before), COUNT)]


@pytest.fixture
def mini_datasets(servers, topic, group) -> Iterator[Iterator[list[int]]]:
    """Of 100 records each, while a chunk of the dataset's own has more."""
    fill(servers, topic)
    dataset = KafkaMiniBatchDataset(topic, group, servers, 300, SETTINGS, records=100)
    with ends_in_time(dataset):
        yield map(ints, dataset)


def test_a_mini_dataset_in_work_when_its_partition_is_lost_comes_again(topic, mini_datasets, join):
    """Only when the next one is asked for is it known to be used."""
    assert next(mini_datasets) + next(mini_datasets) == [*range(200)]
    rival = join(topic)
    rival.read_until(0, COUNT)
    assert rival.offsets[0] == [*range(100, COUNT)]


@fillers.both
def test_mini_datasets_after_a_loss_have_nothing_of_the_partition(topic, mini_datasets, join):
    next(mini_datasets)
    rival = join(topic)
    rival.read_until(0, COUNT)
    assert rest(mini_datasets) == []


def test_mini_datasets_do_not_take_the_group_back(
    topic, mini_datasets, join, member_has, committed
):
    next(mini_datasets)
    rival = join(topic)
    rival.read_until(0, COUNT)
    rival.commit()
    rival.leave()
    member_has({0})
    offsets = [committed()[0] for _ in mini_datasets]
    assert {*offsets, committed()[0]} == {COUNT}
