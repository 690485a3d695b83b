"""The brokers that were started in a folder, found again by another process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.processes import end_together
from tfkafka.testing.brokers.settings import HOST


@dataclass(frozen=True)
class StartedBrokers:
    """Brokers that were started in a folder and not stopped: one, those of a cluster, or none.

    Some may have died since.

    Attributes:
        folder: the folder.
        homes: the folder of each broker.
        states: what `broker.json` has of each.
    """

    folder: Path
    homes: tuple[BrokerFolder, ...]
    states: tuple[State, ...]

    def __len__(self) -> int:
        return len(self.states)

    @property
    def version(self) -> str:
        return self.states[0].version

    @property
    def servers(self) -> str:
        return ",".join(state.address for state in self.states)

    @property
    def secured_servers(self) -> str | None:
        """The address of the listener with security; None where there is none."""
        ports = [state.ports.secured for state in self.states if state.ports.secured]
        return ",".join(f"{HOST}:{port}" for port in ports) or None

    def dead(self) -> list[State]:
        return [state for state in self.states if not state.kafka.running()]

    def active(self) -> bool:
        """Return whether all run and none is frozen."""
        return all(state.kafka.active() for state in self.states)

    def stop(self) -> str:
        """End all, also what is left of dead ones, and return a sentence that says it."""
        if not self:
            return f"No Kafka was started in {self.folder}; nothing to stop."
        had_died = len(self.dead()) == len(self)
        end_together([state.kafka for state in self.states])
        # After the brokers, which need it to shut down cleanly.
        end_together([state.zookeeper for state in self.states if state.zookeeper])
        for home in self.homes:
            home.forget_state()
        ended = "had died" if had_died else "has stopped"
        return f"Kafka {self.version} at {self.servers} {ended}."


def started_in(folder: Path) -> StartedBrokers:
    """Return the brokers that were started in a folder.

    Raises BrokerError where a file that names one is damaged.
    """
    numbers = sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())
    homes = [BrokerFolder(folder), *(BrokerFolder(folder / str(each)) for each in numbers)]
    found = [(home, state) for home in homes if (state := home.read_state())]
    return StartedBrokers(folder, tuple(h for h, _ in found), tuple(s for _, s in found))
