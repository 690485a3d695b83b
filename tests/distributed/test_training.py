"""examples/distributed_training.py by local.py and by Ray Train; a process killed meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.distributed import harness
from tests.distributed.conftest import full_only
from tests.distributed.launching import DEADLINE_S, LOCAL, Launched, launched
from tfkafka import write
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.processes import free_ports

pytestmark = pytest.mark.distributed

TRAINING = "examples/distributed_training.py"
COUNT, EPOCHS, SEED = 2, 5, 7
# Of Ray 2, below its storage.
NOTED = "ray/*/checkpoint_manager_snapshot.json"


@dataclass(frozen=True)
class Job:
    """A topic to train on."""

    servers: str
    topic: str
    settings: str = os.devnull

    def options(self, folder: Path) -> list[str]:
        return [
            *("--bootstrap-servers", self.servers, "--command-config", self.settings),
            *("--topic", self.topic),
            *("--epochs", str(EPOCHS), "--seed", str(SEED), "--batch-size", "32"),
            *("--artifacts", str(folder)),
        ]

    def train(self, folder: Path) -> AbstractContextManager[Launched]:
        """Train in COUNT processes. One that does not end soon is killed."""
        command = [sys.executable, TRAINING, *self.options(folder)]
        return launched(LOCAL, "--processes", str(COUNT), "--grace", "2", "--", *command)


@pytest.fixture(scope="module")
def job(kafka, admin, topic_prefix, tmp_path_factory) -> Job:
    """6,000 records in partitions of unequal sizes, and a setting that a manifest shows."""
    topic = f"{topic_prefix}trained-by-several"
    admin.create_topic(topic, 3)
    random = np.random.default_rng(SEED)
    for partition, size in enumerate([3500, 2000, 500]):
        rows = random.random((size, 18))
        values = [",".join(f"{value:.6f}" for value in row) for row in rows]
        keys = [str(int(row[0] > row[1])) for row in rows]
        write(kafka.bootstrap_servers, topic, values, keys, partition=partition)
    settings = tmp_path_factory.mktemp("settings") / "client.properties"
    settings.write_text("isolation.level=read_uncommitted\n")
    yield Job(kafka.bootstrap_servers, topic, str(settings))
    admin.delete_topic(topic)


@pytest.fixture(scope="module")
def trained(job, tmp_path_factory) -> tuple[Path, str]:
    """The checkpoint of two processes that nobody disturbs, and what they have printed."""
    folder = tmp_path_factory.mktemp("trained")
    with job.train(folder) as local:
        assert local.end() == 0, local.output()
        assert local.said() == []
        return checkpoint_in(folder), local.output()


def checkpoint_in(folder: Path) -> Path:
    return folder / "bounded" / "checkpoint.npz"


def variables(checkpoint: Path) -> list[np.ndarray]:
    with np.load(checkpoint) as arrays:
        return list(arrays.values())[1:]


def about(checkpoint: Path) -> dict[str, Any]:
    """How many epochs the model has seen, and of what: none where there is no checkpoint yet."""
    with suppress(FileNotFoundError), np.load(checkpoint) as arrays:
        return json.loads(str(arrays["arr_0"]))
    return {"epochs": 0}


def begun(output: str) -> list[int]:
    """The epochs that were begun, in their order."""
    return [int(number) for number in re.findall(rf"Epoch (\d+)/{EPOCHS}\b", output)]


def assert_equal_bit_by_bit(one: Path, other: Path) -> None:
    pairs = list(zip(variables(one), variables(other), strict=True))
    assert pairs and all(np.array_equal(a, b) for a, b in pairs)


def test_all_processes_end_with_the_same_weights(trained):
    checkpoint, output = trained
    ended = re.findall(r"^Process (\d) of 2: weights (\w{16})$", output, re.MULTILINE)
    assert sorted(index for index, _ in ended) == ["0", "1"]
    assert len({weights for _, weights in ended}) == 1
    assert about(checkpoint)["epochs"] == EPOCHS and begun(output) == [1, 2, 3, 4, 5]
    assert about(checkpoint)["manifest"]["isolation_level"] == "read_uncommitted"
    losses = [float(loss) for loss in re.findall(r"loss: ([\d.]+)", output)]
    assert len(losses) == EPOCHS and losses[-1] < 0.6 * losses[0]


def test_one_process_ends_with_weights_that_differ_by_rounding(trained, tmp_path):
    checkpoint, _ = trained
    alone = tmp_path / "alone.npz"
    command = ["tests.distributed.one_process", str(checkpoint), str(COUNT), str(SEED), str(alone)]
    [ended] = harness.Run(tmp_path, [command]).wait()
    assert ended.status == 0, ended.said
    pairs = list(zip(variables(checkpoint), variables(alone), strict=True))
    assert max(np.abs(a.astype(float) - b).max() for a, b in pairs) <= 1e-6
    # Each has moved: what is compared is not how they began.
    assert not any(np.array_equal(a, np.zeros_like(a)) for a, _ in pairs)


@full_only
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_killed_in_an_epoch_changes_no_bit(job, trained, tmp_path, victim):
    checkpoint = checkpoint_in(tmp_path)
    with job.train(tmp_path) as local:
        local.wait_until(lambda: about(checkpoint)["epochs"] >= 1, "an epoch has ended")
        first = time.monotonic()
        local.wait_until(lambda: about(checkpoint)["epochs"] >= 2, "another one has ended")
        # To the middle of the one that has begun.
        time.sleep((time.monotonic() - first) / 2)
        [process] = [
            each
            for each in psutil.Process(local.process.pid).children()
            if each.environ()["JAX_PROCESS_ID"] == str(victim)
        ]
        process.kill()
        assert local.end() == 0, local.output()
        assert local.said()[0] == (
            f"local.py: process {victim} of 2 was ended by SIGKILL: starting all again "
            f"(restart 1 of 3)"
        )
        epochs = begun(local.output())
    # One epoch was begun twice, and none before it.
    assert len(epochs) == EPOCHS + 1 and epochs == sorted(epochs)
    assert_equal_bit_by_bit(checkpoint, trained[0])


def test_a_worker_of_ray_that_is_killed_changes_no_bit(job, trained, tmp_path):
    # Not below tmp_path: the paths of Ray's sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as session:
        environment = {
            "RAY_TMPDIR": session,
            "RAY_DEDUP_LOGS": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        command = ["examples/launch/ray_train.py", "--processes", str(COUNT)]
        with launched(*command, *job.options(tmp_path), **environment) as ray:
            # Ray may lose those checkpoints that its controller has not noted yet.
            ray.wait_until(lambda: any(tmp_path.glob(NOTED)), "Ray has noted a checkpoint")
            ray.wait_until(lambda: epochs_by_worker(ray.output()), "a worker has said so")
            [worker] = epochs_by_worker(ray.output())
            os.kill(worker, signal.SIGKILL)
            assert ray.end() == 0, ray.output()
            workers = epochs_by_worker(ray.output())
        wait_for(lambda: not of_session(session), "all processes of Ray have ended", DEADLINE_S)
    assert workers.pop(worker)[0] == 1
    [epochs] = workers.values()
    assert epochs[0] > 1 and epochs[-1] == EPOCHS
    assert_equal_bit_by_bit(checkpoints(tmp_path)[-1], trained[0])


def epochs_by_worker(output: str) -> dict[int, list[int]]:
    """The epochs that each process has begun which is the first one of Ray's workers."""
    found = defaultdict(list)
    for pid, epoch in re.findall(rf"RayTrainWorker pid=(\d+)\)\S* Epoch (\d)/{EPOCHS}", output):
        found[int(pid)].append(int(epoch))
    return found


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("ray/*/*/checkpoint.npz"))


