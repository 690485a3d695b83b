"""pytest: each fault with its count, its proof and its verdict at the end of a session."""

from __future__ import annotations

from reproduction.report.sources import FAULT_PROPERTY
from tests import summary


def pytest_terminal_summary(terminalreporter) -> None:
    rows = summary.properties(terminalreporter, FAULT_PROPERTY)
    if rows:
        terminalreporter.section("faults, and what became of the records")
    for row in rows:
        terminalreporter.write_line("{what}: {faults}; {proof}; {verdict}".format(**row))
