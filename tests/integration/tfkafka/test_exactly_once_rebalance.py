"""Exactly-once inference while partitions change hands: where it begins, goes on and ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.integration.tfkafka.records import settled_predictions
from tests.integration.tfkafka.rivals import QUICK, trickle
from tests.integration.tfkafka.workers import FOREVER, WORKER, Place, Running
from tfkafka import write


@pytest.fixture
def source(request, make_topic) -> str:
    """With one partition, or as many as a test's parameter says."""
    return make_topic(getattr(request, "param", 1))


@pytest.fixture
def target(make_topic) -> str:
    return make_topic()


@pytest.fixture
def predicted(servers, source, target) -> Callable[[], list[int]]:
    """predicted(partition=0) -> the offsets of the inputs of all committed predictions."""

    def offsets(partition: int = 0) -> list[int]:
        found, values = settled_predictions(servers, target)[source, partition]
        assert values.tolist() == found.tolist()
        return found.tolist()

    return offsets


def fill(servers: str, topic: str, count: int, first: int = 0, partition: int = 0) -> None:
    """Records whose values are their offsets, if that of the first one is `first`."""
    values = map(str, range(first, first + count))
    write(servers, topic, values, partition=partition, configuration={"batch.num.messages": 100})


@pytest.fixture
def running(servers, source, target, group) -> Iterator[Callable[..., Running]]:
    """running(**options) -> a worker that has been started."""
    with contextlib.ExitStack() as stack:

        def new(settings: dict[str, object] | None = None, **options) -> Running:
            place = Place(servers, source, target, group)
            worker = Running(place, {**QUICK, **(settings or {})}, **options)
            stack.callback(worker.close)
            return worker

        yield new


@pytest.fixture
def wait_for_partition(admin, group) -> Callable[[Running], None]:
    """Wait until a worker is assigned a partition."""

    def is_assigned() -> bool:
        rows = admin.describe_group(group)
        return any((row.consumer_id or "").startswith(WORKER) for row in rows)

    return lambda worker: worker.wait_for(is_assigned, "a partition for the worker")


@pytest.mark.parametrize("source", [2], indirect=True)
def test_begins_at_the_committed_offset_or_at_the_first_one(
    servers, source, running, join, predicted
):
    fill(servers, source, 30)
    rival = join(source)
    rival.read_until(0, 30)
    rival.commit()
    rival.leave()
    fill(servers, source, 70, first=30)
    fill(servers, source, 100, partition=1)
    assert running(stream_timeout=0).end().read == 170
    fill(servers, source, 1, first=100)
    assert running(stream_timeout=0).end().read == 1
    assert predicted(0) == [*range(30, 101)]
    assert predicted(1) == [*range(100)]


def test_what_is_taken_while_partitions_change_hands_is_predicted_once(
    servers, source, running, join, wait_for_partition, predicted
):
    """Records taken before a loss and after it cannot be told apart: they are read again."""
    worker = running(stream_timeout=FOREVER, transaction_records=1000, transaction_wait=200)
    with trickle(servers, source, 0) as written:
        for _ in range(3):
            worker.wait_until_read(worker.read + 1)
            rival = join(source)
            rival.wait_for_partitions()
            rival.leave()
            wait_for_partition(worker)
    worker.wait_until_read(written.end)
    assert worker.stop().read == written.end
    assert predicted() == [*range(written.end)]


def test_a_rebalance_drops_what_was_collected(
    servers, source, running, join, wait_for_partition, predicted
):
    """Of two batches of 100 records, the second one is incomplete at first."""
    fill(servers, source, 130)
    worker = running(stream_timeout=FOREVER, transaction_records=100, transaction_wait=60_000)
    worker.wait_until_read(100)
    rival = join(source)
    rival.read_until(0, 130)
    assert rival.offsets[0] == [*range(100, 130)]
    rival.leave()
    wait_for_partition(worker)
    fill(servers, source, 70, first=130)
    worker.wait_until_read(200)
    worker.stop()
    assert worker.batches == [[*range(100)], [*range(100, 200)]]
    assert predicted() == [*range(200)]


def test_batches_in_work_are_dropped_with_their_partition(
    servers, source, running, join, predicted
):
    """They are not offered to the broker, which would refuse them: that would be a restart.

    Meanwhile the worker has paused the partition, as it works on two batches at most.
    """
    fill(servers, source, 120)
    worker = running(stream_timeout=FOREVER, transaction_records=40, blocked=True)
    worker.wait_for(lambda: worker.batches, "the model to have a batch")
    rival = join(source)
    rival.read_until(0, 120)
    worker.released.set()
    assert rival.offsets[0] == [*range(120)]
    rival.leave()
    worker.wait_until_read(120)
    worker.stop()
    batches = [[*range(first, first + 40)] for first in (0, 40, 80)]
    assert worker.batches[0] == batches[0]
    assert worker.batches[-3:] == batches
    assert worker.worker.restarts == 0
    assert predicted() == [*range(120)]


def test_ends_where_the_partition_ended_although_records_keep_coming(
    servers, source, running, predicted
):
    fill(servers, source, 100)
    with trickle(servers, source, 100, every_s=0.2):
        counts = running(stream_timeout=0).end()
    assert counts.read >= 100
    assert predicted() == [*range(counts.read)]
