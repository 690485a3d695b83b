"""How long those that write and read stand still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

LOOK_S = 0.05


@dataclass(frozen=True)
class State:
    """How far somebody is, and whether there is something to do: a reader waits for the writer."""

    reached: int
    is_behind: bool = True


@dataclass
class Stalls:
    """Notes how long each name was behind and reached nothing more.

    Attributes:
        longest: the longest time of each name, in seconds, one that still lasts included.
    """

    longest: dict[str, float] = field(default_factory=dict)
    _since: dict[str, tuple[int, float]] = field(default_factory=dict)

    def note(self, states: Mapping[str, State], now_s: float) -> None:
        for name, state in states.items():
            reached, since = self._since.get(name, (state.reached, now_s))
            if reached == state.reached and not state.is_behind:
                since = now_s
            self.longest[name] = max(self.longest.get(name, 0.0), now_s - since)
            self._since[name] = state.reached, since if reached == state.reached else now_s

    def over(self, limit_s: float) -> dict[str, float]:
        """Return those that stood still for longer."""
        return {name: stall for name, stall in self.longest.items() if stall > limit_s}


class Watch:
    """A thread that looks again and again how far all are.

    Attributes:
        whole: the stalls since the watch began.
        recent: the stalls since `begin_step`; one that lasted already then counts from there on.
    """

    def __init__(self, look: Callable[[], Mapping[str, State]]):
        self._look = look
        self._begun_s = time.monotonic()
        self.whole = Stalls()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.begin_step()

    def begin_step(self) -> None:
        with self._lock:
            self.recent = Stalls()

    def seconds(self) -> float:
        """Return how long the watch has lasted."""
        return time.monotonic() - self._begun_s

    @contextmanager
    def running(self) -> Iterator[Watch]:
        thread = threading.Thread(target=self._look_on, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            thread.join()

    def _look_on(self) -> None:
        while not self._stopped.wait(LOOK_S):
            states, now_s = self._look(), time.monotonic()
            with self._lock:
                self.whole.note(states, now_s)
                self.recent.note(states, now_s)
