"""What a reader has done since it was made, and whether it makes progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol, get_args

from tfkafka.chunk import TopicPartition
from tfkafka.decoding.bad_records import Counts

Event = Literal["batches", "commits", "restarts", "rebalances", "model_exchanges"]
EVENTS: tuple[Event, ...] = get_args(Event)
Stage = Literal["wait", "read", "decode", "model", "encode", "commit", "save"]


class Source(Protocol):
    """What reads now. Any thread may ask it."""

    def lag(self) -> Mapping[TopicPartition, int] | None:
        """Return how many offsets of each partition are left; None where Kafka does not answer."""

    def trouble(self) -> str | None:
        """Return what makes progress impossible now, or None."""


class Meter:
    """A meter that counts nothing: there is no `metrics_port`.

    Attributes:
        counts: the records that were read; None: they are not counted.
    """

    counts: Counts | None = None

    def count(self, event: Event) -> None:
        """Count one event."""

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        """Count the seconds that a block takes."""
        return nullcontext()

    def observe(self, source: Source) -> None:
        """Note what reads from now on."""

    def forget(self, source: Source) -> None:
        """Note that it no longer reads."""

    def progressed(self) -> None:
        """Note that something was done, or that there is nothing to do and Kafka answers."""

    def failed(self, reason: str) -> None:
        """Note that there is no progress until the next call of `progressed`."""


UNMETERED = Meter()


class RunningMeter(Meter):
    """A meter that counts. Several threads may use it.

    Attributes:
        events: how often each event was counted.
        seconds: how long each stage has taken.
    """

    counts: Counts

    def __init__(self) -> None:
        self.counts = Counts()
        self.events: dict[Event, int] = dict.fromkeys(EVENTS, 0)
        self.seconds: dict[Stage, float] = {}
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._failure: str | None = "nothing has been read yet"
        self._progress_s = time.monotonic()

    def count(self, event: Event) -> None:
        with self._lock:
            self.events[event] += 1

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return self._timed(name)

    @contextmanager
    def _timed(self, name: Stage) -> Iterator[None]:
        begun_s = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                before_s = self.seconds.get(name, 0.0)
                self.seconds[name] = before_s + time.monotonic() - begun_s

    def observe(self, source: Source) -> None:
        self._source = source

    def forget(self, source: Source) -> None:
        if self._source is source:
            self._source = None

    def progressed(self) -> None:
        self._progress_s = time.monotonic()
        self._failure = None

    def failed(self, reason: str) -> None:
        self._failure = reason

    def lag(self) -> Mapping[TopicPartition, int]:
        """Return how many offsets of each partition are left; empty where that is unknown."""
        source = self._source
        return (source and source.lag()) or {}

    def health(self, within_s: float) -> tuple[bool, str]:
        """Return whether there was progress within the last `within_s` seconds, and why not."""
        source, age_s = self._source, time.monotonic() - self._progress_s
        trouble = self._failure or (source and source.trouble())
        if not trouble and age_s > within_s:
            trouble = f"no progress for {age_s:.0f} s"
        return not trouble, trouble or f"progress {age_s:.1f} s ago"
