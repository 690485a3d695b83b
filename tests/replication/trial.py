"""A cluster under load, what is done to it, and the log of that with its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest import CaptureFixture

from tests.chaos.arena import KEPT, Arena, ExactlyOnceChild, arena
from tests.chaos.plan import FIRST_PARTITIONS
from tests.chaos.readers import QUICK
from tests.chaos.verdicts import Findings, judge_kept
from tests.replication import quorum
from tests.replication.stalls import Stalls, State, Watch
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded

SEED = 1
# A member that a broker's death cuts off is back within its session, or is replaced after it.
LIMIT_S = QUICK["session.timeout.ms"] / 1000 + 10
# Until the first records have passed through everything.
BEGIN_S = 300.0
LEADER_S = 60.0
IN_SYNC_S = 120.0
REPORTS = Path(__file__).parents[2] / "reports"


def states(load: Arena) -> dict[str, State]:
    """How far the writer and the readers are: in each partition, where that can be seen."""
    writer = load.writers[KEPT]
    workers = [each for each in load.readers.values() if isinstance(each, ExactlyOnceChild)]
    others = [each for each in load.readers.values() if not isinstance(each, ExactlyOnceChild)]
    written = sum(map(len, list(writer.acknowledged)))
    behind = sum(worker.committed for worker in workers) < written
    found = {worker.name: State(worker.committed, behind) for worker in workers}
    for partition in range(writer.partitions):
        newest = writer.newest[partition]
        found[f"writer, partition {partition}"] = State(newest)
        for reader in others:
            used = reader.place.newest[partition]
            found[f"{reader.name}, partition {partition}"] = State(used, used < newest)
    return found


@dataclass
class Trial:
    """What is done under load; each step ends when all replicas are in sync and all progress."""

    arena: Arena
    watch: Watch
    findings: Findings
    say: Callable[[str], None]

    def kill_leader(self, partition: int) -> None:
        dead = self.arena.cluster.leader(KEPT, partition)
        with self._step(f"kill -9 of broker {dead}, which leads {KEPT}-{partition}"):
            self._kill(dead)

    def kill_controller(self) -> None:
        dead = quorum.controller(self.arena.direct)
        with self._step(f"kill -9 of broker {dead}, the active controller"):
            self._kill(dead)

    def restart_all(self) -> None:
        for broker in range(len(self.arena.cluster)):
            with self._step(f"restart of broker {broker}"):
                self.arena.cluster.restart(broker)

    def upgrade_all(self, version: str) -> None:
        for broker in range(len(self.arena.cluster)):
            with self._step(f"broker {broker} goes on as Kafka {version}"):
                self.arena.cluster.upgrade(broker, version)

    def raise_features(self) -> None:
        with self._step("features are raised"):
            for name, (before, after) in quorum.raise_features(self.arena.direct).items():
                self._tell(f"{name} {before} -> {after}")

    def _kill(self, dead: int) -> None:
        cluster = self.arena.cluster
        cluster.kill(dead)
        # Not by asking for the controller: kafka-python's clients take a core from the brokers.
        wait_for(
            lambda: all(cluster.leader(KEPT, each) != dead for each in range(FIRST_PARTITIONS)),
            f"other leaders than broker {dead}",
            LEADER_S,
        )
        self._tell("others lead")
        self._wait_for_progress("without it")
        cluster.restart(dead)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        self._tell(what)
        self.watch.begin_step()
        yield
        self.arena.cluster.wait_until_in_sync(IN_SYNC_S)
        self._tell("all replicas are in sync")
        self._wait_for_progress("with all brokers")
        name, stall = max(self.watch.recent.longest.items(), key=lambda item: item[1])
        self._tell(f"longest stall: {stall:.1f} s, {name}")

    def _wait_for_progress(self, where: str) -> None:
        before = states(self.arena)

        def still() -> list[str]:
            now = states(self.arena)
            return [name for name, state in before.items() if now[name].reached == state.reached]

        try:
            wait_for(lambda: not still(), "progress", 2 * LIMIT_S)
        except TfkafkaError:
            self.findings.wrong.append(f"no progress {where} within {2 * LIMIT_S:.0f} s: {still()}")
        else:
            self._tell(f"all progress {where}")

    def _tell(self, line: str) -> None:
        self.say(f"{self.watch.seconds():7.1f} s  {line}")


@contextmanager
def trial(name: str, version: str, folder: Path, capsys: CaptureFixture[str]) -> Iterator[Trial]:
    """Start a cluster and its load; judge it after the block, and write the log and the verdict."""
    findings = Findings()
    with (
        _log(REPORTS / f"replication-{name}.txt", capsys) as say,
        embedded.start_cluster(folder / "kafka", version, progress=False) as cluster,
        arena(cluster, folder / "history", behind_proxies=False) as load,
    ):
        say(f"{name}: three brokers of Kafka {version}, under load")
        load.begin(SEED, (KEPT,))
        load.wait_until_begun(BEGIN_S)
        with watch(load).running() as watched:
            yield Trial(load, watched, findings, say)
        load.drain()
        judge_kept(load, findings)
        findings.errors(load)
        for each in verdict(findings, watched.whole):
            say(each)
    assert not findings.wrong, findings.wrong


@contextmanager
def _log(path: Path, capsys: CaptureFixture[str]) -> Iterator[Callable[[str], None]]:
    """A function that prints a line and writes it into a file: what failed has a log, too."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", buffering=1) as file:

        def say(line: str) -> None:
            file.write(line + "\n")
            with capsys.disabled():
                print(line, flush=True)

        yield say


def watch(load: Arena) -> Watch:
    def look() -> dict[str, State]:
        load.tend()
        return states(load)

    return Watch(look)


def verdict(findings: Findings, stalls: Stalls) -> list[str]:
    """Return the last lines of a log; too long a stall becomes one of the things that are wrong."""
    for name, seconds in stalls.over(LIMIT_S).items():
        findings.wrong.append(f"{name}: stood still for {seconds:.1f} s")
    longest = sorted(stalls.longest.items(), key=lambda item: -item[1])
    return [
        "used:",
        *findings.verdicts,
        f"load average {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores",
        f"longest seconds with something to do and no progress, at most {LIMIT_S:.0f}:",
        *(f"{name:<24} {seconds:6.1f}" for name, seconds in longest),
        *(f"WRONG {line}" for line in findings.wrong),
        f"verdict: {'WRONG' if findings.wrong else 'nothing lost, nothing twice'}",
    ]
