"""Plays scenarios, several at a time, each with a deadline, and shows how far it is."""

from __future__ import annotations

import contextlib
import gc
import queue
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.histories.history import History, Story
from tests.histories.product import start_broker
from tests.histories.registry import Scenario
from tests.histories.stage import SharedTopic, Stage

LANES, MORTALS = 4, 2
COMPACTED = "compacted_topic"
SCENARIO_S = 240.0


@dataclass(frozen=True)
class Outcome:
    """The history of a scenario, or why there is none."""

    name: str
    history: History | None
    failure: str | None


class _Mortal:
    """A broker that scenarios may kill and restart.

    An embedded broker ends with the thread that has started it, and scenarios' threads end.
    """

    def __init__(self, folder: Path, version: str):
        self._thread = ThreadPoolExecutor(1)
        self._broker = self._thread.submit(start_broker, folder, version, progress=False).result()
        self.bootstrap_servers = self._broker.bootstrap_servers

    def kill(self) -> None:
        self._thread.submit(self._broker.kill).result()

    def restart(self) -> None:
        self._thread.submit(self._broker.restart).result()

    def stop(self) -> None:
        self._thread.submit(self._broker.stop).result()


class _Player:
    """Plays scenarios on the shared broker, and those that kill on brokers of their own."""

    def __init__(self, servers: str, version: str, folder: Path, count: int):
        self._servers, self._version, self._folder, self._count = servers, version, folder, count
        self._preparing = Stage(servers, "shared", folder)
        self._compacted = SharedTopic()
        self._mortals: list[_Mortal] = []
        self._lock = threading.Lock()
        self.outcomes: list[Outcome] = []

    def prepare(self, scenarios: Sequence[Scenario]) -> None:
        """Have what is shared made in the background where it will be needed."""
        self._preparing.first_group()
        if any(one.name.endswith(COMPACTED) for one in scenarios):
            self._compacted.make(self._preparing.compacted)

    def play_all(self, scenarios: Sequence[Scenario]) -> None:
        """Play several at a time; a broker that is killed has one scenario at a time."""
        # The compacted topic takes longest to make.
        waiting = _queued(
            sorted(
                (one for one in scenarios if not one.kills), key=lambda one: COMPACTED in one.name
            )
        )
        killing = _queued(one for one in scenarios if one.kills)
        free = queue.SimpleQueue()
        for mortal in self._mortals:
            free.put(mortal)
        lanes = [
            threading.Thread(target=self._play_waiting, args=(waiting,), daemon=True)
            for _ in range(LANES)
        ]
        lanes += [
            threading.Thread(target=self._play_killing, args=(killing, free), daemon=True)
            for _ in range(MORTALS)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def stop(self) -> None:
        for mortal in self._mortals:
            mortal.stop()

    def _play_waiting(self, waiting: queue.SimpleQueue[Scenario]) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._play(waiting.get_nowait(), self._servers, None)

    def _play_killing(
        self, waiting: queue.SimpleQueue[Scenario], free: queue.SimpleQueue[_Mortal]
    ) -> None:
        mortal = None
        with contextlib.suppress(queue.Empty):
            while True:
                scenario = waiting.get_nowait()
                mortal = mortal or self._mortal(free)
                outcome = self._play(scenario, mortal.bootstrap_servers, mortal)
                if outcome.failure is not None:
                    # It may have left the broker dead.
                    mortal.restart()

    def _mortal(self, free: queue.SimpleQueue[_Mortal]) -> _Mortal:
        """A broker of an earlier round, or a new one."""
        with contextlib.suppress(queue.Empty):
            return free.get_nowait()
        folder = Path(tempfile.mkdtemp(prefix="mortal-", dir=self._folder))
        mortal = _Mortal(folder, self._version)
        with self._lock:
            self._mortals.append(mortal)
        Stage(mortal.bootstrap_servers, "shared", self._folder).first_group()
        return mortal

    def _play(self, scenario: Scenario, servers: str, broker) -> Outcome:
        """Play in a thread of its own, which is left behind where it does not end in time."""
        results: list[Outcome] = []
        begun = time.monotonic()
        thread = threading.Thread(
            target=lambda: results.append(self._outcome(scenario, servers, broker)), daemon=True
        )
        thread.start()
        thread.join(SCENARIO_S)
        outcome = results[0] if results else _hangs(scenario, thread)
        # What an error holds may be an iterator that is a member of a group.
        gc.collect()
        with self._lock:
            self.outcomes.append(outcome)
            state = "" if outcome.failure is None else f"  FAILED: {outcome.failure}"
            print(
                f"[{len(self.outcomes):3}/{self._count}] {time.monotonic() - begun:5.1f} s  "
                f"{scenario.name}{state}",
                file=sys.stderr,
                flush=True,
            )
        return outcome

    def _outcome(self, scenario: Scenario, servers: str, broker) -> Outcome:
        folder = self._folder / scenario.name
        folder.mkdir()
        name = scenario.name.replace("_", "-")
        stage = Stage(servers, name, folder, broker)
        story = Story(stage.normalise)
        try:
            scenario.play(stage, story, self._compacted)
        except Exception as error:
            traceback.print_exc()
            return Outcome(scenario.name, None, f"{type(error).__name__}: {error}")
        return Outcome(scenario.name, story.history(), None)


def play(scenarios: Sequence[Scenario], servers: str | None, version: str) -> list[Outcome]:
    """Play scenarios on a broker that runs at `servers`, or on one that is started here."""
    with tempfile.TemporaryDirectory(prefix="histories-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _broker(servers, version, folder / "shared") as address:
            player = _Player(address, version, folder, len(scenarios))
            player.prepare(scenarios)
            try:
                # `learn` makes TensorFlow deterministic for the whole process, so it comes last.
                for online in (False, True):
                    player.play_all([one for one in scenarios if one.online == online])
            finally:
                player.stop()
    played = {one.name for one in player.outcomes}
    missing = [one.name for one in scenarios if one.name not in played]
    return player.outcomes + [Outcome(name, None, "was not played") for name in missing]


@contextlib.contextmanager
def _broker(servers: str | None, version: str, folder: Path) -> Iterator[str]:
    if servers is not None:
        yield servers
        return
    broker = start_broker(folder, version, progress=False)
    try:
        yield broker.bootstrap_servers
    finally:
        broker.stop()


def _queued(scenarios: Iterable[Scenario]) -> queue.SimpleQueue[Scenario]:
    waiting: queue.SimpleQueue[Scenario] = queue.SimpleQueue()
    for one in scenarios:
        waiting.put(one)
    return waiting


def _hangs(scenario: Scenario, thread: threading.Thread) -> Outcome:
    frame = sys._current_frames().get(thread.ident)
    where = traceback.extract_stack(frame)[-1] if frame else "?"
    return Outcome(scenario.name, None, f"does not end within {SCENARIO_S:.0f} s, it is at {where}")
