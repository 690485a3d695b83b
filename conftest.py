"""The plugin's fixtures on the Kafka of --kafka, and the tutorial's two topics with SUSY in them.

Tests know the plugin's fixtures by shorter names.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from reproduction.susy.loader import load
from tests import determinism, secured, stacks
from tests.client_settings import client_settings
from tests.stacks import Stack
from tests.tutorial import SusyTopic, split, write
from tfkafka import Admin
from tfkafka.config import COMMAND_CONFIG_VARIABLE, Settings
from tfkafka.testing.brokers import compose, embedded, registry
from tfkafka.testing.brokers.base import Broker
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.brokers.external import ExternalBroker
from tfkafka.testing.brokers.processes import free_ports
from tfkafka.testing.brokers.registry import EmbeddedRegistry

# Quiet before anything imports TensorFlow; and no GPU, so that results do not depend on one.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# A conftest of a folder is not there in pytest-xdist's controller, which prints the summaries.
pytest_plugins = [
    "pytester",
    # Where tfkafka is installed its entry point has loaded it already, under this name.
    "tfkafka.testing.plugin",
    "tests.collector",
    "tests.order",
    "tests.progress",
    "tests.summary",
    "tests.faults.summary",
    "tests.benchmarks.summary",
]

SEED = 1
OURS = ("embedded", "docker")


def pytest_configure(config: pytest.Config) -> None:
    """Hear Ctrl-C even where a shell started this in the background, which ignores it.

    Children inherit that deafness, and some tests send them a Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--kafka") in OURS:
        # It is for somebody else's cluster.
        os.environ.pop(COMMAND_CONFIG_VARIABLE, None)
    if config.getoption("--kafka-secured"):
        if config.getoption("--kafka") != "embedded":
            raise pytest.UsageError("--kafka-secured is for --kafka embedded")
        secured.give_settings_to_clients()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tfkafka")
    group.addoption(
        "--kafka",
        default="embedded",
        help="embedded, docker or HOST:PORT; $TFKAFKA_COMMAND_CONFIG names settings for the last. "
        "Without --kafka-version, embedded is 3.9.2, and 2.7.2 for the tutorial's tests as well",
    )
    group.addoption(
        "--kafka-secured",
        action="store_true",
        help="the embedded Kafka of the session asks all clients for TLS and a password",
    )
    group.addoption(
        "--reader",
        action="append",
        choices=["tfio", "tfkafka"],
        help="of the tutorial's tests; again for another; default: both",
    )
    group.addoption("--susy", default="synthetic", help="synthetic, uci, or a path")
    group.addoption(
        "--susy-rows",
        type=int,
        help="60 %% train, 40 %% test; default: 100000, and 10000 beside them on Kafka 2.7.2",
    )


@pytest.fixture(autouse=True)
def no_determinism_of_another_test() -> Iterator[None]:
    """`learn` enables TensorFlow's, with which tf.data has other batches after a bad record."""
    determinism.disable_if_imported()
    yield
    determinism.disable_if_imported()


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """pytest's, without what other libraries log.

    TensorFlow counts from test to test how often a function was traced, and warns of it: a test
    that counts lines would fail after others that train a model.
    """
    ours = logging.Filter("tfkafka")
    caplog.handler.addFilter(ours)
    yield caplog
    caplog.handler.removeFilter(ours)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Stack:
    """What a test runs on; a parameter of the tutorial's tests."""
    return getattr(request, "param", stacks.chosen(request.config)[0])


@pytest.fixture(scope="session")
def kafka_factory(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Broker]]:
    """Starts further embedded brokers, which end with the session."""
    brokers = []

    def start(version: str = stacks.chosen(pytestconfig)[0].version, **options) -> Broker:
        brokers.append(embedded.start(tmp_path_factory.mktemp("kafka"), version, **options))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture(scope="session")
def embedded_kafka(
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    kafka_factory: Callable[..., Broker],
) -> Callable[[str], Broker]:
    """embedded_kafka(version) -> the session's embedded Kafka of that version."""

    def of(version: str) -> Broker:
        is_first = version == stacks.chosen(pytestconfig)[0].version
        if is_first and pytestconfig.getoption("--kafka-secured"):
            return request.getfixturevalue("session_secured")
        return kafka_factory(version)

    return cache(of)


@pytest.fixture(scope="session")
def session_secured(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedBroker]:
    """The session's Kafka with --kafka-secured."""
    version = stacks.chosen(pytestconfig)[0].version
    broker = secured.start(tmp_path_factory.mktemp("secured"), version)
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka_version() -> str:
    """Of kafka_cluster and secured_kafka, whatever the command line says."""
    return stacks.DEFAULT.version


