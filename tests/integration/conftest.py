"""Fixtures that several modules of the integration tests share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import stacks
from tests.integration import tfio_defects
from tests.integration.broker_child import end_java_of
from tests.integration.foreign import ROOT, Project
from tests.integration.tfio_defects import Facts, Topics, send
from tests.isolated import run
from tfkafka import Admin
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.base import Broker

# Read before pytester gives its subprocesses another home.
CACHE = jars.cache_folder()


@pytest.fixture(scope="module")
def facts(
    request: pytest.FixtureRequest, kafka: Broker, admin: Admin, topic_prefix: str
) -> Iterator[Facts]:
    """What one process sees through the module's READER, one dataset after the other."""
    mark = uuid.uuid4().hex[:6]
    names = ("one", "odd", "many", "few", "others", "pair")
    topics = Topics(**{name: f"{topic_prefix}facts-{name}-{mark}" for name in names})
    filled = {
        topics.one: range(1),
        topics.odd: range(1025),
        topics.many: range(8192),
        topics.few: range(10),
        topics.others: range(100, 110),
        topics.pair: range(10),
    }
    reader, servers = request.module.READER, kafka.bootstrap_servers
    try:
        for name, numbers in filled.items():
            admin.create_topic(name, 2 if name == topics.pair else 1)
            send(servers, name, numbers)
        send(servers, topics.pair, range(10, 20), partition=1)
        yield run(tfio_defects.in_one_process, reader, servers, topics, topics.one)
    finally:
        for name in set(filled) & set(admin.topics()):
            admin.delete_topic(name)


@pytest.fixture(scope="module")
def kafka_of(
    pytestconfig: pytest.Config,
    embedded_kafka: Callable[[str], Broker],
    kafka_factory: Callable[..., Broker],
) -> Iterator[Callable[[str], Broker]]:
    """kafka_of(version) -> the session's embedded Kafka, or of another version the module's own.

    That ends with the module: with nothing to do, a broker takes 2 % of a core.
    """
    own: dict[str, Broker] = {}

    def of(version: str) -> Broker:
        if version == stacks.chosen(pytestconfig)[0].version:
            return embedded_kafka(version)
        if version not in own:
            own[version] = kafka_factory(version)
        return own[version]

    yield of
    for broker in own.values():
        broker.stop()


@pytest.fixture(scope="module")
def kafka_4(kafka_of: Callable[[str], Broker]) -> Broker:
    """A broker of Kafka 4, which tensorflow-io cannot talk to."""
    return kafka_of("4.4.0")


@pytest.fixture
def no_java_left(tmp_path: Path) -> Iterator[None]:
    """End what a failed test leaves running in its folder."""
    yield
    end_java_of(tmp_path)


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_java_left: None
) -> Iterator[Project]:
    """A project that is not ours; brokers that workers of pytest-xdist share are in tmp_path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{site}")
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(CACHE))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield Project(pytester, site)
    end_java_of(pytester.path)
