"""How long somebody stands still is measured from mark to mark."""

from __future__ import annotations

import pytest

from tests.chaos.verdicts import Findings
from tests.replication.stalls import Stalls, State
from tests.replication.trial import LIMIT_S, verdict


def test_the_longest_time_with_the_same_mark_counts():
    stalls = Stalls()
    for now_s, mark in ((0, 1), (1, 1), (3, 2), (4, 3), (6, 3), (7, 4)):
        stalls.note({"reader": State(mark)}, now_s)
    assert stalls.longest == {"reader": 3}


def test_who_has_nothing_to_do_does_not_stand_still():
    stalls = Stalls()
    for now_s, is_behind in ((0, False), (5, False), (6, True), (8, True)):
        stalls.note({"reader": State(1, is_behind)}, now_s)
    assert stalls.longest == {"reader": 3}


def test_who_has_caught_up_at_once_stood_still_before():
    stalls = Stalls()
    for now_s, state in ((0, State(1, False)), (1, State(1)), (9, State(2, False))):
        stalls.note({"reader": state}, now_s)
    assert stalls.longest == {"reader": 9}


def test_a_stall_that_lasts_counts_too_and_each_name_for_itself():
    stalls = Stalls()
    for now_s in range(21):
        stalls.note({"stuck": State(0), "moving": State(now_s)}, now_s)
    assert stalls.longest == {"stuck": 20, "moving": 1}
    assert stalls.over(19) == {"stuck": 20}
    assert stalls.over(20) == {}


@pytest.mark.parametrize(("seconds", "right"), [(LIMIT_S, True), (LIMIT_S + 0.1, False)])
def test_a_verdict_refuses_too_long_a_stall(seconds, right):
    findings, stalls = Findings(), Stalls()
    for now_s in (0, seconds):
        stalls.note({"reader": State(0)}, now_s)
    lines = verdict(findings, stalls)
    assert (findings.wrong == []) == right
    assert ("WRONG" in lines[-1]) != right


def test_a_verdict_repeats_what_is_wrong():
    findings = Findings(wrong=["1 record lost"])
    assert verdict(findings, Stalls())[-2:] == ["WRONG 1 record lost", "verdict: WRONG"]
