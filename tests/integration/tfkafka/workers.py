"""Workers of exactly-once inference in threads of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from tfkafka import CsvDecoder
from tfkafka.decoding.bad_records import Counts
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.testing import wait_for

DEADLINE_S = 120.0
WORKER = "1-worker"
FOREVER = -1


class Place(NamedTuple):
    """Where a worker reads from, the topic `source`, and writes to, the topic `target`."""

    servers: str
    source: str
    target: str
    group: str


class Running:
    """A worker in a thread, whose model returns the value of each record.

    Attributes:
        batches: what the model was given, batch by batch.
        released: set, unless the model shall wait until a test sets it.
        read: how many records are committed.
    """

    def __init__(
        self,
        place: Place,
        settings: dict[str, object],
        blocked: bool = False,
        name: str = WORKER,
        **options,
    ):
        self.batches: list[list[int]] = []
        self.released = threading.Event()
        if not blocked:
            self.released.set()
        self.read = 0
        topics = ([place.source], place.target)
        job = InferenceJob(self._predict, CsvDecoder(1), *topics, place.group, name)
        self.worker = ExactlyOnceInference(
            job, place.servers, configuration=settings, on_commit=self._note, **options
        )
        self._pool = ThreadPoolExecutor(1)
        self._run = self._pool.submit(self.worker.run)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition, or for the worker's failure."""

        def is_met() -> bool:
            if self._run.done() and self._run.exception() is not None:
                raise self._run.exception()
            return bool(condition())

        wait_for(is_met, what, DEADLINE_S)

    def wait_until_read(self, count: int) -> None:
        self.wait_for(lambda: self.read >= count, f"{count} records to be committed")

    def end(self) -> Counts:
        """Wait until the stream is over."""
        return self._run.result(DEADLINE_S)

    def stop(self) -> Counts:
        self.worker.stop()
        return self.end()

    def close(self) -> None:
        self.released.set()
        self.worker.stop()
        self._pool.shutdown()

    def _predict(self, rows: np.ndarray) -> np.ndarray:
        self.batches.append(rows[:, 0].astype(int).tolist())
        assert self.released.wait(DEADLINE_S), "the model was not released"
        return rows[:, 0]

    def _note(self, counts: Counts) -> None:
        self.read = counts.read
