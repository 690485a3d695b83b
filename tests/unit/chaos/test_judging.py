"""The judge of chaos runs notices what is put into a history."""

from __future__ import annotations

import numpy as np
import pytest

from tests.chaos.judging import Batch, Life, LifeRecorder, Log, read_lives, silent_skips
from tfkafka.testing.checker import Kind, Recorder

COUNT = 100


@pytest.fixture
def log() -> Log:
    """Two partitions in turn."""
    numbers = np.arange(COUNT)
    return Log("kept", numbers % 2, numbers // 2, numbers, (numbers / 1000).astype(np.float32))


def judged(log: Log, folder, used: np.ndarray, use: Kind = Kind.DELIVERED):
    with Recorder(folder, log.topic) as recorder:
        record = recorder.delivered if use == Kind.DELIVERED else recorder.predicted
        record(log.partitions[used], log.offsets[used], log.numbers[used])
        for partition in (0, 1):
            recorder.committed(partition, COUNT // 2)
    return log.judge(folder, use).counts


@pytest.mark.parametrize("use", [Kind.DELIVERED, Kind.PREDICTED])
def test_a_whole_history_is_clean(log, tmp_path, use):
    assert not any(judged(log, tmp_path, log.numbers, use).values())


@pytest.mark.parametrize("use", [Kind.DELIVERED, Kind.PREDICTED])
@pytest.mark.parametrize("number", [0, 41, COUNT - 1])
def test_a_lost_record_is_found_and_its_commit_is_a_skip(log, tmp_path, use, number):
    counts = judged(log, tmp_path, np.delete(log.numbers, number), use)
    assert counts["lost"] == counts["skipped"] == 1


@pytest.mark.parametrize("use", [Kind.DELIVERED, Kind.PREDICTED])
def test_a_repeated_record_is_found(log, tmp_path, use):
    counts = judged(log, tmp_path, np.append(log.numbers, 41), use)
    assert counts["duplicated"] == 1 and counts["lost"] == 0


def test_a_tally_of_numbers_without_positions_is_judged(log, tmp_path):
    with Recorder(tmp_path, log.topic) as recorder:
        recorder.delivered(-1, -1, np.append(np.delete(log.numbers, 5), 7))
    counts = log.judge(tmp_path).counts
    assert counts["lost"] == counts["duplicated"] == 1


def test_a_record_that_kafka_lacks_is_found(log):
    acknowledged = [np.arange(50), np.arange(50, COUNT + 2)]
    assert log.lacking(acknowledged) == [COUNT, COUNT + 1]
    assert log.lacking([]) == []


def test_a_wrong_prediction_is_found(log):
    right = (np.arange(3), np.array([0.0, 0.002, 0.004], np.float32))
    wrong = (np.arange(3), np.array([0.001, 0.002, 0.005], np.float32))
    assert log.wrong_predictions({("kept", 0): right}) == []
    [found] = log.wrong_predictions({("kept", 1): wrong})
    assert found.startswith("partition 1, offset 1: ")


def life(*offsets: int, incarnation: int = 0, missing: int = 0) -> Life:
    return Life([Batch([(incarnation, 0, offset) for offset in offsets], missing)])


def test_lives_that_follow_one_another_are_clean():
    assert silent_skips([life(0, 1, 2), life(2, 3), life(4, 5)]) == []


def test_a_gap_within_a_life_and_between_two_is_found():
    [within] = silent_skips([life(0, 1, 3)])
    [between] = silent_skips([life(0, 1), life(3, 4)])
    assert "offset 3 after 1" in within and "offset 3 after 1" in between
    [first] = silent_skips([life(1)])
    assert "offset 1 after -1" in first


def test_a_gap_that_was_reported_is_no_skip_and_one_that_is_larger_is():
    assert silent_skips([life(0, 1), life(5, 6, missing=3)]) == []
    [larger] = silent_skips([life(0, 1), life(5, 6, missing=2)])
    assert "2 records were reported as missing" in larger


def test_going_on_with_another_incarnation_is_found_and_beginning_it_is_not():
    both = Life([*life(0, 1).batches, *life(0, 1, incarnation=1).batches])
    [found] = silent_skips([both])
    assert "incarnation 1" in found and "after incarnation 0, no error" in found
    assert silent_skips([life(0, 1), life(0, 1, incarnation=1)]) == []
    # The positions of the one before must not be those of the new one.
    assert silent_skips([life(0, 1), life(2, incarnation=1)]) != []


def test_lives_are_read_as_they_were_recorded_and_a_torn_line_is_left_out(tmp_path):
    recorder = LifeRecorder(tmp_path)
    recorder.begin()
    recorder.use([(0, 1, 5), (0, 1, 6)], 5)
    recorder.error("OffsetError: gone")
    recorder.begin()
    recorder.use([(0, 1, 7)], 0)
    with (tmp_path / "lives.jsonl").open("a") as file:
        file.write('{"records": [[0, 1,')
    assert read_lives(tmp_path) == [
        Life([Batch([(0, 1, 5), (0, 1, 6)], 5)], "OffsetError: gone"),
        Life([Batch([(0, 1, 7)], 0)]),
    ]
