"""A pytest plugin: fixtures with a real Kafka, for the tests of everybody who has tfkafka.

An entry point loads it into each pytest beside which tfkafka is installed. So until a fixture is
used it imports only pytest and the standard library, and all its names begin with `kafka_`.
docs/testing.md describes the fixtures.
"""

from __future__ import annotations

import contextlib
import re
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tfkafka.testing.brokers.packages import what_is_missing
from tfkafka.testing.brokers.versions import known_versions

if TYPE_CHECKING:
    from tfkafka import Admin
    from tfkafka.config import Configuration
    from tfkafka.testing.brokers.base import Broker
    from tfkafka.testing.brokers.cluster import EmbeddedCluster
    from tfkafka.testing.brokers.embedded import EmbeddedBroker
    from tfkafka.testing.brokers.registry import EmbeddedRegistry
    from tfkafka.testing.brokers.security import Security
    from tfkafka.testing.deliveries import Deliveries
    from tfkafka.testing.workers import SharedBrokers

pytest_plugins = ["tfkafka.testing.plugin_claims"]

LOG_LINES = 40
# As Kafka writes it, in local time.
STAMP = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]")
# What pytest-xdist's controller tells its workers.
WHERE = "kafka_shared_brokers"
START: pytest.StashKey[datetime] = pytest.StashKey()
SHARED: pytest.StashKey[SharedBrokers] = pytest.StashKey()
DELIVERIES: pytest.StashKey[Deliveries] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kafka", "Kafka, by tfkafka")
    group.addoption(
        "--kafka-version",
        metavar="VERSION",
        help=f"of the Kafka that is started; default: {known_versions()[-1]}",
    )
    group.addoption(
        "--kafka-per-worker",
        action="store_true",
        help="with pytest-xdist, start a broker for each worker; default: one for all",
    )


