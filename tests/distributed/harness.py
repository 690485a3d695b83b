"""Several processes that learn together, and what becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tfkafka.testing import wait_for
from tfkafka.testing.brokers.processes import free_ports

COLUMNS = 4
SEED = 7
HEARTBEAT_S = 10
DEADLINE_S = 240.0
ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # A script of the documentation imports the package, too.
    "PYTHONPATH": str(Path(__file__).parents[2]),
}


@dataclass(frozen=True)
class Options:
    """What processes are to do.

    Attributes:
        folder: where each process has a folder of its own.
        kill: (index, point, n): this process sends itself SIGKILL when it comes to the point for
            the n-th time; points are "train", "step", "before plan", "behind plan", "before state",
            "behind state", and "any" of these. Only the first process comes to the last four.
        fail: [index, point]: this process raises there.
        seeds: the seed of each process; empty: the same for all.
        judged: whether a model is exported only where the next mini dataset accepts it.
        metered: whether each process serves metrics.
    """

    servers: str
    topic: str
    folder: str
    shards: int = 4
    batch_size: int = 16
    mini_dataset: int = 400
    stream_timeout: int = 0
    on_bad_record: str = "error"
    kill: list[list[Any]] = field(default_factory=list)
    fail: list[Any] | None = None
    seeds: list[int] = field(default_factory=list)
    judged: bool = False
    metered: bool = False

    @classmethod
    def of(cls, content: dict[str, Any]) -> Options:
        return cls(**content)

    def but(self, **changes: Any) -> Options:
        return replace(self, **changes)

    def folder_of(self, index: int) -> Path:
        return Path(self.folder) / f"state-{index}"

    def write(self, index: int, end: dict[str, Any]) -> None:
        (Path(self.folder) / f"end-{index}.json").write_text(json.dumps(end))


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: its exit status, negative for a signal's number.
        at_s: when, by the monotonic clock.
        said: what it printed, errors too.
        end: what it has learnt, where it came to the end.
    """

    status: int
    at_s: float
    said: str
    end: dict[str, Any]

    @property
    def error(self) -> str:
        """The line about the error."""
        [line] = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return line.removeprefix("error: ")


@cache
def nursery() -> subprocess.Popen[str]:
    """The process that forks those that learn. It ends with this one, which closes its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.distributed.nursery"],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def order(**what: Any) -> Any:
    """The answer of the nursery."""
    server = nursery()
    print(json.dumps(what), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


class Child:
    """A process that runs a module or a script; what it says is in a file."""

    def __init__(self, command: Sequence[str], output: Path):
        self._number = order(run=command[0], arguments=command[1:], output=str(output))
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal's number; None while it runs."""
        if self._status is None:
            self._status = order(poll=self._number)
        return self._status

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        wait_for(lambda: self.poll() is not None, "the end of a process", deadline_s)
        assert self._status is not None
        return self._status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self._number, number)


class Run:
    """Processes that learn together, started.

    Args:
        folder: where each leaves what it says and what it has learnt.
        commands: the name of a module, or the path of a script, and its arguments, for each
            process.
    """

    def __init__(self, folder: Path, commands: Sequence[Sequence[str]]):
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / f"said-{index}" for index in range(len(commands))]
        self.processes = []
        for index, (path, command) in enumerate(zip(self._paths, commands, strict=True)):
            (folder / f"end-{index}.json").unlink(missing_ok=True)
            self.processes.append(Child(command, path))

    def said(self, index: int) -> str:
        return self._paths[index].read_text()

    def wait(self) -> list[Ended]:
        """Wait until all have ended."""
        ended: dict[int, Ended] = {}
        deadline_s = time.monotonic() + DEADLINE_S
        try:
            while len(ended) < len(self.processes):
                now_s = time.monotonic()
                for index, process in enumerate(self.processes):
                    if index not in ended and process.poll() is not None:
                        ended[index] = self._end_of(index, now_s)
                if now_s > deadline_s:
                    raise AssertionError(
                        "\n".join(["no end:", *map(self.said, range(len(self._paths)))])
                    )
                time.sleep(0.02)
        finally:
            self.stop()
        return [ended[index] for index in range(len(self.processes))]

    def stop(self) -> None:
        """Kill those that still live."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _end_of(self, index: int, now_s: float) -> Ended:
        path = self._folder / f"end-{index}.json"
        end = json.loads(path.read_text()) if path.exists() else {}
        return Ended(self.processes[index].wait(), now_s, self.said(index), end)


def start(options: Options, count: int) -> Run:
    """Start processes that do what `options` say."""
    common = [str(count), coordinator(), json.dumps(asdict(options))]
    child = "tests.distributed.learner_child"
    return Run(Path(options.folder), [[child, str(index), *common] for index in range(count)])


def coordinator() -> str:
    """The address where process 0 will listen."""
    return f"127.0.0.1:{free_ports(1)[0]}"


def learn(options: Options, count: int) -> list[Ended]:
    """Learn to the end in several processes: all have learnt the same, bit by bit."""
    ended = start(options, count).wait()
    assert [each.status for each in ended] == [0] * count, "\n".join(e.said for e in ended)
    first = ended[0].end
    for each in ended[1:]:
        for name in ("weights", "mini_datasets", "records", "positions", "history", "counts"):
            assert each.end[name] == first[name], name
    return ended


def difference(one: Ended, other: Ended) -> float:
    """The largest difference between two weights, or variables of the optimizer."""
    pairs = zip(one.end["values"], other.end["values"], strict=True)
    return max(float(np.abs(np.array(a) - np.array(b)).max()) for a, b in pairs)


def numbers(ended: list[Ended]) -> list[int]:
    """The records that were trained on, those of all processes together."""
    return sorted(n for each in ended for mini in each.end["seen"] for n in mini["numbers"])
