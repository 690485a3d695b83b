"""What the tests of the tutorial observe is held against its claims; and what tests leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reproduction.readers import MODULES
from tests.stacks import Stack
from tests.tutorial import EPOCHS

READERS = {module: reader for reader, module in MODULES.items()}


@pytest.fixture
def observe(kafka_observe: Callable[..., None], stack: Stack) -> Callable[..., None]:
    """observe(claim id, what was seen, reader=module): kafka_observe, with what it was seen on.

    A claim that needs all rows is not judged with fewer, and one that is known to be false passes.
    """
    at = "" if stack.kafka == "embedded" else "at "
    conditions = {"rows": stack.rows, "epochs": EPOCHS, "kafka": at + stack.name}

    def keep_and_judge(claim: str, observed: Any, reader: str = "") -> None:
        by = {"reader": READERS[reader]} if reader else {}
        kafka_observe(claim, observed, **conditions, **by)

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
