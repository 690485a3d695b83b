"""Throughput of each step of the tutorial, held to a loose floor: a share of its ceiling.

Both are measured on the same records in the same process, so that a slow machine slows both.
"""

import pytest

from tests import isolated
from tests.benchmarks import steps
from tests.integration.tutorial.steps import train
from tests.tutorial import FAST_FETCH, Messages, write

RECORDS = 5_000
READER = "tensorflow_io"
# About a third of what was seen on two cores; a step that waits instead of working is far below.
FLOORS = {"write": 0.005, "read": 0.04, "train": 0.1, "evaluate": 0.05}


@pytest.fixture
def messages(susy_split) -> Messages:
    return Messages(susy_split[0].frame[:RECORDS])


@pytest.fixture
def filled_topic(kafka, topic, messages) -> str:
    assert write(kafka.bootstrap_servers, topic, messages) == len(messages)
    return topic


def measure(benchmark, step: str, function, *args) -> None:
    """Run once (the rounds are inside, in turns), store the figures, hold them to the floor."""
    comparison = benchmark.pedantic(isolated.run, (function, *args), rounds=1)
    benchmark.extra_info.update(comparison.figures())
    assert comparison.share_of_ceiling >= FLOORS[step], comparison.figures()


@pytest.mark.benchmark(group="write")
def test_write(benchmark, kafka, topic, messages):
    measure(benchmark, "write", steps.compare_writing, kafka.bootstrap_servers, topic, messages)


@pytest.mark.benchmark(group="read")
def test_read(benchmark, kafka, filled_topic, messages):
    where = (READER, kafka.bootstrap_servers, filled_topic)
    measure(benchmark, "read", steps.compare_reading, *where, len(messages))


@pytest.mark.benchmark(group="train")
def test_training_epoch(benchmark, kafka, filled_topic, messages):
    where = (READER, kafka.bootstrap_servers, filled_topic)
    measure(benchmark, "train", steps.compare_training, *where, messages)


@pytest.mark.benchmark(group="evaluate")
def test_evaluation(benchmark, kafka, filled_topic, messages, group, tmp_path):
    where = (READER, kafka.bootstrap_servers, filled_topic)
    model = isolated.run(train, *where, FAST_FETCH, tmp_path / "model.keras", epochs=1)
    measure(benchmark, "evaluate", steps.compare_evaluation, *where, group, model.path, messages)


def test_a_slowed_step_is_caught():
    """The floor is not decoration: a step that takes 1,000 times as long falls below each."""
    side = steps.Side(wall_s=1.0, cpu_s=1.0, stolen_s=0.0)
    slowed = steps.Side(wall_s=1000.0, cpu_s=1.0, stolen_s=0.0)
    comparison = steps.Comparison(RECORDS, [slowed] * 5, [side] * 5)
    assert comparison.share_of_ceiling < min(FLOORS.values())
    assert steps.Comparison(RECORDS, [side] * 5, [side] * 5).share_of_ceiling == 1.0
