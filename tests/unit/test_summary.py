"""What a test of the tutorial observes is judged on its stack, and kept for the report."""

from __future__ import annotations

import pytest

from reproduction.claims import CLAIMS_FILE
from reproduction.report.sources import read_sources

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from tests.stacks import Stack

pytest_plugins = ["tfkafka.testing.plugin", "tests.summary"]

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
"""


def test_what_tests_observe_of_the_tutorial(pytester: pytest.Pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makeini(f"[pytest]\nkafka_claims = {CLAIMS_FILE}")
    pytester.makepyfile(test_claimed=CASES)
    done = pytester.runpytest_inprocess("-p", "no:randomly", "--kafka-observations=claims.json")
    done.assert_outcomes(passed=3, failed=1)
    done.stdout.fnmatch_lines(
        [
            "kafka_observe: group.lost_after_kill: observed 99, claimed 0: *",
            "39 claims: 1 met, 1 missed, 37 not checked",
            "missed: group.lost_after_kill: observed 99, claimed 0: *",
            "not checked, needs rows = 100,000 and epochs = 10: train.steps",
        ]
    )
    (run,) = read_sources(pytester.path, pytester.path).tests
    assert [seen.get("run.reader") for seen in run.observations] == [None, "tfio", "tfkafka", None]
    assert run.observations[0]["topics.partitions"] == [1, 2]
    assert run.observations[0]["run.test"] == "test_claimed.py::test_holds"
