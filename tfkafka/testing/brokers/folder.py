"""The folder of an embedded broker: its processes, the version of its data, its log."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tfkafka._util.files import write_whole
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import private
from tfkafka.testing.brokers.processes import JavaProcess
from tfkafka.testing.brokers.settings import HOST, Ports

LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class State:
    """The content of `broker.json`: all that another process needs to find the broker."""

    version: str
    ports: Ports
    kafka: JavaProcess
    zookeeper: JavaProcess | None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports.broker}"

    def processes(self) -> list[JavaProcess]:
        """Return the processes, the broker first: it needs ZooKeeper to shut down cleanly."""
        return [self.kafka] + ([self.zookeeper] if self.zookeeper else [])

    def end_processes(self) -> None:
        for process in self.processes():
            process.end()


@dataclass(frozen=True)
class BrokerFolder:
    """The paths under `path`, which only one broker uses."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "kafka.log"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def config(self) -> Path:
        return self.path / "config"

    @property
    def _marker(self) -> Path:
        return self.data / "kafka-version"

    @property
    def _state(self) -> Path:
        return self.path / "broker.json"

    def read_state(self) -> State | None:
        """Return the broker that was started here and not stopped; it may have died since."""
        try:
            data = json.loads(self._state.read_text())
            zookeeper = data["zookeeper"] and JavaProcess(**data["zookeeper"])
            kafka = JavaProcess(**data["kafka"])
            return State(data["version"], Ports(**data["ports"]), kafka, zookeeper)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise BrokerError(f"{self._state} is damaged ({error}); delete it") from error

    def write_state(self, state: State) -> None:
        write_whole(self._state, json.dumps(asdict(state), indent=1))

    def forget_state(self) -> None:
        self._state.unlink(missing_ok=True)

    def claim_data(self, version: str) -> None:
        """Mark the data as that of this Kafka version. Raises BrokerError if it is another's."""
        found = self._marker.read_text() if self._marker.exists() else version
        if found != version:
            raise BrokerError(
                f"{self.path} holds data of Kafka {found}, not {version}: "
                f"start that version, or delete the folder"
            )
        self.mark_data(version)

    def mark_data(self, version: str) -> None:
        """Mark the data as that of this Kafka version, whatever it was before."""
        private.make_folder(self.data)
        self._marker.write_text(version)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold a lock while a broker starts here, so that two starts do not mix."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("w")
        except OSError as error:
            raise BrokerError(f"cannot write to {self.path}: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BrokerError(f"another start in {self.path} is under way") from None
            yield

    def read_log(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self) -> str:
        """Return the last lines of the log, and where the rest is."""
        lines = self.read_log().splitlines()[-LOG_TAIL_LINES:] or ["(the log is empty)"]
        return "\n".join(["  " + line[:300] for line in lines] + [f"  (all of it: {self.log})"])

    def remove(self) -> None:
        """End the processes and delete the folder, including the data."""
        state = self.read_state()
        if state:
            state.end_processes()
        shutil.rmtree(self.path, ignore_errors=True)
