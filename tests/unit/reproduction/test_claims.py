"""Claims are judged by what was observed; a wrong observation is caught."""

from pathlib import Path

import pytest

from reproduction.claims import format_verdicts, judge, read_claims
from tfkafka.testing.claims import (
    FAILS,
    HOLDS,
    KNOWN_FALSE,
    NOT_COMPARED,
    NOT_RUN,
    SHOWN,
    Verdict,
)

ROOT = Path(__file__).parents[3]
SEEN_BY_SCRIPTS = {"online.late_records"}
FULL = {"run.rows": 100_000, "run.epochs": 10, "run.zookeeper": True, "run.reader": "tfio"}
NO_NUMBERS = {"train.window_seconds": 0.01}  # of which the tutorial says nothing
AS_IN_THE_TUTORIAL = {claim.id: claim.expected for claim in read_claims()} | NO_NUMBERS | FULL


def verdict(claim: str, **changes) -> Verdict:
    observations = AS_IN_THE_TUTORIAL | {k.replace("__", "."): v for k, v in changes.items()}
    return {v.claim.id: v for v in judge(observations)}[claim]


def test_the_tutorials_own_numbers_hold():
    assert {v.status for v in judge(AS_IN_THE_TUTORIAL)} == {HOLDS, SHOWN}


@pytest.mark.parametrize(
    "claim", [c for c in read_claims() if c.check != "shown"], ids=lambda c: c.id
)
def test_each_claim_can_fail(claim):
    wrong = {"equal": "something else", "within": _shifted(claim), "between": [0.0, 1.0]}
    changes = {claim.id.replace(".", "__"): wrong[claim.check], "run__reader": "tfkafka"}
    whichever = any("reader" not in known for known in claim.known_false)
    expected = KNOWN_FALSE if whichever else FAILS
    assert verdict(claim.id, **changes).status == expected


@pytest.mark.parametrize("claim", [c for c in read_claims() if c.test], ids=lambda c: c.id)
def test_the_test_that_observes_a_claim_is_there(claim):
    path, name = claim.test.split("::")
    text = (ROOT / path).read_text()
    assert f"\ndef {name}(" in text
    assert f'observe("{claim.id}"' in text or claim.id in SEEN_BY_SCRIPTS


def test_each_claim_is_judged_by_the_conditions_under_which_it_was_seen():
    """06_train.py was run again with another reader after the online training was seen."""
    conditions = {"online.late_records": {"run.reader": "tfio", "run.rows": 100}}
    seen = {"online__late_records": 0, "run__reader": "tfkafka"}
    assert verdict("online.late_records", **seen).status == FAILS
    assert verdict("online.late_records", conditions=conditions, **seen).status == KNOWN_FALSE
    assert verdict("train.steps", conditions={"train.steps": {"run.rows": 9}}).status == NOT_RUN


def _shifted(claim):
    if claim.check != "within":
        return None
    beyond = 1.01 * claim.tolerance
    if isinstance(claim.expected, list):
        return [*claim.expected[:-1], claim.expected[-1] + beyond]
    return claim.expected + beyond


def test_a_list_that_is_too_short_fails():
    assert verdict("train.accuracy", train__accuracy=[0.7691]).status == FAILS


def test_fewer_rows_are_not_compared():
    seen = verdict("evaluate.accuracy", run__rows=1000)
    assert (seen.status, seen.observed) == (NOT_RUN, 0.7915)
    assert seen.status_in_words == NOT_COMPARED
    assert seen.why == "needs rows = 100,000 and epochs = 10"


def test_known_false_with_one_reader_only():
    assert verdict("online.late_records", online__late_records=0).status == KNOWN_FALSE
    changes = {"online__late_records": 0, "run__reader": "tfkafka"}
    assert verdict("online.late_records", **changes).status == FAILS


def test_what_nobody_observed_is_not_run():
    assert {v.status for v in judge({})} == {NOT_RUN}


def test_table_names_each_claim_and_each_reason():
    table = format_verdicts(judge(AS_IN_THE_TUTORIAL | {"online.late_records": 0}))
    assert max(map(len, table.splitlines())) <= 100
    words = " ".join(table.split())
    for claim in read_claims():
        assert claim.text in words
    assert "one poll lasts as long as stream_timeout" in words
