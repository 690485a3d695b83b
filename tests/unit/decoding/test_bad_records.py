"""What happens to records that cannot be decoded, and how they are counted."""

import json

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


def test_kinds_are_counted_and_the_most_frequent_are_named():
    policy = BadRecords("skip")
    for number in range(20):
        faults = [Fault(0, f"column 1 is not a number: b'{number}'", "column 1 is not a number")]
        if number % 2:
            faults.append(Fault(1, f"is too odd ({number})"))
        policy.handle(CHUNK, faults)
    counts = policy.counts
    assert counts.reasons["column 1 is not a number"] == 20 and len(counts.reasons) == 11
    assert sum(counts.reasons.values()) == counts.skipped == 30
    assert counts.summary() == (
        "30 of 80 records could not be decoded and were skipped: 20 x column 1 is not a number; "
        "1 x is too odd (1); 1 x is too odd (3); 1 x is too odd (5); 1 x is too odd (7); "
        "6 x other reasons"
    )
    numbers = {"read": 80, "used": 50, "skipped": 30, "dead_lettered": 0, "missing": 0}
    assert counts.numbers() == numbers


def test_a_summary_says_where_nothing_is_left():
    policy = BadRecords("dead_letter")
    assert policy.counts.summary() == ""
    policy.handle(CHUNK[:2], [Fault(0, "is null"), Fault(1, "is null")])
    assert policy.counts.summary() == (
        "2 of 2 records could not be decoded and were written to the dead letter topic: "
        "2 x is null: does the decoder fit the topic?"
    )


def test_reasons_without_end_take_no_memory_without_end():
    policy = BadRecords("skip")
    for number in range(1200):
        policy.handle(CHUNK, [Fault(0, f"reason {number}")])
    assert len(policy.counts.reasons) == 1001
    assert policy.counts.reasons["other reasons"] == 200


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
        check_policy(policy, topic, ["t"])


def test_right_policies_are_not():
    for policy, topic in (("error", None), ("skip", None), ("dead_letter", "dead")):
        check_policy(policy, topic, ["t", "^d$", "de.*"])


@pytest.mark.parametrize("read", [["t", "dead"], ["^de.*"], ["^.*a"]])
def test_a_dead_letter_topic_that_is_read_is_refused(read):
    with pytest.raises(ValueError, match=r"dead_letter_topic is 'dead', which is read"):
        check_policy("dead_letter", "dead", read)


def test_what_python_cannot_take_as_a_pattern_refuses_nothing():
    check_policy("dead_letter", "dead", ["^*", "^["])


def test_counts_of_several_processes_are_added():
    total, parts = Counts(missing=1), []
    for faults, absent in ((FAULTS, frozenset({"a", "b"})), ((), frozenset({"b"}))):
        parts.append(Counts())
        parts[-1].add(4, faults, "skip", absent)
    # A process whose part has no record says nothing of fields.
    for part in (*parts, Counts()):
        total.merge(Counts.of(json.loads(json.dumps(part.to_json()))))
    assert total == Counts(read=8, used=6, skipped=2, missing=1)
    assert total.reasons == {"is empty": 1, "is null": 1} and total.absent == {"b"}
