"""Fixtures of the readers' tests: where Kafka is, what a group has committed, a second member."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import fillers
from tests.integration.tfkafka.rivals import Rival
from tfkafka import Admin
from tfkafka.testing.brokers.base import Broker


@pytest.fixture
def servers(kafka: Broker) -> str:
    return kafka.bootstrap_servers


@pytest.fixture(params=fillers.NAMES)
def filler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What readers of the test read with, in this process: one after the other."""
    fillers.use(monkeypatch, request.param)
    return request.param


@pytest.fixture
def own_kafka(kafka_factory: Callable[..., Broker]) -> Iterator[Broker]:
    """A broker of the test's own, which it may end."""
    broker = kafka_factory(progress=False)
    yield broker
    broker.stop()


@pytest.fixture
def committed(admin: Admin, group: str) -> Callable[[], dict[int, int | None]]:
    """committed() -> the group's committed offset of each partition."""
    return lambda: {row.partition: row.committed for row in admin.describe_group(group)}


@pytest.fixture
def join(servers: str, group: str) -> Iterator[Callable[..., Rival]]:
    """join(topic, **settings) -> a second member of the group, which leaves it after the test."""
    with contextlib.ExitStack() as stack:

        def new(topic: str, **settings: object) -> Rival:
            rival = Rival(servers, topic, group, **settings)
            stack.callback(rival.leave)
            return rival

        yield new


@pytest.fixture
def learner(tmp_path: Path) -> Callable[..., int]:
    """One of `clients`, which imports TensorFlow."""
    from tests.integration.tfkafka import clients

    return clients.learner(tmp_path)
