"""The embedded broker: what it promises, and what it says when it cannot keep it."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.integration.broker_child import java_of
from tfkafka.client.cluster import Cluster
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import embedded, launch
from tfkafka.testing.brokers.base import answers_metadata
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.brokers.external import ExternalBroker
from tfkafka.testing.brokers.folder import BrokerFolder
from tfkafka.testing.brokers.processes import port_is_free

# `make test-versions` runs other tests on each one that is known.
VERSIONS = ["2.7.2", "3.9.2", "4.4.0"]
ZOOKEEPER_VERSION = "2.7.2"
KRAFT_VERSION = "3.9.2"
# Java's properties, URLs and command lines would take parts of it for something else.
ODD_NAME = r"a b\u0041\ü ☃😀 #=:%20;!$x'" + '"'
ZOOKEEPER_MAIN, KAFKA_MAIN = launch.ZOOKEEPER_MAIN, launch.KAFKA_MAIN


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], EmbeddedBroker]]:
    """shared(version): one broker of each version for all tests, which leave it running."""
    brokers: dict[str, EmbeddedBroker] = {}

    def of_version(version: str) -> EmbeddedBroker:
        if version not in brokers:
            folder = tmp_path_factory.mktemp("shared") / ODD_NAME
            brokers[version] = embedded.start(folder, version, progress=False)
        return brokers[version]

    yield of_version
    for broker in brokers.values():
        broker.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., EmbeddedBroker]]:
    """embedded.start with a folder of the test's own; nothing of it outlasts the test."""
    brokers = []

    def start_in(name: str = "broker", version: str = ZOOKEEPER_VERSION, **options):
        brokers.append(embedded.start(tmp_path / name, version, progress=False, **options))
        return brokers[-1]

    yield start_in
    for broker in brokers:
        broker.stop()


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def write(broker: EmbeddedBroker, topic: str, values: list[bytes]) -> None:
    failures = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value in values:
        producer.produce(
            topic, value, on_delivery=lambda error, _: failures.append(error) if error else None
        )
    assert producer.flush(20) == 0
    assert failures == []