def of_session(folder: str) -> list[psutil.Process]:
    """The processes of a Ray that was started with this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("RAY_TMPDIR") == folder:
                found.append(process)
    return found


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"JAX_PROCESS_ID": "2", "JAX_NUM_PROCESSES": "2"}, "JAX_PROCESS_ID is 2 and JAX_NUM_"),
        ({"JAX_PROCESS_ID": "x"}, "JAX_PROCESS_ID is x and JAX_NUM_PROCESSES is 1: must be whole"),
        ({"JAX_NUM_PROCESSES": "2"}, "JAX_COORDINATOR_ADDRESS must be HOST:PORT of process 0"),
        ({}, "nobody listens at 127.0.0.1:"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, environment, line):
    nobody = Job(f"127.0.0.1:{free_ports(1)[0]}", "any")
    with launched(TRAINING, *nobody.options(tmp_path), **environment) as training:
        assert training.end() == 1
        (said,) = training.output().splitlines()
    assert said.startswith(f"distributed_training.py: {line}")


def test_a_topic_that_is_not_there_is_one_line(job, tmp_path):
    with launched(TRAINING, *Job(job.servers, "no-such").options(tmp_path)) as training:
        assert training.end() == 1
        (said,) = training.output().splitlines()
    assert said.startswith(f"distributed_training.py: there is no topic no-such on {job.servers}: ")


@pytest.mark.parametrize("fault", ["damaged", "empty", "of another topic"])
def test_a_checkpoint_that_does_not_fit_is_one_line(job, trained, make_topic, tmp_path, fault):
    checkpoint = checkpoint_in(tmp_path)
    checkpoint.parent.mkdir()
    content = bytearray(trained[0].read_bytes())
    if fault == "damaged":
        content[len(content) // 2] ^= 1
    elif fault == "empty":
        content.clear()
    else:
        job = Job(job.servers, make_topic())
        write(job.servers, job.topic, ["1"], ["1"])
    checkpoint.write_bytes(content)
    with launched(TRAINING, *job.options(tmp_path)) as training:
        assert training.end() == 1
        said = training.output().splitlines()[-1]
    reason = "is no checkpoint of this, or damaged ("
    if fault == "of another topic":
        reason = f"is of topic trained-by-several, and not of {job.topic}: name another --folder"
    assert said.startswith(f"distributed_training.py: {checkpoint}: {reason}")
    assert checkpoint.read_bytes() == content
