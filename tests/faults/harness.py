"""Workers as processes, what they read and wrote, and the judgement over it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.faults.worker_child import Options, stand_in
from tfkafka import Admin, GroupPartition, write
from tfkafka.config import Limits
from tfkafka.exactly_once import predictions
from tfkafka.reading.ranges import read, resolve
from tfkafka.testing import wait_for
from tfkafka.testing.checker import Kind, Recorder, Verdict, judge

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0
PARTITIONS = 2


@dataclass(frozen=True)
class Commit:
    """How many records a process had committed, and when (system's monotonic clock)."""

    records: int
    seconds: float


class Worker:
    """A process of `worker_child`."""

    def __init__(self, options: Options):
        self.options = options
        self.started = time.monotonic()
        self.commits: list[Commit] = []
        self.restarts = self.rebalances = 0
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker_child", json.dumps(asdict(options))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def records(self) -> int:
        """Committed so far by this process."""
        return self.commits[-1].records if self.commits else 0

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def wait_for_records(self, count: int) -> None:
        def reached() -> bool:
            assert self.process.poll() is None or self.records >= count, self.errors()
            return self.records >= count

        wait_for(reached, f"{count} records to be committed; {self.errors()}", DEADLINE_S)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for its end; the exit status, negative for a signal's number."""
        self.process.wait(DEADLINE_S)
        self._listener.join(DEADLINE_S)
        return self.process.returncode

    def finish(self) -> None:
        assert self.end() == 0, self.errors()

    def _listen(self) -> None:
        for line in self.process.stdout:
            word, *figures = line.split()
            if word == "committed":
                self.commits.append(Commit(int(figures[0]), float(figures[1])))
            elif word == "ended":
                self.restarts, self.rebalances = map(int, figures)


@dataclass(frozen=True)
class Stage:
    """A filled input topic, an empty topic of predictions, and a group."""

    servers: str
    topic: str
    predictions: str
    group: str
    records: int
    folder: Path

    def options(self, servers: str | None = None, **chosen) -> Options:
        where = (servers or self.servers, self.topic, self.predictions, self.group)
        return Options(*where, **chosen)

    def fill(self) -> None:
        """Records in turn in each partition: a probability, and the record's number."""
        with Recorder(self.folder, self.topic) as recorder:
            for partition in range(PARTITIONS):
                numbers = np.arange(partition, self.records, PARTITIONS)
                recorder.sent(numbers)
                write(
                    self.servers,
                    self.topic,
                    [f"{number % 1000 / 1000},{number}" for number in numbers.tolist()],
                    [f"{number % 2}.0" for number in numbers.tolist()],
                    partition=partition,
                )
                recorder.acknowledged(partition, np.arange(len(numbers)), numbers)

    def judge(self) -> Verdict:
        """Each input has exactly one committed prediction, that of its own features."""
        # A killed worker's open transaction hides what others wrote behind it, until it is aborted.
        predictions.wait_until_settled({"bootstrap.servers": self.servers}, self.predictions)
        found = predictions.read_predictions(self.servers, self.predictions)
        with Recorder(self.folder, self.topic) as recorder:
            for (_, partition), (offsets, _) in found.items():
                recorder.predicted(partition, offsets)
            for row in self._progress():
                recorder.committed(row.partition, row.committed)
        verdict = judge(self.folder, Kind.PREDICTED, self.servers)
        assert verdict.is_clean(), verdict
        assert verdict.used == verdict.acknowledged == self.records
        for (_, partition), (_, values) in found.items():
            numbers = np.arange(partition, self.records, PARTITIONS)
            features = (numbers % 1000 / 1000).astype(np.float32)[:, np.newaxis]
            assert np.array_equal(values, stand_in(features))
        return verdict

    def rejected(self) -> int:
        """Predictions that are in the log and do not count: of transactions that were aborted."""
        return self._count("read_uncommitted") - self._count("read_committed")

    def members(self) -> set[str]:
        """Who reads from the input topic now."""
        return {row.consumer_id for row in self._progress() if row.consumer_id}

    def committed(self) -> list[int]:
        """The next offset of each partition of the input topic."""
        return [row.committed or 0 for row in self._progress()]

    def _progress(self) -> list[GroupPartition]:
        return Admin(self.servers).describe_group(self.group)

    def _count(self, isolation: str) -> int:
        settings, limits = (
            {
                "bootstrap.servers": self.servers,
                "isolation.level": isolation,
            },
            Limits(),
        )
        ranges = resolve(settings, limits, self.predictions)
        return sum(len(chunk) for chunk in read(ranges, settings, limits))
