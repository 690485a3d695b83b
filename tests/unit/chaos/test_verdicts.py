"""The verdicts on readers of one topic notice a lost and a doubled record, where they matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.chaos.judging import Log
from tests.chaos.verdicts import EXACTLY_ONCE, LEARNT, REFUSED, Findings
from tfkafka.testing.checker import Recorder

COUNT = 100
ALL = np.arange(COUNT)
AT_LEAST_ONCE = ("group", "mini")


@pytest.fixture
def log() -> Log:
    """Two partitions in turn."""
    return Log("kept", ALL % 2, ALL // 2, ALL, (ALL / 1000).astype(np.float32))


def judged(log: Log, folder: Path, odd: str = "", numbers: np.ndarray = ALL) -> Findings:
    """All readers have used everything, but for the odd one, which has used these numbers."""
    for name in REFUSED:
        used = numbers if name == odd else ALL
        with Recorder(folder / name, log.topic) as recorder:
            if name == LEARNT:
                recorder.delivered(-1, -1, used)
                continue
            record = recorder.predicted if name == EXACTLY_ONCE else recorder.delivered
            record(log.partitions[used], log.offsets[used], used)
            for partition in (0, 1):
                recorder.committed(partition, COUNT // 2)
    findings = Findings()
    findings.used(log, folder)
    return findings


def test_a_whole_run_is_right(log, tmp_path):
    findings = judged(log, tmp_path)
    assert findings.wrong == []
    assert [line.split()[0] for line in findings.verdicts] == list(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_a_lost_record_is_wrong_for_each(log, tmp_path, name):
    [wrong] = judged(log, tmp_path, name, np.delete(ALL, 41)).wrong
    assert wrong.startswith(f"{name}: ")


@pytest.mark.parametrize("name", REFUSED)
def test_a_doubled_record_is_wrong_where_once_is_promised(log, tmp_path, name):
    wrong = judged(log, tmp_path, name, np.append(ALL, 41)).wrong
    assert [line.split(": ")[0] for line in wrong] == [name] * (name not in AT_LEAST_ONCE)


def test_what_is_lost_or_doubled_in_kafka_is_wrong(log):
    right, lost, doubled = Findings(), Findings(), Findings()
    right.written(log, [ALL[:50], ALL[50:]])
    lost.written(log, [ALL, np.array([COUNT])])
    twice = Log("kept", log.partitions, log.offsets, np.where(ALL == 1, 0, ALL), log.first)
    doubled.written(twice, [np.delete(ALL, 1)])
    assert right.wrong == []
    assert lost.wrong == ["1 acknowledged and not in Kafka: [100]"]
    assert doubled.wrong == ["writer: 1 records are in Kafka twice"]
