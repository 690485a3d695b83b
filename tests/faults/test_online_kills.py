"""Online learning killed -9 anywhere ends with the weights of a run that was never killed."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faults import learner_child
from tests.faults.learner_child import COLUMNS, Options
from tfkafka.admin import Admin
from tfkafka.checkpoints import Checkpoint, Series
from tfkafka.waiting import wait_for
from tfkafka.write import write

RECORDS = 2_050  # ten mini datasets, and a rest
PARTITIONS = 2


@dataclass(frozen=True)
class Story:
    """A topic full of records, and how a learner ends that nobody kills."""

    options: Options
    end: Checkpoint
    mini_datasets: int


@pytest.fixture(scope="module")
def story(kafka, admin: Admin, topic_prefix: str, tmp_path_factory):
    """Learnt from once, without a fault."""
    topic = f"{topic_prefix}online-kills"
    admin.create_topic(topic, PARTITIONS)
    fill(kafka.bootstrap_servers, topic)
    options = Options(kafka.bootstrap_servers, topic, tmp_path_factory.mktemp("never-killed"))
    assert learner_child.run(options) == 0, learner_child.said(options)
    number, end = newest(options)
    assert end.header["records"] == RECORDS and number == 11
    yield Story(options, end, number)
    admin.delete_topic(topic)


def fill(servers: str, topic: str) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(RECORDS, COLUMNS))
    for partition in range(PARTITIONS):
        mine = rows[partition::PARTITIONS]
        write(
            servers, topic, (",".join(map(repr, row)) for row in mine.tolist()),
            (f"{float(row.sum() > 0)}" for row in mine), partition=partition,
        )  # fmt: skip


def newest(options: Options) -> tuple[int, Checkpoint]:
    found = Series(options.folder / "learner", "state").newest(pytest.fail)
    assert found is not None
    return found


def assert_same_end(options: Options, story: Story) -> None:
    """Weights, seed generators, optimizer, offsets and counts, all bit by bit."""
    number, end = newest(options)
    assert number == story.mini_datasets
    assert end.header == story.end.header
    assert end.arrays.keys() == story.end.arrays.keys()
    for name, array in story.end.arrays.items():
        assert array.tobytes() == end.arrays[name].tobytes(), name


def test_killed_at_each_marked_point(story, tmp_path):
    options = story.options.but(folder=tmp_path)
    points = [
        ("before plan", 1), ("behind plan", 2), ("batch", 30), ("before rename", 4),
        ("behind rename", 4), ("behind save", 2),
    ]  # fmt: skip
    reached = []
    for point in points:
        assert learner_child.run(options.but(die_at=point)) == -signal.SIGKILL
        found = Series(tmp_path / "learner", "state").newest(pytest.fail)
        reached.append(found[0] if found else None)
    assert reached == sorted(reached) and reached[-1] < story.mini_datasets
    assert learner_child.run(options) == 0, learner_child.said(options)
    assert_same_end(options, story)


def test_killed_at_random(story, tmp_path, times):
    """At random points, a seed giving which; and at random times."""
    options = story.options.but(folder=tmp_path / "0")
    rng, kills, runs, wanted = random.Random(11), 0, 0, times(3, 50)
    while kills < wanted:
        point = ("any", rng.randint(1, 60))
        status = learner_child.run(options.but(die_at=point))
        if status == -signal.SIGKILL:
            kills += 1
            continue
        assert status == 0, learner_child.said(options)
        assert_same_end(options, story)
        runs += 1
        options = story.options.but(folder=tmp_path / str(runs))
    assert learner_child.run(options) == 0, learner_child.said(options)
    assert_same_end(options, story)
    print(f"{kills} kills in {runs + 1} runs: weights the same, bit by bit")
