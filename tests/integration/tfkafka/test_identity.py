"""A topic that is deleted and created again, at any moment, is another topic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import pytest
import tensorflow as tf
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place

from tests import fillers
from tests.faults.proxy import Proxy
from tests.integration.tfkafka.records import values
from tfkafka import (
    Admin,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    write,
)
from tfkafka.client.cluster import Cluster
from tfkafka.client.identity import Identities, TopicGuard
from tfkafka.client.validation import Validation
from tfkafka.errors import CommitError, ReadError, TfkafkaError, TopicError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, read_predictions
from tfkafka.online import Stream, learn
from tfkafka.testing import wait_for

DEADLINE_S = 60
EARLIEST = {"auto.offset.reset": "earliest"}
CREATED_AGAIN = r"topic {} on .* was deleted and created again \(its id is .*, was .*\)"
OLD, NEW = [f"1{n:04}" for n in range(100)], [f"2{n:04}" for n in range(250)]


@pytest.fixture(params=["2.7.2", "3.9.2", "4.4.0"])
def direct(request, kafka_of) -> str:
    """The address of a broker of each kind of metadata; Kafka 2.7.2 has no topic ids."""
    return kafka_of(request.param).bootstrap_servers


@pytest.fixture
def proxy(direct: str) -> Iterator[Proxy]:
    proxy = Proxy(direct)
    yield proxy
    proxy.close()


@pytest.fixture
def create_again(direct: str, group: str) -> Iterator[Callable[[], str]]:
    """create_again() -> the topic of the test: first with OLD, then another one with NEW."""
    admin, name = Admin(direct), group
    made = []

    def create() -> str:
        if made:
            admin.delete_topic(name)
        admin.create_topic(name)
        write(direct, name, NEW if made else OLD)
        made.append(name)
        return name

    yield create
    admin.delete_topic(name)


def has_ids(direct: str, topic: str) -> bool:
    return KafkaDataset(topic, servers=direct).manifest()["topic_id"] is not None


def taken(dataset: tf.data.Dataset, found: list[bytes]) -> threading.Thread:
    """Take all values of a dataset, in a thread."""

    def take() -> None:
        try:
            found.extend(value.numpy() for value, _ in dataset.unbatch())
        except tf.errors.OpError:
            assert dataset.error is not None

    thread = threading.Thread(target=take)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", ["bounded", "group"])
def test_created_again_between_a_fetch_and_its_delivery(direct, proxy, create_again, group, kind):
    """Nothing is delivered that was fetched before, and nothing is committed."""
    topic = create_again()
    servers = proxy.bootstrap_servers
    dataset: KafkaDataset | KafkaGroupDataset
    if kind == "bounded":
        dataset = KafkaDataset(topic, servers=servers, batch_size=1000)
    else:
        dataset = KafkaGroupDataset(topic, group, servers, 3000, EARLIEST, batch_size=1000)
    found: list[bytes] = []
    proxy.hold(OLD[0].encode())
    thread = taken(dataset, found)
    assert proxy.is_holding.wait(DEADLINE_S), "the broker has not sent the records"
    create_again()
    proxy.release()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    if has_ids(direct, topic):
        # On a slow machine the topic is seen while it is missing.
        words = rf"{CREATED_AGAIN.format(topic)}|topic {topic} no longer exists"
        assert isinstance(dataset.error, TfkafkaError) and not found
        assert dataset.error.topic == topic
        with pytest.raises((TopicError, ReadError), match=words):
            raise dataset.error
        assert not any(row.committed for row in Admin(direct).describe_group(group))
    elif dataset.error is not None:
        assert f"topic {topic} no longer exists" in str(dataset.error) and not found
    else:
        # Without ids nobody can tell: the records that had been fetched are delivered, and a group
        # goes on at their end.
        rest = NEW[len(OLD) :] if kind == "group" else []
        assert [*map(bytes.decode, found)] == [*OLD, *rest] and dataset.error is None


@fillers.both
def test_created_again_while_a_group_reads(servers, topic, group, admin):
    """It has more records than the position: nothing else would notice."""
    write(servers, topic, OLD)
    stream = KafkaGroupDataset(topic, group, servers, -1, EARLIEST, batch_size=len(OLD))
    iterator = iter(stream)
    assert len(next(iterator)[0]) == len(OLD)
    again(admin, servers, topic)
    with pytest.raises(tf.errors.OpError):
        next(iterator)
    with pytest.raises(TopicError, match=CREATED_AGAIN.format(topic)):
        raise stream.error
    assert not any(row.committed for row in admin.describe_group(group))
    fresh = KafkaGroupDataset(topic, group, servers, 0, EARLIEST)
    assert [*map(bytes.decode, values(fresh))] == NEW


def again(admin: Admin, servers: str, topic: str, records: list[str] = NEW) -> None:
    admin.delete_topic(topic)
    admin.create_topic(topic)
    write(servers, topic, records)


@pytest.mark.parametrize("kind", ["bounded", "group"])
def test_created_again_while_the_buffer_is_full(servers, topic, group, admin, kind, monkeypatch):
    """The new one has fewer records than the position: that is no offset that is gone."""
    in_threads: list[object] = []
    monkeypatch.setattr(threading, "excepthook", in_threads.append)
    # More than the chunks that are read before the first one is delivered.
    write(servers, topic, ["1" * 1000] * 20_000)
    small = {"prefetch_bytes": 1 << 16}
    dataset: KafkaDataset | KafkaGroupDataset
    if kind == "bounded":
        dataset = KafkaDataset(topic, servers=servers, **small)
    else:
        dataset = KafkaGroupDataset(topic, group, servers, -1, EARLIEST, **small)
    iterator = iter(dataset)
    next(iterator)
    again(admin, servers, topic, NEW[:10])
    with pytest.raises(tf.errors.OpError):
        list(iterator)
    with pytest.raises(TopicError, match=CREATED_AGAIN.format(topic)):
        raise dataset.error
    if isinstance(dataset, KafkaGroupDataset):
        dataset.close()
    assert not in_threads, "an exception ended a thread"


@fillers.both
@pytest.mark.parametrize("when", ["reading", "ended"])
def test_what_was_read_of_the_earlier_topic_is_not_committed_for_the_new_one(
    servers, topic, group, admin, when
):
    write(servers, topic, OLD)
    timeout = -1 if when == "reading" else 0
    stream = KafkaGroupDataset(topic, group, servers, timeout, EARLIEST, auto_commit=False)
    iterator = iter(stream)
    for _ in OLD:
        next(iterator)
    if when == "ended":
        assert not list(iterator)
    again(admin, servers, topic)
    with pytest.raises((CommitError, TopicError), match="was deleted and created again"):
        stream.commit()
    assert not any(row.committed for row in admin.describe_group(group))


def test_created_again_under_mini_datasets(servers, topic, group, admin):
    write(servers, topic, OLD)
    minis = iter(KafkaMiniBatchDataset(topic, group, servers, -1, EARLIEST, records=len(OLD)))
    assert len(next(minis)) == len(OLD)
    again(admin, servers, topic)
    with pytest.raises((CommitError, TopicError), match="was deleted and created again"):
        next(minis)
    assert not any(row.committed for row in admin.describe_group(group))


@fillers.both
def test_a_bounded_dataset_keeps_to_its_topic(servers, topic, admin):
    write(servers, topic, OLD)
    dataset = KafkaDataset(topic, servers=servers)
    again(admin, servers, topic)
    with pytest.raises(tf.errors.OpError, match="was deleted and created again"):
        values(dataset)
    dataset.refresh()
    assert [*map(bytes.decode, values(dataset))] == NEW


def one_weight() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_a_learner_keeps_to_its_topic(servers, topic, admin, tmp_path):
    """Also within one process: between two mini datasets."""
    seen: list[float] = []

    def train(_model, features, _labels) -> None:
        seen.extend(features[:, 0].tolist())
        if len(seen) == 50:
            admin.delete_topic(topic)
            admin.create_topic(topic)
            write(servers, topic, ["2"] * 300, ["1"] * 300)

    write(servers, topic, ["1"] * 100, ["1"] * 100)
    stream = Stream(topic, CsvDecoder(1, label="key"), servers, mini_dataset=50, stream_timeout=0)
    with pytest.raises(TopicError, match="was deleted and created again"):
        learn(tmp_path, stream, one_weight, train, seed=1)
    with pytest.raises(TopicError, match="the topic is not the one in the manifest"):
        learn(tmp_path, stream, one_weight, train, seed=1)
    assert seen == [1.0] * 50


@pytest.mark.parametrize("when", ["predicting", "restarting"])
def test_an_exactly_once_worker_keeps_to_its_topic(servers, make_topic, group, admin, when):
    """Neither predictions nor offsets of the earlier topic are committed after it is gone."""
    topic, predictions = make_topic(), make_topic()
    write(servers, topic, ["1"] * 100)
    begun, written = threading.Event(), threading.Event()

    def predict(features):
        if not begun.is_set():
            begun.set()
            again(admin, servers, topic, ["2"] * 300)
            written.set()
            if when == "restarting":
                raise TimeoutError
        return features[:, 0]

    job = InferenceJob(predict, CsvDecoder(1), [topic], predictions, group)
    with pytest.raises((TfkafkaError, TimeoutError)) as raised:
        ExactlyOnceInference(job, servers).run()
    if when == "predicting":
        assert isinstance(raised.value, TopicError)
    assert not read_predictions(servers, predictions)
    assert not any(row.committed for row in admin.describe_group(group))
    # A worker that notices by itself does not wait for its model.
    wait_for(written.is_set, "the records of the new topic", DEADLINE_S)
    assert ExactlyOnceInference(job, servers).run().used == 300


def test_a_restarted_reader_says_that_its_topic_was_deleted(servers, topic, admin):
    """Not that it was never created: an earlier reader of this process knows better."""
    known = Identities()
    TopicGuard(Cluster({"bootstrap.servers": servers}, 10_000), known).learn(topic)
    admin.delete_topic(topic)
    gone = rf"^topic {topic} no longer exists: it was deleted while reading$"
    with pytest.raises(TopicError, match=gone):
        TopicGuard(Cluster({"bootstrap.servers": servers}, 10_000), known).learn(topic)


@pytest.mark.parametrize("version", ["2.7.2", "3.9.2"])
def test_another_cluster_at_the_same_address(version, kafka_factory, group):
    """A port that another broker has taken meanwhile, with a topic of the same name.

    Without topic ids the cluster's id tells them apart.
    """
    broker = kafka_factory(version, progress=False)
    servers = broker.bootstrap_servers
    Admin(servers).create_topic(group)
    write(servers, group, OLD)
    dataset = KafkaDataset(group, servers=servers)
    broker.stop()
    port = int(servers.rpartition(":")[2])
    other = kafka_factory(version, port=port, progress=False)
    wait_for(lambda: Admin(servers).topics() == [], "the other broker", DEADLINE_S)
    Admin(servers).create_topic(group)
    write(servers, group, NEW)
    with pytest.raises(tf.errors.OpError):
        values(dataset)
    assert isinstance(dataset.error, TopicError)
    other.stop()


def committed(servers: str, group: str, topic: str) -> tuple:
    """The offset, metadata and leader's epoch that a group has committed for partition 0."""
    with client(servers, group) as consumer:
        [place] = consumer.committed([Place(topic, 0)], timeout=DEADLINE_S)
        return place.offset, place.metadata, place.leader_epoch