def pytest_configure(config: pytest.Config) -> None:
    version = config.getoption("--kafka-version")
    if version and version not in known_versions():
        known = ", ".join(known_versions())
        raise pytest.UsageError(f"--kafka-version {version}: must be one of {known}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where to ask for a broker."""
    config: pytest.Config = node.config
    if config.getoption("--kafka-per-worker"):
        return
    if SHARED not in config.stash:
        from tfkafka.testing.workers import SharedBrokers

        config.stash[SHARED] = SharedBrokers()
    node.workerinput[WHERE] = config.stash[SHARED].address


def pytest_unconfigure(config: pytest.Config) -> None:
    if shared := config.stash.get(SHARED, None):
        shared.stop()


@pytest.fixture(scope="session")
def kafka_version(pytestconfig: pytest.Config) -> str:
    """The version of Kafka of all brokers here: --kafka-version, or the newest."""
    return pytestconfig.getoption("--kafka-version") or known_versions()[-1]


@pytest.fixture(scope="session")
def kafka_configuration() -> Configuration:
    """librdkafka's settings with which `kafka_admin` uses `kafka_broker`: none."""
    return None


@pytest.fixture(scope="session")
def kafka_prefix() -> str:
    """Before the name of each topic and group: empty. A cluster of others may want one."""
    return ""


@pytest.fixture(scope="session")
def kafka_broker(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, kafka_version: str
) -> Iterator[Broker]:
    """A Kafka broker on 127.0.0.1, the same for all tests."""
    with _one_line("kafka_broker"):
        if where := getattr(pytestconfig, "workerinput", {}).get(WHERE):
            from tfkafka.testing import workers

            broker: Broker = workers.ask(where, kafka_version)
        else:
            from tfkafka.testing.brokers import embedded

            folder = tmp_path_factory.mktemp("kafka")
            broker = embedded.start(folder, kafka_version, progress=False)
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def kafka_cluster(
    tmp_path_factory: pytest.TempPathFactory, kafka_version: str
) -> Iterator[EmbeddedCluster]:
    """Three brokers that tests may kill and pause, if they leave them in sync.

    They end with the module: with nothing to do, they take a tenth of a core.
    """
    with _one_line("kafka_cluster"):
        from tfkafka.testing.brokers import embedded

        folder = tmp_path_factory.mktemp("cluster")
        cluster = embedded.start_cluster(folder, kafka_version, progress=False)
    with cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka_security() -> Security:
    """What protects `kafka_secured`: TLS, passwords of alice and bob, who have no rights yet."""
    with _one_line("kafka_security"):
        from tfkafka.testing.brokers.security import Security

    users = {"alice": "Pa55word-alice", "bob": "Pa55word-bob"}
    return Security(("SCRAM-SHA-512", "PLAIN"), "server", users, acls=True)


@pytest.fixture(scope="module")
def kafka_secured(
    tmp_path_factory: pytest.TempPathFactory, kafka_version: str, kafka_security: Security
) -> Iterator[EmbeddedBroker]:
    """A broker that also listens with security; `grant` gives users rights."""
    with _one_line("kafka_secured"):
        from tfkafka.testing.brokers import embedded

        folder = tmp_path_factory.mktemp("secured")
        broker = embedded.start(folder, kafka_version, security=kafka_security, progress=False)
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka_schema_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    """A schema registry on 127.0.0.1, at `url`, the same for all tests."""
    with _one_line("kafka_schema_registry"):
        from tfkafka.testing.brokers import registry

        started = registry.start(tmp_path_factory.mktemp("registry"), progress=False)
    with started:
        yield started


@pytest.fixture(scope="session")
def kafka_admin(kafka_broker: Broker, kafka_configuration: Configuration) -> Admin:
    """An `Admin` of `kafka_broker`."""
    from tfkafka import Admin

    return Admin(kafka_broker.bootstrap_servers, kafka_configuration)


@pytest.fixture
def kafka_make_topic(
    request: pytest.FixtureRequest, kafka_admin: Admin, kafka_prefix: str
) -> Iterator[Callable[..., str]]:
    """kafka_make_topic(partitions=1, settings=None) -> a fresh topic's name; deleted afterwards."""
    names = []

    def make(partitions: int = 1, settings: dict[str, str] | None = None) -> str:
        name = kafka_prefix + _unique_name(request.node.name)
        kafka_admin.create_topic(name, partitions, settings=settings)
        names.append(name)
        return name

    yield make
    for name in set(names) & set(kafka_admin.topics()) if names else ():
        kafka_admin.delete_topic(name)


@pytest.fixture
def kafka_topic(kafka_make_topic: Callable[..., str]) -> str:
    """A fresh topic with one partition, named after the test."""
    return kafka_make_topic()


@pytest.fixture
def kafka_group(request: pytest.FixtureRequest, kafka_prefix: str) -> str:
    """A name for a consumer group, after the test; no other test has it."""
    return kafka_prefix + _unique_name(request.node.name)


@pytest.fixture
def kafka_deliveries(request: pytest.FixtureRequest) -> Deliveries:
    """Records what a test sent and what was delivered; the test fails if these differ."""
    from tfkafka.testing.deliveries import Deliveries

    deliveries = Deliveries()
    request.node.stash[DELIVERIES] = deliveries
    return deliveries


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge the deliveries of a test that passed, while it can still fail."""
    result = yield
    # Not those of its arguments alone: a test may also ask for a fixture while it runs.
    deliveries = item.stash.get(DELIVERIES, None)
    if deliveries and not deliveries.checked:
        try:
            deliveries.check()
        except AssertionError as error:
            raise _failure(f"kafka_deliveries: {error}") from None
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach to the report of a failed test what its brokers logged while it ran."""
    report = yield
    start = item.stash.setdefault(START, datetime.fromtimestamp(call.start))
    if report.failed:
        report.sections += [_log_section(broker, start) for broker in _brokers(item)]
    return report


@contextlib.contextmanager
def _one_line(fixture: str) -> Iterator[None]:
    """Let a fixture fail with the reason alone, without the code that starts brokers."""
    if missing := what_is_missing():
        raise _failure(f"{fixture}: {missing}")
    from tfkafka.errors import BrokerError

    try:
        yield
    except BrokerError as error:
        raise _failure(f"{fixture}: {error}") from None


def _failure(reason: str) -> BaseException:
    """Return a failure that pytest shows without a traceback."""
    return pytest.fail.Exception(reason, pytrace=False)


def _brokers(item: pytest.Item) -> list[Broker | EmbeddedCluster]:
    """Return the brokers among a test's fixtures, whoever made them."""
    # A test cannot have an instance of a class whose module was never imported.
    homes = (("base", "Broker"), ("cluster", "EmbeddedCluster"))
    modules = ((sys.modules.get(f"tfkafka.testing.brokers.{home}"), name) for home, name in homes)
    kinds = tuple(getattr(module, name) for module, name in modules if module)
    found = getattr(item, "funcargs", {}).values()
    return list({id(each): each for each in found if isinstance(each, kinds)}.values())


def _log_section(broker: Broker | EmbeddedCluster, start: datetime) -> tuple[str, str]:
    try:
        lines = _logged_since(start, broker.logs().splitlines())
    except Exception as error:  # A report that cannot be made would end the session.
        lines = [f"it cannot be read: {error}"]
    title = f"Kafka's log at {broker.bootstrap_servers}"
    if len(lines) > LOG_LINES:
        title += f", its last {LOG_LINES} of {len(lines):,} lines"
    return title, "\n".join(lines[-LOG_LINES:])


def _logged_since(start: datetime, lines: list[str]) -> list[str]:
    """Return the lines since a time; all where there are none: a broker that is dead is silent."""
    begin = start.isoformat(" ", "milliseconds").replace(".", ",")
    stamps = ((place, STAMP.match(line)) for place, line in enumerate(lines))
    first = next((place for place, stamp in stamps if stamp and stamp[1] >= begin), 0)
    return lines[first:]


def _unique_name(test: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", test).strip("-")[:150]
    return f"{plain}-{uuid.uuid4().hex[:6]}"
