"""Groups that revoke only the partitions that move: cooperative-sticky, and KIP-848 on Kafka 4.

The broker accepts offsets of a partition that another member has, from each member that names the
group's current generation: `test_new_metadata_alone_commits_for_another_member` shows it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests import fillers, groups
from tests.integration.tfkafka.records import ints, numbers, settled_predictions
from tests.integration.tfkafka.rivals import FETCHES, Rival
from tests.integration.tfkafka.workers import DEADLINE_S, FOREVER, Place, Running
from tfkafka import Admin, KafkaGroupDataset, write
from tfkafka.chunk import Chunk, TopicPartition
from tfkafka.client.identity import Identities
from tfkafka.client.transactions import TransactionalProducer, is_outdated
from tfkafka.config import Limits, consumer_settings
from tfkafka.errors import AbortedError
from tfkafka.exactly_once.batches import BatchLimits, BatchReader
from tfkafka.metrics.meter import UNMETERED
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.base import Broker

PROTOCOLS = {"cooperative-sticky": groups.COOPERATIVE, "consumer": groups.CONSUMER}
SESSION_S = 30.0
HEARTBEAT_MS = 50
# librdkafka 2.16 waits for an answer as long as this. One that comes later is lost for good: a
# member that it tells to give a partition away keeps it.
CONSUMER_HEARTBEAT_MS = 1500
COUNT = 400
PARTITIONS = 2


@pytest.fixture(scope="module")
def kafka(kafka_4: Broker) -> Broker:
    return kafka_4


@pytest.fixture(scope="module")
def kafka_admin(kafka_4: Broker) -> Admin:
    return Admin(kafka_4.bootstrap_servers)


@pytest.fixture(scope="module")
def admin(kafka_admin: Admin) -> Admin:
    return kafka_admin


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest, servers: str, group: str) -> dict[str, object]:
    """The settings of the group's members."""
    chosen = PROTOCOLS[request.param]
    if chosen == groups.CONSUMER:
        groups.set_intervals(servers, group, SESSION_S, CONSUMER_HEARTBEAT_MS)
    return groups.settings(chosen, SESSION_S, HEARTBEAT_MS)


@pytest.fixture
def source(servers: str, make_topic: Callable[..., str]) -> str:
    """Records whose values are their offsets."""
    topic = make_topic(PARTITIONS)
    for partition in range(PARTITIONS):
        write(servers, topic, map(str, range(COUNT)), partition=partition)
    return topic


@pytest.fixture
def member(
    servers: str, group: str, source: str, protocol: dict[str, object]
) -> Iterator[BatchReader]:
    """A member with both partitions, whose batches have all records."""
    reader = BatchReader(
        [source],
        consumer_settings(servers, {"group.id": group, **FETCHES, **protocol}),
        BatchLimits(PARTITIONS * COUNT, 60_000, FOREVER),
        Limits(),
        lambda: None,
        patience_s=DEADLINE_S,
        metadata=False,
        on_missing="error",
        known=Identities(),
        meter=UNMETERED,
    )
    yield reader
    reader.leave()


@pytest.fixture
def producer(servers: str, group: str) -> Iterator[TransactionalProducer]:
    client = TransactionalProducer({"bootstrap.servers": servers}, group, 10_000)
    client.connect()
    yield client
    client.discard()


def batch_of(member: BatchReader) -> Chunk:
    return wait_for(member.next_batch, "a batch", DEADLINE_S)


def lose_one(member: BatchReader, join: Callable, source: str, protocol: dict) -> Rival:
    """Let another member join, until it has a partition."""
    rival = join(source, **protocol)
    wait_for(lambda: member.idle() or rival.poll(), "a partition for the other member", DEADLINE_S)
    return rival


def test_new_metadata_alone_commits_for_another_member(
    member, producer, join, source, protocol, committed
):
    """That is why it is not enough; the partitions are compared after it."""
    batch = batch_of(member)
    (lost,) = lose_one(member, join, source, protocol).poll()
    places = member.places({TopicPartition(source, lost): 7})
    producer.transact({}, places, member._group.consumer.group_metadata)
    # A coordinator of transactions answers before that of the group has marked the offsets.
    wait_for(lambda: committed()[lost] == 7, "an offset of another member's partition")
    places = member.places(batch.next_offsets)
    with pytest.raises(AbortedError, match="a partition of the transaction was lost"):
        producer.transact({}, places, lambda: member.prove(batch))
    kept = member.current(batch)
    member._note_membership()
    producer.transact({}, member.places(kept.next_offsets), lambda: member.prove(kept))
    wait_for(lambda: committed()[1 - lost] == COUNT, "the offset of the partition that was kept")
    assert committed()[lost] == 7


def test_what_was_proved_before_a_loss_is_refused(
    member, producer, join, source, protocol, committed
):
    batch = batch_of(member)
    proof = member.prove(batch)
    (lost,) = lose_one(member, join, source, protocol).poll()
    before = committed()
    places = member.places({TopicPartition(source, lost): COUNT})
    with pytest.raises(AbortedError, match="send_offsets_to_transaction") as failure:
        producer.transact({}, places, lambda: proof)
    assert is_outdated(failure.value)
    assert committed() == before


def test_partitions_that_come_while_a_batch_is_collected_are_in_it(member, join, source, protocol):
    """Its first records are of an earlier generation."""
    lose_one(member, join, source, protocol).leave()
    batch = batch_of(member)
    assert dict(batch.next_offsets) == {TopicPartition(source, p): COUNT for p in range(PARTITIONS)}
    assert len(member.current(batch)) == len(batch) == PARTITIONS * COUNT


