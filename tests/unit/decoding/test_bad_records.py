"""What happens to records that cannot be decoded, and how they are counted."""

import pytest

from tests.unit.messages import fill, message
from tfkafka.decoding.bad_records import BadRecords, Counts, check_policy
from tfkafka.decoding.base import Fault
from tfkafka.errors import BadRecordError

CHUNK = fill(message(offset=offset) for offset in range(5, 9))
FAULTS = (Fault(1, "is empty"), Fault(3, "is null"))


def test_fail_names_the_first():
    policy = BadRecords("error")
    with pytest.raises(BadRecordError, match=r"^topic t, partition 0, offset 6: is empty$"):
        policy.handle(CHUNK, FAULTS)
    assert policy.counts == Counts()
    policy.handle(CHUNK, ())
    assert policy.counts == Counts(read=4, used=4)


def test_skip_counts():
    policy = BadRecords("skip")
    for faults in (FAULTS, (), FAULTS[:1]):
        policy.handle(CHUNK, faults)
    assert policy.counts == Counts(read=12, used=9, skipped=3)


def test_dead_letter_writes_and_counts():
    written = []
    policy = BadRecords("dead_letter", lambda chunk, faults: written.append((chunk, faults)))
    policy.handle(CHUNK, FAULTS)
    policy.handle(CHUNK, ())
    assert written == [(CHUNK, FAULTS)]
    assert policy.counts == Counts(read=8, used=6, dead_lettered=2)


def test_what_could_not_be_written_is_not_counted():
    def refuse(_chunk, _faults):
        raise RuntimeError("away")

    policy = BadRecords("dead_letter", refuse)
    with pytest.raises(RuntimeError, match="away"):
        policy.handle(CHUNK, FAULTS)
    assert policy.counts == Counts()


@pytest.mark.parametrize(
    ("policy", "topic", "text"),
    [
        ("drop", None, "must be one of"),
        ("dead_letter", None, "go together"),
        ("skip", "dead", "go together"),
        ("error", "dead", "go together"),
    ],
)
def test_wrong_policies_are_refused(policy, topic, text):
    with pytest.raises(ValueError, match=text):
        check_policy(policy, topic)


def test_right_policies_are_not():
    for policy, topic in (("error", None), ("skip", None), ("dead_letter", "dead")):
        check_policy(policy, topic)