def read(broker: EmbeddedBroker, topic: str, count: int) -> list[bytes]:
    """`count` records from the beginning, and proof that there is no further one."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    try:
        partition = TopicPartition(topic, 0, 0)
        consumer.assign([partition])
        messages = consumer.consume(count, timeout=20)
        assert [message.error() for message in messages] == [None] * count
        assert consumer.get_watermark_offsets(partition, timeout=10) == (0, count)
        return [message.value() for message in messages]
    finally:
        consumer.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_listens_on_loopback_only(shared, version):
    state = shared(version).state
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for process in state.processes()
        for connection in psutil.Process(process.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert ("127.0.0.1", state.ports.broker) in listening
    assert ("127.0.0.1", state.ports.metadata) in listening
    assert {ip for ip, _ in listening} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("version", "mains"),
    [(v, [KAFKA_MAIN] + [ZOOKEEPER_MAIN] * (v == ZOOKEEPER_VERSION)) for v in VERSIONS],
)
def test_processes_and_their_memory(shared, version, mains):
    commands = [process.cmdline() for process in java_of(shared(version).folder.path)]
    assert sorted(main for command in commands for main in mains if main in command) == mains
    assert len(commands) == len(mains)
    for command in commands:
        heap = [re.fullmatch(r"-Xmx(\d+)M", flag) for flag in command]
        assert [int(found[1]) <= 512 for found in heap if found] == [True]


@pytest.mark.parametrize("version", VERSIONS)
def test_folder_may_have_any_name(shared, version):
    broker = shared(version)
    write(broker, "odd", [b"1"])
    assert (broker.folder.data / "kafka" / "odd-0").is_dir()
    assert (broker.folder.data / "zookeeper").is_dir() == (version == ZOOKEEPER_VERSION)
    # Written as our settings of the log say.
    assert re.match(r"\[\d{4}-\d\d-\d\d [\d:,]+\] INFO ", broker.logs())


@pytest.mark.parametrize("version", VERSIONS)
def test_settings_and_data_are_for_their_owner_alone(shared, version):
    home = shared(version).folder
    assert {oct(each.stat().st_mode & 0o777) for each in (home.config, home.data)} == {"0o700"}
    files = list(home.config.iterdir())
    assert len(files) >= 2
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a,b", "takes a comma as the end"), ("\udcff", "folder is .*, must be text that UTF-8")],
)
@pytest.mark.parametrize("start", [embedded.start, embedded.start_cluster])
def test_folder_that_kafka_cannot_use_is_refused(tmp_path, start, name, reason):
    with pytest.raises((BrokerError, ValueError), match=reason):
        start(tmp_path / name, KRAFT_VERSION)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
def test_records_survive_a_kill(shared, version):
    broker = shared(version)
    before = broker.bootstrap_servers
    values = [b"%d" % number for number in range(100)]
    write(broker, "survives", values)
    cluster = Cluster({"bootstrap.servers": broker.bootstrap_servers}, 60_000)
    assert cluster.end_offsets("survives", [0]) == {0: 100}
    broker.kill()
    assert not broker.state.kafka.running()
    assert port_is_free(broker.state.ports.broker)
    broker.restart()
    assert broker.bootstrap_servers == before
    # The leader has been elected again since this client asked.
    assert cluster.end_offsets("survives", [0]) == {0: 100}
    assert read(broker, "survives", 100) == values


@pytest.mark.parametrize("version", VERSIONS)
def test_paused_broker_is_silent_until_resumed(shared, version):
    broker = shared(version)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    assert admin.list_topics(timeout=10).brokers
    broker.pause()
    try:
        # Connections are still accepted (by the kernel): it is frozen and not gone.
        with socket.create_connection(("127.0.0.1", broker.state.ports.broker), timeout=5):
            pass
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=1)
    finally:
        broker.resume()
    assert admin.list_topics(timeout=20).brokers


@pytest.mark.parametrize("version", [ZOOKEEPER_VERSION, KRAFT_VERSION])
def test_two_brokers_side_by_side_and_one_is_stopped(shared, start, version):
    one, other = start(version=version), shared(version)
    write(one, "of-one", [b"1"])
    write(other, "of-other", [b"2"])
    assert read(one, "of-one", 1) == [b"1"]
    assert read(other, "of-other", 1) == [b"2"]
    topics = AdminClient({"bootstrap.servers": other.bootstrap_servers}).list_topics(timeout=10)
    assert "of-one" not in topics.topics
    processes = one.state.processes()
    one.stop()
    assert [process.running() for process in processes] == [False] * len(processes)
    assert java_of(one.folder.path) == []
    assert port_is_free(one.state.ports.broker)
    assert port_is_free(one.state.ports.metadata)
    assert embedded.attach(one.folder.path) is None
    one.stop()
    assert answers_metadata(other.bootstrap_servers, timeout_s=10)


def test_version_and_log_tell_the_truth(shared):
    for version in VERSIONS:
        assert shared(version).version == version
        assert f"Kafka version: {version} " in shared(version).logs()


def test_attach_finds_a_running_broker(shared):
    broker = shared(KRAFT_VERSION)
    found = embedded.attach(broker.folder.path)
    assert (found.bootstrap_servers, found.version) == (broker.bootstrap_servers, KRAFT_VERSION)


def test_attach_finds_nothing_where_nothing_was_started(tmp_path):
    assert embedded.attach(tmp_path / "nothing") is None


def test_stale_pid_of_another_process_does_not_stop_a_start_and_a_dead_broker_is_named(
    start, tmp_path, capsys
):
    folder = tmp_path / "broker"
    folder.mkdir()
    # Our own pid, but not our start time: the pid was given out again.
    stale = {"pid": os.getpid(), "started": 1.0}
    ports = {"broker": 1, "metadata": 2}
    (folder / "broker.json").write_text(
        json.dumps(
            {"version": ZOOKEEPER_VERSION, "ports": ports, "kafka": stale, "zookeeper": stale}
        )
    )
    broker = start()
    assert answers_metadata(broker.bootstrap_servers, timeout_s=10)
    assert f"stale: pid {os.getpid()} " in capsys.readouterr().err
    broker.kill()
    with pytest.raises(BrokerError) as raised:
        embedded.attach(folder)
    text = str(raised.value)
    assert f"Kafka {ZOOKEEPER_VERSION} (pid {broker.state.kafka.pid})" in text
    assert "has died; start it again" in text
    *_, last_logged, where = text.splitlines()
    # ZooKeeper lives on and may have logged more since.
    assert last_logged.strip() in broker.logs()
    assert where.strip() == f"(all of it: {broker.folder.log})"


def test_data_of_another_version_is_refused_and_kept(tmp_path):
    BrokerFolder(tmp_path).claim_data("2.7.2")
    (tmp_path / "data" / "kafka").mkdir()
    with pytest.raises(BrokerError, match=r"holds data of Kafka 2\.7\.2, not 3\.9\.2"):
        embedded.start(tmp_path, "3.9.2")
    assert (tmp_path / "data" / "kafka").is_dir()
    assert (tmp_path / "data" / "kafka-version").read_text() == "2.7.2"


@pytest.mark.parametrize(
    ("argument", "flag"), [("port", "--port"), ("zookeeper_port", "--zookeeper-port")]
)
def test_taken_port_is_named_with_the_flag(tmp_path, argument, flag):
    with taken_port() as port, pytest.raises(BrokerError) as raised:
        embedded.start(tmp_path, ZOOKEEPER_VERSION, **{argument: port})
    assert f"port {port} of 127.0.0.1 is taken" in str(raised.value)
    assert str(raised.value).endswith(f"choose another with {flag}")
    assert java_of(tmp_path) == []


def test_second_start_in_the_same_folder_is_refused(shared):
    broker = shared(KRAFT_VERSION)
    with pytest.raises(BrokerError, match=f"runs already at {broker.bootstrap_servers}"):
        embedded.start(broker.folder.path, KRAFT_VERSION)
    assert answers_metadata(broker.bootstrap_servers, timeout_s=10)


def test_start_while_another_is_under_way_is_refused(tmp_path):
    home = BrokerFolder(tmp_path)
    with home.exclusive(), pytest.raises(BrokerError, match=r"another start in .* is under way"):
        embedded.start(tmp_path, ZOOKEEPER_VERSION)


def test_damaged_pid_file_is_named(tmp_path):
    (tmp_path / "broker.json").write_text('{"version": "2.7.2"')
    with pytest.raises(BrokerError, match=r"broker\.json is damaged .*; delete it"):
        embedded.start(tmp_path, ZOOKEEPER_VERSION)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BrokerError, match=r"cannot write to .*file/broker: Not a directory"):
        embedded.start(tmp_path / "file" / "broker", ZOOKEEPER_VERSION)


@pytest.mark.parametrize("version", [ZOOKEEPER_VERSION, KRAFT_VERSION])
def test_broker_that_cannot_come_up_shows_its_log(tmp_path, version):
    home = BrokerFolder(tmp_path)
    home.claim_data(version)
    # A file where the broker wants its folder: root too is refused here.
    (home.data / "kafka").write_text("in the way")
    with pytest.raises(BrokerError) as raised:
        embedded.start(tmp_path, version, progress=False)
    text = str(raised.value)
    assert str(home.data / "kafka") in text
    assert f"(all of it: {home.log})" in text
    assert java_of(tmp_path) == []
    assert embedded.attach(tmp_path) is None


def test_zookeeper_that_cannot_come_up_shows_its_log(tmp_path):
    home = BrokerFolder(tmp_path)
    home.claim_data(ZOOKEEPER_VERSION)
    (home.data / "zookeeper").write_text("in the way")
    with pytest.raises(BrokerError, match=r"(?s)ZooKeeper at .* ended while starting; .*all of it"):
        embedded.start(tmp_path, ZOOKEEPER_VERSION, progress=False)
    assert java_of(tmp_path) == []


def test_external_broker_is_used_and_not_disturbed(shared):
    ours = shared(KRAFT_VERSION)
    theirs = ExternalBroker(ours.bootstrap_servers)
    assert theirs.bootstrap_servers == ours.bootstrap_servers
    assert (theirs.version, theirs.logs()) == ("external", "")
    for disturb in (theirs.kill, theirs.restart, theirs.pause, theirs.resume):
        with pytest.raises(BrokerError, match=f"{ours.bootstrap_servers} is not ours"):
            disturb()
    theirs.stop()
    assert answers_metadata(ours.bootstrap_servers, timeout_s=10)
