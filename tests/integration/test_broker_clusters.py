"""Embedded clusters: brokers are killed, paused and restarted one by one."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import keras
import pytest
import tensorflow as tf
from confluent_kafka import KafkaError
from confluent_kafka.admin import NewTopic

from tests.integration.broker_child import ATTEMPTS, errors_of_signalled_start, java_of
from tfkafka import (
    Admin,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    write,
)
from tfkafka.errors import BrokerError, OffsetError, ReadError, TfkafkaError, TopicError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded, launch
from tfkafka.testing.brokers.base import answers_metadata, change
from tfkafka.testing.brokers.embedded import EmbeddedCluster
from tfkafka.tfio import kafka

VERSION = "3.9.2"
# Each write shows that the cluster accepts records from all replicas that are in sync.
ALL = {"acks": "all"}
DEADLINE_S = 60


@pytest.fixture
def replicated(kafka_cluster: EmbeddedCluster, group: str) -> Iterator[str]:
    """A topic with one partition on all three brokers; all of them run afterwards."""
    Admin(kafka_cluster.bootstrap_servers).create_topic(group, 1, replication_factor=3)
    kafka_cluster.leader(group, 0)
    # librdkafka 2.16 may ask another broker than it was told to: asked often, none is left out.
    kafka_cluster.wait_until_in_sync()
    yield group
    dead = set(range(3)) - kafka_cluster.running()
    for broker in kafka_cluster.running():
        kafka_cluster.resume(broker)
    kafka_cluster.restart(*dead)
    kafka_cluster.wait_until_in_sync()


def test_another_broker_leads_after_a_kill(kafka_cluster, replicated):
    servers = kafka_cluster.bootstrap_servers
    leader = kafka_cluster.leader(replicated, 0)
    assert kafka_cluster.in_sync(replicated, 0) == {0, 1, 2}
    assert write(servers, replicated, ["before"], configuration=ALL) == 1
    kafka_cluster.kill(leader)
    assert kafka_cluster.running() == {0, 1, 2} - {leader}
    assert not answers_metadata(kafka_cluster.address(leader), timeout_s=0.5)
    wait_for(lambda: kafka_cluster.leader(replicated, 0) != leader, "another leader")
    assert write(servers, replicated, ["without it"], configuration=ALL) == 1
    assert leader not in kafka_cluster.in_sync(replicated, 0)
    kafka_cluster.restart(leader)
    kafka_cluster.wait_until_in_sync()
    assert kafka_cluster.in_sync(replicated, 0) == {0, 1, 2}
    assert Admin(kafka_cluster.address(leader)).record_count(replicated) == 2


def test_ends_are_asked_again_while_a_leader_is_replaced(kafka_cluster, replicated):
    admin = Admin(kafka_cluster.bootstrap_servers)
    write(admin.bootstrap_servers, replicated, ["one"], configuration=ALL)
    leader = kafka_cluster.leader(replicated, 0)
    kafka_cluster.kill(leader)
    # Now librdkafka has an offset of -1001 for an answer, as long as it knows no other leader.
    assert admin.end_offsets(replicated) == {0: 1}
    assert kafka_cluster.leader(replicated, 0) != leader


def test_another_broker_leads_after_a_pause(kafka_cluster, replicated):
    leader = kafka_cluster.leader(replicated, 0)
    kafka_cluster.pause(leader)
    assert leader in kafka_cluster.running()
    assert not answers_metadata(kafka_cluster.address(leader), timeout_s=0.5)
    wait_for(lambda: kafka_cluster.leader(replicated, 0) != leader, "another leader")
    kafka_cluster.resume(leader)
    kafka_cluster.wait_until_in_sync()


def test_a_broker_that_answers_nothing_delays_no_reader(kafka_cluster, replicated):
    """librdkafka asks most things of the controller, and with KRaft any broker is named as that.

    It asks for the topics where it asked last.
    """
    servers = kafka_cluster.bootstrap_servers
    write(servers, replicated, ["1"], configuration=ALL)
    follower = min(kafka_cluster.in_sync(replicated, 0) - {kafka_cluster.leader(replicated, 0)})
    admins = [Admin(kafka_cluster.address(follower)) for _ in range(12)]
    assert all(replicated in admin.topics() for admin in admins)
    kafka_cluster.pause(follower)
    with ThreadPoolExecutor(len(admins)) as pool:
        assert all(replicated in found for found in pool.map(Admin.topics, admins))
    # A single one may be lucky. Each asks when it is made, and again while it reads.
    for _ in range(5):
        assert len(list(KafkaDataset(replicated, servers=servers))) == 1


def test_what_is_not_in_sync_is_waited_for_in_vain(kafka_cluster, replicated):
    follower = min(kafka_cluster.in_sync(replicated, 0) - {kafka_cluster.leader(replicated, 0)})
    kafka_cluster.kill(follower)
    wait_for(lambda: follower not in kafka_cluster.in_sync(replicated, 0), "the loss to be seen")
    with pytest.raises(BrokerError, match=r"gave up after 1 s .* to be in sync"):
        kafka_cluster.wait_until_in_sync(deadline_s=1)


def test_all_brokers_come_back_together(kafka_cluster, replicated):
    servers = kafka_cluster.bootstrap_servers
    write(servers, replicated, ["kept"], configuration=ALL)
    for broker in range(3):
        kafka_cluster.kill(broker)
    assert kafka_cluster.running() == set()
    kafka_cluster.restart(0, 1, 2)
    kafka_cluster.wait_until_in_sync()
    assert Admin(servers).record_count(replicated) == 1


@dataclass
class Unclean:
    """A topic whose leader died with its last 50 records, and what had read them before.

    Its only follower, which was dead, became the leader, and has 100 others: so every offset exists
    that existed before, and only the leader's epoch shows the loss.

    Attributes:
        stream, batches: a group that is reading.
        groups: each has committed the end.
        dataset, state: with the 50 records; the state is after the first 120.
        job, worker: exactly-once inference that has committed the end.
        learner: the arguments of `learn`, which trained on all records.
    """

    servers: str
    topic: str
    stream: KafkaGroupDataset
    batches: Iterator[tuple]
    groups: tuple[str, str]
    dataset: KafkaDataset
    state: dict
    worker: ExactlyOnceInference
    learner: tuple

    def group(self, number: int, **options) -> KafkaGroupDataset:
        earliest = {"auto.offset.reset": "earliest"}
        return KafkaGroupDataset(
            self.topic, self.groups[number], self.servers, 0, earliest, batch_size=150, **options
        )


# Broker 0 leads it first, and broker 2 from the death of broker 0 on.
LED_TWICE = NewTopic("led-twice", 1, replica_assignment=[[0, 2]])


def create(servers: str, *topics: NewTopic) -> None:
    """Create topics, as `Admin` cannot."""
    change(
        servers,
        "the topics",
        lambda client: client.create_topics([*topics]).values(),
        KafkaError.TOPIC_ALREADY_EXISTS,
    )


@pytest.fixture(scope="module")
def unclean(kafka_cluster, tmp_path_factory) -> Iterator[Unclean]:
    servers, topic = kafka_cluster.bootstrap_servers, "unclean"
    settings = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}
    new = NewTopic(topic, 1, replica_assignment=[[0, 1]], config=settings)
    create(servers, new, LED_TWICE)
    Admin(servers).create_topic("unclean-predictions", 1, replication_factor=3)
    assert kafka_cluster.leader(topic, 0) == 0
    some = {"acks": "1", "enable.idempotence": False}
    write(servers, topic, ["0"] * 100, ["0"] * 100, configuration=ALL)
    kafka_cluster.kill(1)
    wait_for(lambda: kafka_cluster.in_sync(topic, 0) == {0}, "the loss to be seen", 60)
    write(servers, topic, ["1"] * 50, ["1"] * 50, configuration=some)

    earliest = {"auto.offset.reset": "earliest"}
    stream = KafkaGroupDataset(
        topic, "unclean-0", servers, -1, earliest, batch_size=150, auto_commit=False
    )
    batches = iter(stream)
    assert len(next(batches)[0]) == 150
    # A member that joins again on a slow machine reads from the committed offset.
    stream.commit()
    dataset = KafkaDataset(topic, servers=servers)
    assert len(list(dataset)) == 150
    decoder = CsvDecoder(1, label="key")
    job = InferenceJob(
        lambda rows: rows[:, 0], decoder, [topic], "unclean-predictions", "unclean-worker"
    )
    worker = ExactlyOnceInference(job, servers)
    assert worker.run().used == 150
    folder = tmp_path_factory.mktemp("learner")
    learner = (folder, Stream(topic, decoder, servers, stream_timeout=0), one_weight, fit)
    assert learn(*learner, seed=1).records == 150
    made = Unclean(
        servers,
        topic,
        stream,
        batches,
        ("unclean-1", "unclean-2"),
        dataset,
        dataset.state(120),
        worker,
        learner,
    )
    assert [len(list(made.group(number))) for number in (0, 1)] == [1, 1]

    kafka_cluster.kill(0)
    kafka_cluster.restart(1)
    wait_for(lambda: kafka_cluster.leader(topic, 0) == 1, "the other leader", 60)
    write(servers, topic, ["2"] * 100, ["0"] * 100, configuration=some)
    kafka_cluster.restart(0)
    kafka_cluster.wait_until_in_sync()
    yield made
    stream.close()


def one_weight() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model: keras.Model, features, labels) -> None:
    model.fit(features, labels, verbose=0)


LOST = "offset 150 comes next, but a broker without the records from 100 on became the leader: 50"
REPLACED = "offsets {}: records were lost, because a broker without them became the leader"


def test_a_group_that_reads_notices_an_unclean_election(unclean):
    with pytest.raises(tf.errors.OpError, match=f"OffsetError: topic unclean, partition 0: {LOST}"):
        next(unclean.batches)
    assert isinstance(unclean.stream.error, OffsetError)


def test_a_committed_offset_notices_an_unclean_election(unclean):
    stream = unclean.group(0)
    with pytest.raises(tf.errors.OpError, match=LOST):
        next(iter(stream))
    assert isinstance(stream.error, OffsetError)


def test_a_group_may_go_on_where_the_records_differ(unclean):
    stream = unclean.group(1, on_missing_offsets="earliest")
    found = [value for values, _ in stream for value in values.numpy().tolist()]
    assert found == [b"2"] * 100 and stream.counts.missing == 50
    again = unclean.group(1)
    assert not list(again) and again.error is None


def test_a_bounded_dataset_notices_an_unclean_election(unclean):
    manifest = unclean.dataset.manifest()
    for dataset, offsets in (
        (unclean.dataset, "0:150"),
        (KafkaDataset.from_manifest(manifest), "0:150"),
        (KafkaDataset.from_state(unclean.state), "0:150"),
        (KafkaDataset(unclean.topic, start=110, servers=unclean.servers), None),
    ):
        if offsets is None:
            assert len(list(dataset)) == 90
            continue
        with pytest.raises(tf.errors.OpError, match=REPLACED.format(offsets)):
            list(dataset)
        assert isinstance(dataset.error, OffsetError)


def test_an_exactly_once_worker_notices_an_unclean_election(unclean):
    with pytest.raises(OffsetError, match=LOST):
        unclean.worker.run()


def test_a_learner_notices_an_unclean_election(unclean):
    """The records that it plans next were all written by the new leader."""
    with pytest.raises(OffsetError, match=REPLACED.format("150:200")):
        learn(*unclean.learner, seed=1)


class Silent:
    """Four kinds of readers that have read all of a topic, each in a thread, and wait for more.

    Attributes:
        read: the number of records that each has used.
        errors: what each has ended with.
    """

    def __init__(self, servers: str, topic: str, predictions: str):
        self.read: Counter[str] = Counter()
        self.errors: dict[str, Exception] = {}
        settings = (servers, -1, {"auto.offset.reset": "earliest"})
        group = KafkaGroupDataset(topic, "silent-group", *settings)
        minis = KafkaMiniBatchDataset(topic, "silent-minis", *settings, records=50)
        bounded = kafka.KafkaDataset(topic, servers)
        decoder = CsvDecoder(1)
        job = InferenceJob(lambda rows: rows[:, 0], decoder, [topic], predictions, "silent-worker")
        worker = ExactlyOnceInference(
            job,
            servers,
            stream_timeout=-1,
            on_commit=lambda counts: self.read.update(worker=counts.used - self.read["worker"]),
        )
        self._start("group", group, lambda: self._count("group", group))
        self._start("minis", minis, lambda: [self._count("minis", mini) for mini in minis])
        self._start("bounded", bounded, lambda: self._count("bounded", bounded))
        self._start("worker", None, worker.run)

    def _count(self, name: str, elements) -> None:
        for _ in elements:
            self.read[name] += 1

    def _start(self, name: str, dataset, read: Callable[[], object]) -> None:
        def run() -> None:
            try:
                read()
            except Exception as error:
                self.errors[name] = getattr(dataset, "error", None) or error

        threading.Thread(target=run, daemon=True).start()


def test_silent_readers_notice_a_topic_that_was_created_again(kafka_cluster, unclean):
    """Its leader's epoch is lower than before: librdkafka 2.16 never fetches from that leader."""
    servers, topic = unclean.servers, LED_TWICE.topic
    write(servers, topic, ["1"] * 100)
    silent = Silent(servers, topic, "unclean-predictions")
    everything = dict.fromkeys(("group", "minis", "bounded", "worker"), 100)
    with suppress(TfkafkaError):
        wait_for(lambda: silent.read == everything, "all to be read", DEADLINE_S)
    assert silent.read == everything, silent.errors
    change(
        servers,
        f"topic {topic}",
        lambda client: client.delete_topics([topic]).values(),
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    # At once: a reader that sees it missing has another error.
    create(servers, LED_TWICE)
    kafka_cluster.leader(topic, 0)
    write(servers, topic, ["2"] * 100)
    with suppress(TfkafkaError):
        wait_for(lambda: silent.errors.keys() == everything.keys(), "all to end", DEADLINE_S)
    assert silent.errors.keys() == everything.keys()
    words = f"topic {topic} on .* was deleted and created again|topic {topic} no longer exists"
    for error in silent.errors.values():
        with pytest.raises((TopicError, ReadError), match=words):
            raise error
    assert silent.read == everything


def write_one(topic: str, servers: str) -> None:
    assert write(servers, topic, [b"0"]) == 1


def read_by_a_group(topic: str, servers: str) -> None:
    assert list(KafkaGroupDataset(topic, topic, servers)) == []


@pytest.mark.parametrize("use", [write_one, read_by_a_group])
def test_a_new_topic_may_be_used_at_any_broker(kafka_cluster, group, use):
    """Each learns of it a moment later than the one that created it."""
    for number in range(8):
        topic = f"{group}-{number}"
        Admin(kafka_cluster.address(number % 3)).create_topic(topic, 1)
        use(topic, kafka_cluster.address((number + 1) % 3))


def test_each_broker_has_a_log_and_little_memory(kafka_cluster):
    for broker in range(3):
        assert f"Kafka version: {VERSION} " in kafka_cluster.logs(broker)
        assert f"node.id = {broker}\n" in kafka_cluster.logs(broker)
    assert kafka_cluster.logs() == "".join(kafka_cluster.logs(broker) for broker in range(3))
    processes = java_of(kafka_cluster.folder)
    assert len(processes) == 3
    assert all("-Xmx300M" in process.cmdline() for process in processes)


@pytest.mark.parametrize("broker", [-1, 3, "1"])
def test_broker_that_is_none_is_named(kafka_cluster, broker):
    with pytest.raises(BrokerError, match=f"there is no broker {broker!r}: there are 0 to 2"):
        kafka_cluster.kill(broker)
    assert kafka_cluster.running() == {0, 1, 2}


def test_cluster_of_kafka_4_uses_its_data_again(tmp_path):
    with embedded.start_cluster(tmp_path, "4.4.0", 1, progress=False) as cluster:
        Admin(cluster.bootstrap_servers).create_topic("kept")
        write(cluster.bootstrap_servers, "kept", ["1", "2"])
    assert java_of(tmp_path) == []
    cluster.stop()
    with pytest.raises(BrokerError, match="of another number of brokers than 2: "):
        embedded.start_cluster(tmp_path, "4.4.0", 2)
    with embedded.start_cluster(tmp_path, "4.4.0", 1, progress=False) as cluster:
        cluster.wait_until_in_sync()
        assert Admin(cluster.bootstrap_servers).record_count("kept") == 2
        with pytest.raises(BrokerError, match="runs already at"):
            embedded.start_cluster(tmp_path, "4.4.0", 1)


def test_a_broker_is_upgraded_in_place(tmp_path):
    with embedded.start_cluster(tmp_path, VERSION, 1, progress=False) as cluster:
        servers = cluster.bootstrap_servers
        Admin(servers).create_topic("kept")
        write(servers, "kept", ["1", "2"])
        with pytest.raises(BrokerError, match=r"needs Kafka with KRaft, which 2\.7\.2 has not"):
            cluster.upgrade(0, "2.7.2")
        assert "Kafka version: 4.4.0 " not in cluster.logs()
        assert answers_metadata(servers, timeout_s=30)
        cluster.upgrade(0, "4.4.0")
        assert "Kafka version: 4.4.0 " in cluster.logs()
        assert write(servers, "kept", ["3"], configuration=ALL) == 1
        assert Admin(servers).record_count("kept") == 3
    with pytest.raises(BrokerError, match=r"holds data of Kafka 4\.4\.0, not 3\.9\.2"):
        embedded.start_cluster(tmp_path, VERSION, 1)


def test_old_kafka_has_no_clusters(tmp_path):
    with pytest.raises(BrokerError) as raised:
        embedded.start_cluster(tmp_path, "2.7.2")
    assert str(raised.value) == (
        "a cluster needs Kafka with KRaft, which 2.7.2 has not: "
        "use one of 3.9.2, 4.0.2, 4.1.2, 4.2.2, 4.3.1, 4.4.0"
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("brokers", [0, -1, True, 1.5])
def test_number_of_brokers_that_is_none_is_refused(tmp_path, brokers):
    with pytest.raises((TypeError, ValueError), match=f"brokers is {brokers!r}, must be"):
        embedded.start_cluster(tmp_path, VERSION, brokers)


@pytest.mark.usefixtures("no_java_left")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_start_that_was_ended(tmp_path, number):
    for attempt in range(ATTEMPTS):
        folder = tmp_path / f"cluster-{attempt}"
        errors = errors_of_signalled_start(folder, VERSION, launch.KAFKA_MAIN, number, True, 2)
        if errors is not None:
            break
    assert errors is not None, "the signal ended no start"
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    wait_for(lambda: not java_of(tmp_path), "the Java processes to end")