@contextmanager
def client(servers: str, group: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": group})
    yield consumer
    consumer.close()


@pytest.mark.parametrize("how", ["soon", "at once", "outside", "in a transaction"])
def test_every_commit_says_which_topic_and_leader_it_is_of(servers, make_topic, group, how):
    topic, predictions = make_topic(), make_topic()
    write(servers, topic, ["1"] * 100)
    if how == "in a transaction":
        job = InferenceJob(lambda rows: rows[:, 0], CsvDecoder(1), [topic], predictions, group)
        assert ExactlyOnceInference(job, servers).run().used == 100
    elif how == "soon":
        assert len(list(KafkaGroupDataset(topic, group, servers, 0, EARLIEST))) == 100
    else:
        stream = KafkaGroupDataset(topic, group, servers, 0, EARLIEST, auto_commit=False)
        assert len(list(stream)) == 100
        if how == "outside":
            stream.close()
        stream.commit()
    manifest = KafkaDataset(topic, servers=servers).manifest()
    known = manifest["topic_id"] is not None
    about = f"topic-id={manifest['topic_id']} cluster-id={manifest['cluster_id']}" if known else ""
    offset, metadata, epoch = committed(servers, group, topic)
    assert (offset, metadata or "") == (100, about) and epoch is not None


@pytest.mark.parametrize("position", ["latest", "earliest"])
def test_a_committed_offset_of_an_earlier_topic_is_not_used(direct, group, position, caplog):
    """Kafka deletes it with the topic, but not at once. Here it is put there by hand."""
    Admin(direct).create_topic(group)
    write(direct, group, OLD)
    manifest = KafkaDataset(group, servers=direct).manifest()
    if manifest["topic_id"] is None:
        pytest.skip("Kafka 2.7.2 has no topic ids")
    earlier = f"topic-id=of-the-earlier-one cluster-id={manifest['cluster_id']}"
    assert len(values(KafkaGroupDataset(group, group, direct, 0, EARLIEST))) == len(OLD)
    with client(direct, group) as consumer:
        place = Place(group, 0, 50, earlier)
        consumer.commit(offsets=[place], asynchronous=False)
    stream = KafkaGroupDataset(group, group, direct, 0, {"auto.offset.reset": position})
    found = [*map(bytes.decode, values(stream))]
    assert found == (OLD if position == "earliest" else [])
    assert f"topic {group} was deleted and created again" in caplog.text
    assert committed(direct, group, group)[1] != earlier
    Admin(direct).delete_topic(group)


def test_a_group_goes_on_in_an_old_message_format(kafka_of, group, tmp_path, monkeypatch):
    """Its records have no epochs, so the leader can compare none."""
    servers = kafka_of("2.7.2").bootstrap_servers
    plain = {"enable.idempotence": False}
    Admin(servers).create_topic(group, settings={"message.format.version": "0.10.2"})
    write(servers, group, ["1"] * 100, ["1"] * 100, configuration=plain)
    stream = Stream(group, CsvDecoder(1, label="key"), servers, stream_timeout=0)
    learning = (stream, one_weight, lambda *_: None)
    assert learn(tmp_path, *learning, seed=1).records == 100
    latest = KafkaGroupDataset(group, f"{group}-latest", servers, 0)
    assert not values(latest) and latest.error is None
    for count in (100, 50):
        assert len(values(KafkaGroupDataset(group, group, servers, 0, EARLIEST))) == count
        write(servers, group, ["1"] * 50, ["1"] * 50, configuration=plain)
    assert len(values(latest)) == 100
    with monkeypatch.context() as late:
        # librdkafka compares a start by itself where the topic's metadata come after it.
        late.setattr(Validation, "ask", lambda _: None)
        assert learn(tmp_path, *learning, seed=1).records == 200
    assert len(values(KafkaDataset(group, servers=servers))) == 200
    Admin(servers).delete_topic(group)
