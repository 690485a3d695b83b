"""The profiles of docker-compose.yml, used as docs/docker.md says: by commands, and by files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tfkafka import Admin, config, read, write
from tfkafka.errors import BrokerError, ReadError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import compose
from tfkafka.testing.brokers.processes import free_ports

CLUSTER = ("kafka-0", "kafka-1", "kafka-2")
SECURED = ("kafka-secured", "kafka-secured-users")
# Compose's --wait, which docker-compose does not have.
HEALTHY_DEADLINE_S = 180.0
COMMAND_DEADLINE_S = 120.0
RECORDS = [b"%d" % number for number in range(1000)]


@pytest.fixture(scope="module", autouse=True)
def docker(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--kafka") != "docker":
        pytest.skip("the profiles of docker-compose.yml are tried with --kafka docker")
    if reason := compose.available():
        pytest.skip(f"Docker cannot be used: {reason}")


@dataclass(frozen=True)
class Project:
    """A Compose project, whose variables are `variables`."""

    name: str
    variables: Mapping[str, str]

    def compose(self, *arguments: str) -> str:
        command = [*compose.compose_command(), "-f", compose.COMPOSE_FILE, "-p", self.name]
        return run(*command, *arguments, variables=self.variables)

    def container(self, service: str) -> str:
        [found] = self._ps("--filter", f"label=com.docker.compose.service={service}", "-q")
        return found

    def states(self) -> list[str]:
        return self._ps("--format", "{{.Status}}")

    def services(self) -> list[str]:
        return self._ps("--format", '{{.Label "com.docker.compose.service"}}')

    def _ps(self, *arguments: str) -> list[str]:
        label = f"label=com.docker.compose.project={self.name}"
        return run("docker", "ps", "-a", "--filter", label, *arguments).splitlines()


def run(*command: object, variables: Mapping[str, str] | None = None) -> str:
    return subprocess.check_output(
        [str(word) for word in command],
        text=True,
        env={**os.environ, **(variables or {})},
        timeout=COMMAND_DEADLINE_S,
    )


@contextmanager
def up(profile: str, services: tuple[str, ...], variables: Mapping[str, str]) -> Iterator[Project]:
    """Services of a profile, once all are healthy; removed at the end."""
    project = Project(f"tfkafka-test-{profile}-{os.getpid()}", variables)
    try:
        project.compose("--profile", profile, "up", "-d", *services)
        wait_for(
            lambda: (
                [state.endswith("(healthy)") for state in project.states()]
                == [True] * len(services)
            ),
            f"{', '.join(services)} to be healthy",
            HEALTHY_DEADLINE_S,
        )
        yield project
    finally:
        project.compose("--profile", profile, "down", "-v")
    assert project.states() == []


def values(topic: str, servers: str, settings: Mapping[str, object] | None = None) -> list[bytes]:
    batches = read(topic, servers=servers, configuration=settings)
    return [value for records, _ in batches for value in records.tolist()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variable with the folder of secrets, which were made by the command."""
    folder = tmp_path_factory.mktemp("docker")
    run(sys.executable, "-m", "tfkafka.testing.brokers.compose_secrets", folder)
    return {"KAFKA_SECRETS": str(folder)}


@pytest.mark.parametrize(
    ("profiles", "services"),
    [
        ([], ["kafka"]),
        (["--profile", "cluster"], ["kafka", *CLUSTER]),
        (["--profile", "secured"], ["kafka", *SECURED]),
    ],
)
def test_a_profile_adds_its_services_to_the_plain_broker(made, profiles, services):
    # docker-compose's `config --services` names those of all profiles.
    project = Project(f"tfkafka-test-profiles-{os.getpid()}", {"COMPOSE_PROFILES": "", **made})
    try:
        project.compose(*profiles, "up", "--no-start")
        assert sorted(project.services()) == services
    finally:
        project.compose("--profile", "cluster", "--profile", "secured", "down", "-v")


def test_image_can_be_named_by_digest():
    image = f"apache/kafka@sha256:{'0' * 64}"
    project = Project("tfkafka-test-config", {"KAFKA_IMAGE": image})
    every = project.compose("--profile", "cluster", "--profile", "secured", "config")
    assert every.count(f"    image: {image}\n") == len(["kafka", *CLUSTER, *SECURED])


