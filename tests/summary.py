"""pytest: what tests see of the tutorial's claims is held against them, kept, and summed up.

What a test observes goes into its JUnit entry as a property, from where the report reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reproduction.claims import FAILS, KNOWN_FALSE, NOT_RUN, judge_claim, read_claims
from reproduction.readers import MODULES
from reproduction.report import evidence
from reproduction.report.sources import CLAIM_PROPERTY, TestRun
from tests.stacks import Stack

READERS = {module: reader for reader, module in MODULES.items()}
CLAIMS = {claim.id: claim for claim in read_claims()}


@pytest.fixture
def observe(request: pytest.FixtureRequest, stack: Stack) -> Callable[..., None]:
    """observe(claim id, what was seen, reader=module): keeps it, and fails if the claim does.

    A claim that needs all rows is not judged with fewer, and one that is known to be false passes.
    """
    at = "" if stack.kafka == "embedded" else "at "
    facts = {"run.rows": stack.rows, "run.kafka": at + stack.name}

    def keep_and_judge(claim: str, observed: Any, reader: str = "") -> None:
        seen = {**facts, "run.reader": READERS.get(reader, ""), claim: observed}
        request.node.user_properties.append((CLAIM_PROPERTY, json.dumps(seen)))
        verdict = judge_claim(CLAIMS[claim], seen)
        told = f"{claim}: {observed}, the tutorial: {CLAIMS[claim].tutorial}"
        assert verdict.status != FAILS, told

    return keep_and_judge


def properties(terminalreporter, wanted: str) -> list[dict[str, Any]]:
    """What tests have left under this name for the report."""
    return [
        json.loads(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == wanted
    ]


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Claims that were checked, held, failed and were not run; and where the report is."""
    seen = properties(terminalreporter, CLAIM_PROPERTY)
    if not seen:
        return
    claims = evidence.gather([], [TestRun("this run", "", seen)])
    terminalreporter.section("the tutorial's claims")
    terminalreporter.write_line(evidence.summary(claims))
    for status in (FAILS, KNOWN_FALSE, NOT_RUN):
        ids = [found.claim.id for found in claims if found.status == status]
        if ids:
            terminalreporter.write_line(f"{status}: {', '.join(ids)}")
    if config.getoption("xmlpath"):
        terminalreporter.write_line("the report: python -m reproduction.report writes it")
