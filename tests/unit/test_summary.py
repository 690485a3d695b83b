"""What a test observes of a claim is judged, kept in JUnit XML and summed up at the end."""

from __future__ import annotations

import pytest

from reproduction.report.sources import read_sources

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from tests.stacks import Stack

pytest_plugins = ["tests.summary"]

@pytest.fixture
def stack():
    return Stack("embedded", "3.9.2", rows=1000)
"""
CASES = """
def test_holds(observe):
    observe("topics.partitions", [1, 2])

def test_known(observe):
    observe("group.lost_after_kill", 99, "tensorflow_io")

def test_fails(observe):
    observe("group.lost_after_kill", 99, "tfkafka.tfio")

def test_too_few_rows(observe):
    observe("train.steps", 1)

def test_without():
    pass
"""


def test_summary(pytester: pytest.Pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_claimed=CASES)
    reports = pytester.mkdir("reports")
    done = pytester.runpytest_inprocess("-p", "no:randomly", f"--junitxml={reports / 'tests.xml'}")
    done.assert_outcomes(passed=4, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*group.lost_after_kill: 99, the tutorial: 0*",
            "*the tutorial's claims*",
            "2 of the tutorial's * claims checked: 1 hold, 0 are known to be false, 1 do not*",
            "DOES NOT HOLD: group.lost_after_kill",
            "not run: *train.steps*",
            "the report: *",
        ]
    )
    (run,) = read_sources(pytester.path, reports).tests
    assert [seen["run.reader"] for seen in run.observations] == ["", "tfio", "tfkafka", ""]
    assert run.observations[0]["topics.partitions"] == [1, 2]


def test_no_claims_no_summary(pytester: pytest.Pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_claimless="def test_without(): pass")
    pytester.runpytest_inprocess("-p", "no:randomly").stdout.no_fnmatch_line("*tutorial's claims*")