@pytest.fixture(scope="module")
def secured_kafka(kafka_secured: EmbeddedBroker) -> EmbeddedBroker:
    """TLS, passwords of alice and bob, who have no rights; whatever --kafka says."""
    return kafka_secured


@pytest.fixture(scope="session")
def registry_factory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], EmbeddedRegistry]]:
    """Starts schema registries, which end with the session."""
    registries = []

    def start() -> EmbeddedRegistry:
        registries.append(registry.start(tmp_path_factory.mktemp("registry"), progress=False))
        return registries[-1]

    yield start
    for each in registries:
        each.stop()


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest, stack: Stack) -> Broker:
    """The Kafka of the stack; an embedded one is each worker's own."""
    if stack.kafka == "embedded":
        return request.getfixturevalue("embedded_kafka")(stack.version)
    if stack.kafka == "docker":
        return request.getfixturevalue("compose_kafka")
    if not re.fullmatch(r"[^:\s]+:\d+", stack.kafka):
        raise pytest.UsageError(f"--kafka {stack.kafka}: must be embedded, docker or HOST:PORT")
    return ExternalBroker(stack.kafka, client_settings())


@pytest.fixture(scope="session")
def kafka(kafka_broker: Broker) -> Broker:
    return kafka_broker


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    """For pytest-docker: Compose's command, with the port that the broker will advertise."""
    if reason := compose.available():
        pytest.skip(f"Docker cannot be used: {reason}")
    return " ".join(["env", f"KAFKA_PORT={free_ports(1)[0]}", *compose.compose_command()])


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(compose.COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name(docker_compose_command: str) -> Iterator[str]:
    name = f"tfkafka-tests-{os.getpid()}"
    yield name
    compose.remove(name)  # pytest-docker cleans up nothing where `up` itself failed


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    return ["up -d"]  # docker-compose knows no --wait: compose.attach waits


@pytest.fixture(scope="session")
def compose_kafka(docker_compose_project_name: str, docker_services) -> Broker:
    """Kafka in Docker, brought up and removed by pytest-docker."""
    return compose.attach(docker_compose_project_name)


@pytest.fixture(scope="session")
def kafka_prefix(request: pytest.FixtureRequest) -> str:
    """Empty, but for somebody else's cluster."""
    ours = request.config.getoption("--kafka") in OURS
    return "" if ours else f"tfkafka-test-{uuid.uuid4().hex[:8]}-"


@pytest.fixture(scope="session")
def topic_prefix(kafka_prefix: str) -> str:
    return kafka_prefix


@pytest.fixture(scope="session")
def kafka_configuration(kafka_broker: Broker) -> Settings:
    """Of `kafka_broker`, whose start may make them."""
    return client_settings()


@pytest.fixture(scope="session")
def admin(kafka_admin: Admin) -> Admin:
    return kafka_admin


@pytest.fixture
def make_topic(kafka_make_topic: Callable[..., str]) -> Callable[..., str]:
    return kafka_make_topic


@pytest.fixture
def topic(kafka_topic: str) -> str:
    return kafka_topic


@pytest.fixture
def group(kafka_group: str) -> str:
    return kafka_group


@pytest.fixture(scope="session")
def susy(pytestconfig: pytest.Config, stack: Stack):
    """SUSY rows, a data frame of 19 columns."""
    return load(pytestconfig.getoption("--susy"), stack.rows, seed=SEED).frame


@pytest.fixture(scope="session")
def susy_split(susy):
    """(train, test): 60 % and 40 % of the rows, as messages."""
    return split(susy, SEED)


@pytest.fixture(scope="session")
def susy_train_topic(kafka: Broker, admin: Admin, topic_prefix: str, susy_split):
    """`susy-train`: 1 partition, 60,000 records."""
    yield from _filled_topic(kafka, admin, f"{topic_prefix}susy-train", 1, susy_split[0])


@pytest.fixture(scope="session")
def susy_test_topic(kafka: Broker, admin: Admin, topic_prefix: str, susy_split):
    """`susy-test`: 2 partitions, 40,000 records, each class in a partition of its own."""
    yield from _filled_topic(kafka, admin, f"{topic_prefix}susy-test", 2, susy_split[1])


def _filled_topic(kafka, admin, name, partitions, messages) -> Iterator[SusyTopic]:
    admin.create_topic(name, partitions)
    acknowledged = write(kafka.bootstrap_servers, name, messages)
    yield SusyTopic(kafka.bootstrap_servers, name, partitions, messages, acknowledged)
    admin.delete_topic(name)


def pytest_terminal_summary(terminalreporter) -> None:
    """How long each folder of tests took."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                parts = Path(report.nodeid.split("::")[0]).parts
                seconds["/".join(parts[:2])] += report.duration
    terminalreporter.section("time by folder")
    for folder, duration in sorted(seconds.items()):
        terminalreporter.write_line(f"{duration:7.1f} s  {folder}")