def test_cluster_goes_on_without_a_broker():
    topic = "goes-on-without-a-broker"
    ports = [str(port) for port in free_ports(3)]
    variables = {f"KAFKA_PORT_{number}": port for number, port in enumerate(ports)}
    servers = ",".join(f"127.0.0.1:{port}" for port in ports)
    with up("cluster", CLUSTER, variables) as project:
        admin = Admin(servers)
        admin.create_topic(topic, partitions=1, replication_factor=3)
        # The brokers learn of it one after the other, and librdkafka 2.16 may ask another than it
        # was told to: asked often, none is left out.
        asked = servers.split(",") * 3
        wait_for(lambda: all(topic in Admin(each).topics() for each in asked), "all to know it")
        write(servers, topic, RECORDS)
        described = admin.describe_topic(topic)
        assert described.replication_factor == 3
        assert described.settings["min.insync.replicas"] == "2"

        leader = described.partitions[0].leader
        run("docker", "kill", "--signal", "KILL", project.container(f"kafka-{leader}"))
        write(servers, topic, RECORDS)
        assert values(topic, servers) == RECORDS + RECORDS
        assert admin.describe_topic(topic).partitions[0].leader != leader


@dataclass(frozen=True)
class SecuredBroker:
    """The broker of the profile `secured`, and the settings in the files for its clients."""

    project: Project
    servers: str
    admin: config.Settings
    user: config.Settings


@pytest.fixture(scope="module")
def secured(made: dict[str, str]) -> Iterator[SecuredBroker]:
    folder = Path(made["KAFKA_SECRETS"])
    admin, user = (config.load(folder / f"{name}.properties") for name in ("admin", "user"))
    port = str(free_ports(1)[0])
    variables = {"KAFKA_SECURED_PORT": port, **made}
    with up("secured", SECURED, variables) as project:
        yield SecuredBroker(project, f"127.0.0.1:{port}", admin, user)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_settings_in_the_file_write_and_read(secured: SecuredBroker, mechanism: str):
    settings = {**secured.admin, "sasl.mechanism": mechanism}
    topic = f"settings-in-the-file-{mechanism}"
    Admin(secured.servers, settings).create_topic(topic)
    write(secured.servers, topic, RECORDS, configuration=settings)
    assert values(topic, secured.servers, settings) == RECORDS


def test_wrong_password_is_named_in_a_line(secured: SecuredBroker):
    wrong = {**secured.user, "sasl.password": "Wr0ng-password"}
    with pytest.raises(BrokerError) as raised:
        Admin(secured.servers, wrong).topics()
    reason = str(raised.value)
    assert f"no connection to Kafka at {secured.servers} " in reason
    assert reason.endswith(": check sasl.username and sasl.password")
    assert "\n" not in reason


def test_user_reads_once_the_right_is_granted(secured: SecuredBroker):
    topic = "once-the-right-is-granted"
    Admin(secured.servers, secured.admin).create_topic(topic)
    write(secured.servers, topic, RECORDS, configuration=secured.admin)
    reading = partial(values, topic, secured.servers, secured.user)
    with pytest.raises(ReadError, match="grant this user DESCRIBE on topic"):
        reading()
    command = "/opt/kafka/bin/kafka-acls.sh --bootstrap-server localhost:29092 --add"
    right = f"--allow-principal User:user --operation Read --topic {topic}"
    secured.project.compose("exec", "-T", "kafka-secured", *command.split(), *right.split())
    assert reading() == RECORDS


def test_secrets_that_are_missing_are_named(tmp_path: Path):
    variables = {"KAFKA_SECRETS": str(tmp_path), "KAFKA_SECURED_PORT": str(free_ports(1)[0])}
    project = Project(f"tfkafka-test-missing-{os.getpid()}", variables)
    command = [*compose.compose_command(), "-f", compose.COMPOSE_FILE, "-p", project.name]
    try:
        done = subprocess.run(
            [*map(str, command), "up", "-d", "kafka-secured"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
        )
        assert done.returncode != 0
        assert f"bind source path does not exist: {tmp_path}/broker" in done.stderr
    finally:
        project.compose("--profile", "secured", "down", "-v")
