"""Shards of mini datasets: what is refused, and which rows are in which step."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tfkafka.chunk import OffsetRange
from tfkafka.online import learn
from tfkafka.online.sharding import (
    Sharding,
    checked_sharding,
    refuse_arrays,
    refuse_different,
)
from tfkafka.reading.sharding import shard_of


@pytest.mark.parametrize(
    ("shards", "process", "batch_size", "line"),
    [
        (None, (0, 2), None, r"process is \(0, 2\): give shards, too"),
        (None, None, 8, r"batch_size is 8: give shards, too"),
        (3, (0, 2), None, r"shards is 3, and there are 2 processes: give a multiple of 2"),
        (4, (2, 2), None, r"process is \(2, 2\), must be \(index, count\) with an index from 0"),
        (0, (0, 1), None, r"shards is 0, must be "),
        (2, (0, 1), 0, r"batch_size is 0, must be "),
    ],
)
def test_what_does_not_fit_is_refused(shards, process, batch_size, line):
    with pytest.raises(ValueError, match=f"^{line}"):
        checked_sharding(shards, process, batch_size)


def test_each_process_has_its_shards():
    every = [checked_sharding(6, (index, 3), None) for index in range(3)]
    assert [list(each.own) for each in every] == [[0, 1], [2, 3], [4, 5]]
    assert checked_sharding(6, None, None) == Sharding(6, 0, 1, 32)
    assert checked_sharding(None, None, None) is None


def test_another_backend_than_jax_is_refused(tmp_path, stream):
    with pytest.raises(ValueError, match=r"^shards is 2, and Keras computes with tensorflow: only"):
        learn(tmp_path, stream, len, lambda model, batches: None, seed=1, shards=2)


def test_a_function_for_arrays_is_refused(tmp_path, stream):
    line = r"^train takes \(model, features, labels\), and with shards it is called with \(model, b"
    with pytest.raises(TypeError, match=line):
        learn(tmp_path, stream, len, lambda model, features, labels: None, seed=1, shards=2)
    with pytest.raises(TypeError, match=r"^evaluate takes \(model, x, y\)"):
        refuse_arrays("evaluate", lambda model, x, y: {})
    refuse_arrays("evaluate", None)
    refuse_arrays("train", print)


def test_processes_with_other_arguments_are_refused():
    refuse_different([{"seed": 1, "shards": 2}] * 3)
    with pytest.raises(
        ValueError, match=r"^shards is 2 in process 0 and 4 in process 1: start all"
    ):
        refuse_different([{"seed": 1, "shards": 2}, {"seed": 1, "shards": 4}])


@pytest.fixture
def stream():
    from tfkafka import CsvDecoder
    from tfkafka.online import Stream

    return Stream("t", CsvDecoder(2, label="key"), "127.0.0.1:1")


# Unequal partitions, with offsets that need 64 bits; one is shorter than a shard.
PLAN = [(5, 21), (2**40, 3), (0, 34)]


@pytest.mark.parametrize("count", [2, 4])
def test_each_record_is_in_the_same_step_whatever_the_number_of_processes(count):
    rng = random.Random(1)
    ranges = [OffsetRange("t", p, start, start + n) for p, (start, n) in enumerate(PLAN)]
    # Some offsets have no record.
    offsets = [(r.partition, offset) for r in ranges for offset in range(r.start, r.stop)]
    places = [place for place in offsets if rng.random() < 0.7]

    def arrays_of(mine: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        features = [(p, offset - ranges[p].start) for p, offset in mine]
        return np.array(features, np.float32).reshape(-1, 2), np.ones(len(mine), np.float32)

    def steps_of(count: int) -> list[np.ndarray]:
        found, most = [], 0
        for index in range(count):
            sharding = Sharding(4, index, count, 3)
            part = shard_of(ranges, index, count)
            mine = [
                place
                for place in places
                if any(r.partition == place[0] and r.start <= place[1] < r.stop for r in part)
            ]
            rows = sharding.rows(_Records(mine), ranges)
            assert sum(rows) == len(mine)
            most = max(most, *rows)
            found.append((sharding, mine, rows))
        batches = [
            sharding.batches(arrays_of(mine), rows, -(-most // 3), [7, 1])
            for sharding, mine, rows in found
        ]
        processes = [[*each.as_numpy_iterator()] for each in batches]
        return [
            np.concatenate([np.column_stack([x, w]) for x, _, w in step])
            for step in zip(*processes, strict=True)
        ]

    together = steps_of(count)
    assert all(map(np.array_equal, together, steps_of(1)))
    assert all(len(step) == 12 for step in together)
    rows = np.concatenate([*together, np.zeros((0, 3))])
    trained = sorted((int(p), int(o)) for p, o, weight in rows if weight)
    assert trained == sorted((p, o - ranges[p].start) for p, o in places)


class _Records:
    """The part of a chunk that says where records are from."""

    def __init__(self, places):
        found = np.array(places, np.int64).reshape(-1, 2)
        self.partitions, self.offsets = found[:, 0], found[:, 1]
