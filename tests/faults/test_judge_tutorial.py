"""The judge on the tutorial's own way: kill -9 loses records, and repeats others.

The tutorial says "exactly once"; tensorflow-io commits what its model has not seen, and not what
it has.
"""

from __future__ import annotations

import pytest

from tests.faults import tutorial_way
from tests.isolated import ProcessFailed, run
from tfkafka import Admin, write
from tfkafka.testing import wait_for
from tfkafka.testing.checker import Recorder, Verdict, judge

RECORDS = 10_000
BATCHES = 20
SEEN = BATCHES * tutorial_way.BATCH_SIZE


def test_killed_behind_a_commit_it_loses_records(kafka, topic, group, tmp_path, note_fault):
    verdict = _kill_and_read_on(kafka, topic, group, tmp_path, committed=True)
    lost = verdict.findings["lost"]
    assert lost[0].offset == SEEN and all(finding.in_kafka for finding in lost), verdict
    assert verdict.counts["skipped"] == verdict.counts["lost"], verdict
    assert verdict.is_clean("lost", "skipped"), verdict
    proof = "lag 0, and the lost ones are in Kafka"
    note_fault("tensorflow-io's group dataset killed -9 behind a commit", 1, proof, verdict)


def test_killed_before_a_commit_it_repeats_records(
    kafka, topic, group, tmp_path, times, note_fault
):
    if not times(0, 1):
        pytest.skip("make test has it without a judge: tests/integration/test_tfio_defects.py")
    verdict = _kill_and_read_on(kafka, topic, group, tmp_path, committed=False)
    assert verdict.counts["duplicated"] == SEEN and verdict.is_clean("duplicated"), verdict
    proof = "those that the model had seen"
    note_fault("tensorflow-io's group dataset killed -9 before a commit", 1, proof, verdict)


def _kill_and_read_on(kafka, topic, group, history, committed: bool) -> Verdict:
    with Recorder(history, topic) as producer:
        producer.sent(range(RECORDS))
        write(kafka.bootstrap_servers, topic, map(str, range(RECORDS)))
        producer.acknowledged(0, range(RECORDS), range(RECORDS))
    place = (kafka.bootstrap_servers, topic, group, str(history))
    with pytest.raises(ProcessFailed, match="ended with -9"):
        run(tutorial_way.die_after, *place, BATCHES, committed)
    # The dead member holds up the next one until its session ends, and tensorflow-io takes that for
    # silence of the stream.
    admin = Admin(kafka.bootstrap_servers)
    wait_for(lambda: not admin.has_members(group), "the end of the dead member's session", 60)
    run(tutorial_way.read_to_the_end, *place)
    return judge(history, servers=kafka.bootstrap_servers)
