"""Kafka in Docker, by docker-compose.yml; skipped, with the reason, where Docker is missing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.documents import ROOT, examples
from tfkafka.errors import BrokerError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import compose
from tfkafka.testing.brokers.base import answers_metadata
from tfkafka.testing.brokers.compose import ComposeBroker
from tfkafka.testing.brokers.processes import port_is_free

RECORDS = [b"%d" % number for number in range(1000)]


@pytest.fixture(scope="module", autouse=True)
def docker() -> None:
    if reason := compose.available():
        pytest.skip(f"Docker cannot be used: {reason}")


@pytest.fixture(scope="module")
def broker(docker: None) -> Iterator[ComposeBroker]:
    """A stack of this module's own, for it is killed and paused; left running by each test."""
    broker = compose.start(None, f"tfkafka-test-compose-{os.getpid()}")
    yield broker
    broker.stop()


def docker_lists(what: str, project: str) -> list[str]:
    """Ids of containers (`ps`), volumes or networks of a Compose project."""
    label = f"label=com.docker.compose.project={project}"
    listing = ["-a"] if what == "ps" else ["ls"]
    command = ["docker", what, *listing, "-q", "--filter", label]
    return subprocess.check_output(command, text=True, timeout=30).split()


def write(broker: ComposeBroker, topic: str) -> None:
    failures = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for value in RECORDS:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(20) == 0
    assert failures == [None] * len(RECORDS)


def read(broker: ComposeBroker, topic: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = consumer.consume(len(RECORDS), timeout=20)
        assert [message.error() for message in messages] == [None] * len(RECORDS)
        return [message.value() for message in messages]
    finally:
        consumer.close()


def test_pytest_docker_brings_up_the_same(compose_kafka: ComposeBroker):
    write(compose_kafka, "pytest-docker")
    assert read(compose_kafka, "pytest-docker") == RECORDS


def test_listens_on_loopback_only(broker: ComposeBroker):
    ports = subprocess.check_output(["docker", "port", broker.container], text=True, timeout=30)
    assert ports.split(" -> ") == ["9092/tcp", f"{broker.bootstrap_servers}\n"]
    assert broker.bootstrap_servers.startswith("127.0.0.1:")


def test_health_check_finds_it_healthy(broker: ComposeBroker):
    def health() -> str:
        command = ["docker", "inspect", "--format", "{{json .State.Health}}", broker.container]
        return json.loads(subprocess.check_output(command, timeout=30))["Status"]

    wait_for(lambda: health() == "healthy", "the health check", deadline_s=60)


def test_version_and_log_are_the_brokers_own(broker: ComposeBroker):
    assert f"Kafka version: {broker.version} " in broker.logs()


def test_records_survive_a_kill(broker: ComposeBroker):
    before = broker.bootstrap_servers
    write(broker, "survives")
    broker.kill()
    assert port_is_free(int(before.rpartition(":")[2]))
    broker.restart()
    assert broker.bootstrap_servers == before
    assert read(broker, "survives") == RECORDS


def test_paused_broker_is_silent_until_resumed(broker: ComposeBroker):
    answers = partial(answers_metadata, broker.bootstrap_servers)
    assert answers(timeout_s=10)
    broker.pause()
    try:
        assert not answers(timeout_s=1)
    finally:
        broker.resume()
    assert answers(timeout_s=20)


def test_two_checkouts_side_by_side(broker: ComposeBroker):
    project = f"tfkafka-test-other-{os.getpid()}"
    other = compose.start(None, project)
    try:
        assert other.bootstrap_servers != broker.bootstrap_servers
        assert compose.attach(project).bootstrap_servers == other.bootstrap_servers
        assert all(docker_lists(what, project) for what in ("ps", "volume", "network"))
    finally:
        other.stop()
    assert [docker_lists(what, project) for what in ("ps", "volume", "network")] == [[], [], []]
    assert port_is_free(int(other.bootstrap_servers.rpartition(":")[2]))
    assert answers_metadata(broker.bootstrap_servers, timeout_s=10)
    other.stop()


def test_the_example_of_the_documentation_of_docker():
    [example] = examples(ROOT / "docs" / "docker.md")
    project = f"tfkafka-test-example-{os.getpid()}"
    exec(compile(example.replace("my-tests", project), "example", "exec"), {})
    assert docker_lists("ps", project) == []


def test_taken_port_is_named(broker: ComposeBroker):
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    with pytest.raises(BrokerError, match=f"port {port} of 127.0.0.1 is taken"):
        compose.start(None, "tfkafka-test-taken", port)


def test_broker_that_ends_while_starting_shows_its_log(broker: ComposeBroker):
    # Made from the image that is here, so that nothing is downloaded.
    project = f"tfkafka-test-broken-{os.getpid()}"
    image = f"{project}:1"
    own = ["docker", "inspect", "--format", "{{.Config.Image}}", broker.container]
    base = subprocess.check_output(own, text=True, timeout=30).strip()
    recipe = f"FROM {base}\nCMD echo this broker ends at once; exit 3\n"
    subprocess.run(
        ["docker", "build", "-q", "-t", image, "-"],
        input=recipe,
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    try:
        with pytest.raises(BrokerError, match=r"(?s)exited; .*:\n  this broker ends at once"):
            compose.start(image, project)
    finally:
        subprocess.run(["docker", "rmi", image], check=True, capture_output=True, timeout=60)
    assert docker_lists("ps", project) == []
