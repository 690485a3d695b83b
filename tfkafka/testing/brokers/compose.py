"""Apache Kafka in Docker, started with this project's `docker-compose.yml`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tfkafka._util import arguments
from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.base import Broker, answers_metadata
from tfkafka.testing.brokers.processes import free_ports, port_is_free

# The build puts it next to this module; in a checkout it is in the top folder.
_INSTALLED_FILE = Path(__file__).with_name("docker-compose.yml")
_CHECKOUT_FILE = Path(__file__).parents[3] / "docker-compose.yml"
COMPOSE_FILE = _INSTALLED_FILE if _INSTALLED_FILE.exists() else _CHECKOUT_FILE
SERVICE = "kafka"
HOST_PORT = '{{(index (index .HostConfig.PortBindings "9092/tcp") 0).HostPort}}'
PROJECT_NAME = r"[a-z0-9][a-z0-9_-]*"
READY_DEADLINE_S = 90.0
# Enough for an image of about 400 MB on a slow connection; all other commands take seconds.
UP_DEADLINE_S = 900.0
COMMAND_DEADLINE_S = 60.0
LOG_TAIL_LINES = 15


class ComposeBroker(Broker):
    """Kafka in a container of a Compose project; see `start` and `attach`."""

    def __init__(self, project: str, container: str, bootstrap_servers: str):
        self.project = project
        self.container = container
        self.bootstrap_servers = bootstrap_servers

    @property
    def version(self) -> str:
        """The version that the broker logged, whatever the image's tag."""
        found = re.findall(r"Kafka version: (\S+)", self.logs())
        return found[-1] if found else "unknown"

    def logs(self) -> str:
        return _run("docker", "logs", self.container, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        self.resume()
        if self._status() == "running":
            _run("docker", "kill", "--signal", "KILL", self.container)
        _run("docker", "wait", self.container)

    def restart(self) -> None:
        self.resume()
        _run("docker", "restart", "-t", "20", self.container)
        self.wait_until_ready()

    def pause(self) -> None:
        _run("docker", "pause", self.container)

    def resume(self) -> None:
        if self._status() == "paused":
            _run("docker", "unpause", self.container)

    def stop(self) -> None:
        """Remove the container, its network and its data."""
        remove(self.project)

    def wait_until_ready(self) -> None:
        """Wait until the broker answers a metadata request.

        Raises BrokerError, with the end of the log, where the container ends or time runs out.
        """

        def ready() -> bool:
            if self._status() != "running":
                raise BrokerError(f"its container is {self._status()}")
            return answers_metadata(self.bootstrap_servers, timeout_s=1.0)

        what = f"a metadata answer from {self.bootstrap_servers}"
        try:
            wait_for(ready, what, READY_DEADLINE_S, BrokerError)
        except BrokerError as error:
            raise BrokerError(
                f"Kafka in Docker did not come up: {error}; the end of its log:\n{self._log_tail()}"
            ) from error

    def _log_tail(self) -> str:
        lines = self.logs().splitlines()[-LOG_TAIL_LINES:] or ["(the log is empty)"]
        return "\n".join("  " + line[:300] for line in lines)

    def _status(self) -> str:
        return _inspect(self.container, "{{.State.Status}}")


def start(image: str | None, project: str, port: int | None = None) -> ComposeBroker:
    """Start the Compose project and return once the broker answers a metadata request.

    Args:
        image: an image with the variables of apache/kafka; None: $KAFKA_IMAGE, or else the
            official one.
        project: the name of the Compose project: lower-case letters, digits, - and _.
        port: the port on 127.0.0.1; None: a free one.

    Raises:
        BrokerError: Docker cannot be used, the port is taken, there is no such image, or the
            broker does not start. Everything is removed then.
    """
    arguments.optional(arguments.text, "image", image)
    _check_project(project)
    port = arguments.optional(arguments.port, "port", port)
    if reason := available():
        raise BrokerError(f"cannot start Kafka in Docker: {reason}")
    if port and not port_is_free(port):
        raise BrokerError(f"port {port} of 127.0.0.1 is taken by another program: choose another")
    variables = {"KAFKA_PORT": str(port or free_ports(1)[0])}
    if image:
        variables["KAFKA_IMAGE"] = image
    try:
        _up(project, variables)
        return attach(project)
    except BaseException:
        remove(project)
        raise


def _check_project(project: str) -> None:
    if not re.fullmatch(PROJECT_NAME, arguments.text("project", project)):
        # docker-compose would silently drop other characters, and `remove` would not find it.
        raise BrokerError(f"{project!r} is not a name for a Compose project: use a-z, 0-9, - and _")


def _up(project: str, variables: dict[str, str]) -> None:
    try:
        _compose(project, "up", "-d", deadline_s=UP_DEADLINE_S, variables=variables)
    except BrokerError as error:
        raise BrokerError(f"{error} (set KAFKA_IMAGE to use another image)") from None


def attach(project: str) -> ComposeBroker:
    """Return the broker of a running project, once it answers a metadata request."""
    _check_project(project)
    container = _compose(project, "ps", "-a", "-q", SERVICE).strip()
    if not container:
        raise BrokerError(f"Compose project {project} has no container of service {SERVICE}")
    broker = ComposeBroker(project, container, f"127.0.0.1:{_inspect(container, HOST_PORT)}")
    broker.wait_until_ready()
    return broker


def remove(project: str) -> None:
    """Remove all of a project, including its data; do nothing where there is none."""
    _check_project(project)
    _compose(project, "down", "-v")


def available() -> str | None:
    """Return why Docker cannot be used here, in one line, or None where it can."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        compose_command()
        _run("docker", "version", "--format", "{{.Server.Version}}")
    except BrokerError as error:
        return str(error)
    return None if COMPOSE_FILE.is_file() else f"{COMPOSE_FILE} is missing"


def compose_command() -> list[str]:
    """Return `docker compose` where Docker has that plugin, or else the older `docker-compose`.

    Raises BrokerError where there is neither.
    """
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            _run(*command, "version")
        except BrokerError:
            continue
        return command
    raise BrokerError("neither `docker compose` nor `docker-compose` works here")


def _compose(
    project: str,
    *arguments: str,
    deadline_s: float = COMMAND_DEADLINE_S,
    variables: dict[str, str] | None = None,
) -> str:
    command = [*compose_command(), "-f", str(COMPOSE_FILE), "-p", project, *arguments]
    return _run(*command, deadline_s=deadline_s, variables=variables)


def _inspect(container: str, template: str) -> str:
    return _run("docker", "inspect", "--format", template, container).strip()


def _run(
    *command: str,
    deadline_s: float = COMMAND_DEADLINE_S,
    variables: dict[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> str:
    """Return what a command writes to stdout; BrokerError with stderr's last line if it fails."""
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=deadline_s,
            env=os.environ | (variables or {}),
        )
    except FileNotFoundError:
        raise BrokerError(f"there is no {command[0]} command") from None
    except subprocess.TimeoutExpired:
        raise BrokerError(f"`{shown}` did not end within {deadline_s:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [
            f"exit status {done.returncode}"
        ]
        raise BrokerError(f"`{shown}` failed: {lines[-1][:300]}")
    return done.stdout
