"""The judge finds each anomaly that is put into a history, names it, and finds nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tfkafka.testing.checker import ANOMALIES, Kind, OperationsError, Outcome, Recorder, judge
from tfkafka.testing.checker.operations import ENTRY, find_files

COUNT = 10_000  # more than one block of the judge's tables
TOPIC = "t"


def send(folder, partition=0, count=COUNT, first_number=0):
    """`count` records, acknowledged at offsets from 0 on."""
    numbers = np.arange(first_number, first_number + count)
    with Recorder(folder, TOPIC) as producer:
        producer.sent(numbers)
        producer.acknowledged(partition, np.arange(count), numbers)


def deliver(folder, offsets, partition=0, numbers=None, commit=False):
    with Recorder(folder, TOPIC) as consumer:
        consumer.delivered(partition, offsets, offsets if numbers is None else numbers)
        if commit:
            consumer.committed(partition, int(np.max(offsets)) + 1)


def found(verdict) -> dict[str, list[tuple[int, int]]]:
    """(partition, offset) of what is listed; AssertionError where counts disagree with it."""
    lists = {
        anomaly: [(f.partition, f.offset) for f in findings]
        for anomaly, findings in verdict.findings.items()
        if findings
    }
    assert {a: n for a, n in verdict.counts.items() if n} == {a: len(p) for a, p in lists.items()}
    return lists


def test_nothing_wrong_in_two_partitions(tmp_path):
    send(tmp_path, 0)
    send(tmp_path, 1, first_number=COUNT)
    deliver(tmp_path, np.arange(COUNT), 0, commit=True)
    deliver(tmp_path, np.arange(COUNT), 1, np.arange(COUNT) + COUNT, commit=True)
    verdict = judge(tmp_path)
    assert verdict.is_clean()
    assert (verdict.acknowledged, verdict.used, verdict.unanswered) == (2 * COUNT, 2 * COUNT, 0)
    assert verdict.operations == 6 * COUNT + 2


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, 5000, COUNT - 1])
def test_one_lost(tmp_path, offset):
    send(tmp_path)
    deliver(tmp_path, np.delete(np.arange(COUNT), offset))
    verdict = judge(tmp_path)
    assert found(verdict) == {"lost": [(0, offset)]}
    assert not verdict.is_clean("duplicated") and verdict.is_clean("lost")
    assert f"topic t, partition 0, offset {offset}, number {offset}: was ack" in str(verdict)


@pytest.mark.parametrize("offset", [0, 4096, COUNT - 1])
@pytest.mark.parametrize("by_another", [True, False])
def test_one_duplicate(tmp_path, offset, by_another):
    send(tmp_path)
    deliver(tmp_path, np.arange(COUNT) if by_another else [*range(COUNT), offset])
    if by_another:
        deliver(tmp_path, [offset])
    verdict = judge(tmp_path)
    assert found(verdict) == {"duplicated": [(0, offset)]}
    assert "was used 2 times" in str(verdict)


@pytest.mark.parametrize("offset", [0, 4095, COUNT - 2])
def test_one_swap(tmp_path, offset):
    send(tmp_path)
    order = np.arange(COUNT)
    order[[offset, offset + 1]] = order[[offset + 1, offset]]
    deliver(tmp_path, order)
    assert found(judge(tmp_path)) == {"reordered": [(0, offset)]}


def test_going_back_repeats_and_is_no_new_order(tmp_path):
    send(tmp_path)
    deliver(tmp_path, [*range(6000), *range(5990, COUNT)])
    assert found(judge(tmp_path)) == {"duplicated": [(0, offset) for offset in range(5990, 6000)]}


def test_order_is_each_readers_own(tmp_path):
    send(tmp_path)
    deliver(tmp_path, np.arange(5000, COUNT))
    deliver(tmp_path, np.arange(5000))
    assert judge(tmp_path).is_clean()


def test_a_commit_before_the_use_is_a_skip(tmp_path):
    send(tmp_path, count=10)
    with Recorder(tmp_path, TOPIC) as consumer:
        consumer.delivered(0, range(5), range(5))
        consumer.committed(0, 8)
        consumer.delivered(0, range(5, 9), range(5, 9))
        consumer.committed(0, 9)
        consumer.committed(0, 10, Outcome.FAILED)
    verdict = judge(tmp_path)
    assert found(verdict) == {"skipped": [(0, 5), (0, 6), (0, 7)], "lost": [(0, 9)]}


def test_committed_and_never_used_is_skipped_and_lost(tmp_path):
    send(tmp_path, count=150)
    with Recorder(tmp_path, TOPIC) as consumer:
        consumer.delivered(0, range(100), range(100))
        consumer.committed(0, 150)
    verdict = judge(tmp_path)
    assert verdict.counts == dict.fromkeys(ANOMALIES, 0) | {"lost": 50, "skipped": 50}
    assert [f.offset for f in verdict.findings["lost"]] == list(range(100, 120))
    assert "lost: and 30 more" in str(verdict)


@pytest.mark.parametrize(
    ("offset", "number", "reason"),
    [
        (COUNT, 7_000_000, "was never sent"),
        (COUNT, -1, "was never acknowledged"),
        (5, 6, "is not the record that was acknowledged there"),
        (-1, 7_000_000, "was never sent"),
    ],
)
def test_one_phantom(tmp_path, offset, number, reason):
    send(tmp_path)
    whole = np.arange(COUNT)
    deliver(tmp_path, np.delete(whole, offset) if 0 <= offset < COUNT else whole)
    deliver(tmp_path, [offset], numbers=[number])
    verdict = judge(tmp_path)
    assert found(verdict) == {"phantom": [(0 if offset >= 0 else -1, offset)]}
    assert reason in str(verdict)


def test_what_was_sent_in_vain_is_a_phantom_when_it_appears(tmp_path):
    with Recorder(tmp_path, TOPIC) as producer:
        producer.sent([0, 1, 1])
        producer.acknowledged(-1, -1, [0, 1], Outcome.FAILED)
        producer.acknowledged(0, 1, 1)
    deliver(tmp_path, [0, 1])
    verdict = judge(tmp_path)
    assert found(verdict) == {"phantom": [(0, 0)]}
    assert "in vain" in str(verdict)


def test_what_was_sent_without_an_answer_may_appear_or_not(tmp_path):
    with Recorder(tmp_path, TOPIC) as producer:
        producer.sent(range(5))
        producer.acknowledged(0, [0, 1], [0, 1])
    deliver(tmp_path, range(3))
    verdict = judge(tmp_path)
    assert verdict.is_clean()
    assert verdict.unanswered == 2


def test_a_record_written_twice_is_a_duplicate(tmp_path):
    with Recorder(tmp_path, TOPIC) as producer:
        producer.sent(range(5))
        producer.acknowledged(0, range(5), range(5))
        producer.acknowledged(1, 0, 3)
    deliver(tmp_path, [*range(5), 5], numbers=[*range(5), 4])
    deliver(tmp_path, [0], partition=1, numbers=[3])
    verdict = judge(tmp_path)
    assert found(verdict) == {"duplicated": [(0, 5), (1, 0)]}
    assert "in the log also in partition 0, offset 3" in str(verdict)


def test_a_reader_that_tells_no_positions_is_judged_by_numbers(tmp_path):
    send(tmp_path, count=10)
    deliver(tmp_path, [-1] * 10, partition=-1, numbers=[0, 1, 3, 2, 4, 5, 5, 6, 7, 8])
    assert found(judge(tmp_path)) == {
        "lost": [(0, 9)],
        "duplicated": [(0, 5)],
        "reordered": [(0, 2)],
    }


def test_predictions_can_be_what_counts(tmp_path):
    send(tmp_path, count=10)
    with Recorder(tmp_path, TOPIC) as worker:
        worker.delivered(0, [*range(10), *range(10)])
        worker.committed(0, 9)
    with Recorder(tmp_path, TOPIC) as reader:
        reader.predicted(0, [0, 1, 2, 3, 4, 5, 6, 7, 7])
    verdict = judge(tmp_path, Kind.PREDICTED)
    assert found(verdict) == {
        "lost": [(0, 8), (0, 9)],
        "skipped": [(0, 8)],
        "duplicated": [(0, 7)],
    }


def test_topics_are_told_apart(tmp_path):
    for topic, count in (("a", 5), ("b", 7)):
        with Recorder(tmp_path, topic) as both:
            both.sent(range(count))
            both.acknowledged(0, range(count), range(count))
            both.delivered(0, range(5))
    verdict = judge(tmp_path)
    assert [f.topic for f in verdict.findings["lost"]] == ["b", "b"]


def test_offsets_far_from_0(tmp_path):
    far = np.arange(5) + 2**40
    with Recorder(tmp_path, TOPIC) as both:
        both.acknowledged(3, far)
        both.delivered(3, far[1:])
    assert found(judge(tmp_path)) == {"lost": [(3, 2**40)]}


def test_a_torn_end_is_left_out(tmp_path):
    send(tmp_path, count=10)
    deliver(tmp_path, range(10))
    paths = [file.path for file in find_files(tmp_path) if file.path.stat().st_size < 500]
    with paths[0].open("rb+") as file:
        file.truncate(paths[0].stat().st_size - 5)
    (tmp_path / "killed.operations").write_bytes(b'{"topic": ')
    assert found(judge(tmp_path)) == {"lost": [(0, 9)]}


def test_a_damaged_entry_is_an_error(tmp_path):
    send(tmp_path, count=10)
    path = find_files(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    data[-ENTRY.itemsize] = 99
    path.write_bytes(data)
    with pytest.raises(OperationsError, match=r"damaged"):
        judge(tmp_path)


def test_a_delivery_names_its_record(tmp_path):
    with Recorder(tmp_path, TOPIC) as consumer, pytest.raises(ValueError, match="neither"):
        consumer.delivered(0, -1)


WRITER = """
import sys
from tfkafka.testing.checker import Recorder
recorder = Recorder(sys.argv[1], "t")
number = 0
while True:
    recorder.acknowledged(0, number, number)
    recorder.delivered(0, number, number)
    number += 1
    if number == 1000:
        print("going", flush=True)
"""


def test_a_recorder_killed_in_the_middle(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert writer.stdout.readline() == b"going\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    verdict = judge(tmp_path)
    assert verdict.acknowledged >= 1000
    assert verdict.acknowledged - verdict.used in (0, 1)
    assert verdict.is_clean("lost")