@pytest.fixture
def running(servers, source, make_topic, group, protocol) -> Iterator[Callable[..., Running]]:
    """running(name, **options) -> a worker that has been started."""
    place = Place(servers, source, make_topic(), group)
    with contextlib.ExitStack() as stack:

        def new(name: str, **options) -> Running:
            settings = {**FETCHES, **protocol}
            worker = Running(place, settings, stream_timeout=FOREVER, name=name, **options)
            stack.callback(worker.close)
            return worker

        new.place = place
        yield new


def refuse_other_than_once(running: Callable[..., Running]) -> None:
    """Raise unless each record has one prediction, its own value."""
    place = running.place
    found = settled_predictions(place.servers, place.target)
    for partition in range(PARTITIONS):
        offsets, values = found[place.source, partition]
        assert offsets.tolist() == values.tolist() == [*range(COUNT)]


def test_workers_join_and_leave(running, committed):
    """Nothing fails, and no worker begins again."""
    first = running("1", transaction_records=10)
    first.wait_until_read(50)
    first.released.clear()
    second = running("2", transaction_records=10)
    second.wait_until_read(20)
    first.released.set()
    second.stop()
    first.wait_until_read(PARTITIONS * COUNT - second.read)
    first.stop()
    wait_for(lambda: committed() == {0: COUNT, 1: COUNT}, "the offsets of all records")
    assert first.worker.restarts == second.worker.restarts == 0
    assert first.worker.rebalances > 1
    refuse_other_than_once(running)


@pytest.mark.parametrize("protocol", ["cooperative-sticky"], indirect=True)
def test_a_transaction_of_a_kept_partition_is_tried_again(
    running, join, source, protocol, monkeypatch
):
    """The broker refuses each member's old generation, whichever partitions it keeps."""
    joined, proofs = threading.Event(), []

    def prove(reader: BatchReader, chunk: Chunk) -> object:
        proof = proved(reader, chunk)
        proofs.append(proof)
        if len(proofs) == 3:
            joined.set()
            until_s = time.monotonic() + DEADLINE_S
            assert reader.membership_changes(proof, chunk, until_s)
        return proof

    proved = BatchReader.prove
    monkeypatch.setattr(BatchReader, "prove", prove)
    worker = running("1", transaction_records=100)
    worker.wait_for(joined.is_set, "the third transaction")
    rival = join(source, **protocol)
    worker.wait_for(lambda: rival.poll(), "a partition for the other member")
    rival.leave()
    worker.wait_until_read(PARTITIONS * COUNT)
    worker.stop()
    assert worker.worker.restarts == 0
    assert proofs[3] != proofs[2]
    refuse_other_than_once(running)


@pytest.fixture
def numbered(servers: str, make_topic: Callable[..., str]) -> str:
    """Records whose values are partition * COUNT + offset."""
    topic = make_topic(PARTITIONS)
    for partition in range(PARTITIONS):
        numbers(servers, topic, COUNT, partition, first=partition * COUNT)
    return topic


@pytest.fixture
def dataset(servers, group, protocol) -> Iterator[Callable[[str, int], KafkaGroupDataset]]:
    """dataset(topic, stream_timeout) -> a dataset of the group, which does not outlast its time."""
    with contextlib.ExitStack() as stack:

        def new(topic: str, stream_timeout: int) -> KafkaGroupDataset:
            settings = {"auto.offset.reset": "earliest", **FETCHES, **protocol}
            made = KafkaGroupDataset(topic, group, servers, stream_timeout, settings)
            timer = threading.Timer(DEADLINE_S, made.close)
            timer.start()
            stack.callback(timer.cancel)
            stack.callback(made.close)
            return made

        yield new


@fillers.both
def test_a_dataset_over_a_join_and_a_leave(
    numbered, dataset, join, protocol, admin, group, committed
):
    """What is kept is read on, once and in its order."""
    stream = dataset(numbered, FOREVER)
    chunks = (values.numpy() for values, _ in stream.chunks())
    seen = [next(chunks)]
    rival = join(numbered, **protocol)
    (lost,) = rival.wait_for_partitions()
    rival.read_until(lost, COUNT // 2)
    rival.commit()
    rival.leave()
    rows = admin.describe_group
    wait_for(lambda: all(row.consumer_id for row in rows(group)), "the dataset to have both")
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(list, chunks)
        all_of_them = {0: COUNT, 1: COUNT}
        wait_for(lambda: reading.done() or committed() == all_of_them, "all to be committed")
        stream.stop()
        seen += reading.result(DEADLINE_S)
    seen = [int(value) for value in np.concatenate(seen)]
    parts = [[v % COUNT for v in seen if v // COUNT == p] for p in range(PARTITIONS)]
    assert parts[1 - lost] == [*range(COUNT)]
    assert {*parts[lost], *rival.offsets[lost]} == {*range(COUNT)}
    assert committed() == all_of_them


@pytest.mark.parametrize("stream_timeout", [0, 300])
def test_a_member_without_partitions_ends(make_topic, dataset, join, protocol, stream_timeout):
    """No callback tells it that it gets none."""
    topic = make_topic(1)
    join(topic, **protocol).wait_for_partitions()
    assert list(dataset(topic, stream_timeout)) == []


def test_a_member_that_waits_for_its_share_goes_on(numbered, dataset, join, protocol):
    """Others give partitions away only when they poll; until then it has none."""
    rival = join(numbered, **protocol)
    rival.wait_for_partitions(PARTITIONS)
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(lambda: ints(dataset(numbered, 0)))
        with pytest.raises(TimeoutError):
            reading.result(2.0)
        wait_for(lambda: len(rival.poll()) == 1, "the other member to give one away")
        (kept,) = rival.poll()
        lost = 1 - kept
        assert reading.result(DEADLINE_S) == [*range(lost * COUNT, (lost + 1) * COUNT)]
