"""Which Docker command is used, and what is said where there is none: by stand-ins on PATH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import compose

# The plugin's absence, as Docker's own command tells of it.
WITHOUT_PLUGIN = 'if [ "$1" = compose ]; then echo "docker: no such command" >&2; exit 1; fi'
WITHOUT_DAEMON = 'if [ "$3" = "{{.Server.Version}}" ]; then echo "no daemon here" >&2; exit 1; fi'


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """put(name, script): a command of that name; nothing else is on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name: str, script: str = "") -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\nexit 0\n")
        (tmp_path / name).chmod(0o755)

    return make


def test_plugin_comes_first(put):
    put("docker")
    put("docker-compose")
    assert compose.compose_command() == ["docker", "compose"]
    assert compose.available() is None


def test_older_command_where_the_plugin_is_missing(put):
    put("docker", WITHOUT_PLUGIN)
    put("docker-compose")
    assert compose.compose_command() == ["docker-compose"]
    assert compose.available() is None


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ({}, "there is no docker command"),
        ({"docker-compose": ""}, "there is no docker command"),
        (
            {"docker": WITHOUT_PLUGIN},
            "neither `docker compose` nor `docker-compose` works here",
        ),
        (
            {"docker": WITHOUT_PLUGIN, "docker-compose": "exit 1"},
            "neither `docker compose` nor `docker-compose` works here",
        ),
        (
            {"docker": WITHOUT_DAEMON},
            "`docker version --format {{.Server.Version}}` failed: no daemon here",
        ),
    ],
)
def test_reason_why_docker_cannot_be_used(put, commands: dict[str, str], reason: str):
    for name, script in commands.items():
        put(name, script)
    assert compose.available() == reason
    with pytest.raises(BrokerError) as raised:
        compose.start(None, "project")
    assert str(raised.value) == f"cannot start Kafka in Docker: {reason}"


def test_checkout_without_the_compose_file(put, tmp_path: Path, monkeypatch):
    put("docker")
    monkeypatch.setattr(compose, "COMPOSE_FILE", tmp_path / "docker-compose.yml")
    assert compose.available() == f"{tmp_path}/docker-compose.yml is missing"


def test_everything_is_removed_after_a_failed_start(put, tmp_path: Path):
    record = tmp_path / "record"
    failing_up = f'echo "$@" >> {record}; case "$*" in *" up "*) echo no image >&2; exit 1;; esac'
    put("docker", failing_up)
    with pytest.raises(BrokerError, match=r"up -d` failed: no image .set KAFKA_IMAGE to use"):
        compose.start("some/image", "project")
    calls = record.read_text().splitlines()
    assert calls[-1].endswith("-p project down -v")


def test_project_name_that_compose_would_change(put):
    put("docker")
    with pytest.raises(BrokerError, match="'My Project' is not a name for a Compose project"):
        compose.start(None, "My Project")
