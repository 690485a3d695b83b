"""What the secured broker of docker-compose.yml reads; it runs in test_compose_profiles.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfkafka import config
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import compose, compose_secrets


def modes(folder: Path) -> dict[str, str]:
    files = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777) for path in files}


def test_only_the_owner_can_enter_and_the_container_can_read(tmp_path: Path):
    folder = tmp_path / "docker"
    compose_secrets.write(folder)
    assert modes(folder) == {
        ".": "0o700",
        "admin.properties": "0o600",
        "user.properties": "0o600",
        "broker": "0o755",
        "broker/broker.pem": "0o644",
        "broker/ca.pem": "0o644",
        "broker/server.properties": "0o644",
        "broker/users": "0o755",
        "broker/users/admin": "0o644",
        "broker/users/user": "0o644",
    }


def test_broker_and_client_have_the_same_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    compose_secrets.write(Path("docker"))
    user = config.load("docker/user.properties")
    password = user["sasl.password"]
    server = Path("docker/broker/server.properties").read_text()
    assert f'user_user="{password}"' in server
    assert Path("docker/broker/users/user").read_text().endswith(f"password={password}\n")
    # The client may be started in another folder, and the container has none of this machine's.
    assert user["ssl.ca.location"] == str(tmp_path / "docker" / "broker" / "ca.pem")
    assert str(tmp_path) not in server


def test_each_call_makes_all_anew(tmp_path: Path):
    contents = []
    for _ in range(2):
        compose_secrets.write(tmp_path)
        contents.append({path.name: path.read_bytes() for path in tmp_path.rglob("*.p*")})
    first, second = contents
    assert len(first) == 5
    assert not any(first[name] == second[name] for name in first)


def test_compose_mounts_what_is_written():
    file = compose.COMPOSE_FILE.read_text()
    default = compose_secrets.DEFAULT_FOLDER
    assert re.findall(r"source: (.*)", file) == [f"${{KAFKA_SECRETS:-./{default}}}/broker"]
    assert re.findall(r"target: (.*)", file) == [compose_secrets.MOUNTED]


def test_folder_that_cannot_be_written_is_named():
    with pytest.raises(BrokerError, match=r"^cannot write to /dev/null/folder: Not a directory$"):
        compose_secrets.write(Path("/dev/null/folder"))
    command = [sys.executable, "-m", compose_secrets.__name__, "/dev/null/folder"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to /dev/null/folder: Not a directory\n"
