"""pytest: verdicts as lines of text at the end of a session."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN, Limit, Ratio
from tests import summary

# sysexits.h's EX_TEMPFAIL: the machine was too busy to tell, try again.
EXIT_UNKNOWN = 75
PROPERTY = "benchmark"
"""Name of the property under which a test says how it was judged."""


def to_json(title: str, verdict: Ratio | Limit) -> str:
    """A verdict as the value of a property."""
    return json.dumps([title, type(verdict).__name__, asdict(verdict)])


def verdicts(terminalreporter) -> list[tuple[str, Ratio | Limit]]:
    """All that tests of this session have left as properties, with their titles."""
    kinds = {"Ratio": Ratio, "Limit": Limit}
    found = summary.properties(terminalreporter, PROPERTY)
    return [(title, kinds[kind](**fields)) for title, kind, fields in found]


def exit_status(status: int, verdicts: Sequence[tuple[str, Ratio | Limit]]) -> int:
    """What a session of benchmarks ends with: one that could not tell has not passed."""
    is_unknown = any(verdict.verdict == UNKNOWN for _, verdict in verdicts)
    return EXIT_UNKNOWN if is_unknown and status == 0 else status


def lines(verdicts: Sequence[tuple[str, Ratio | Limit]]) -> Iterator[str]:
    """A title, and below it a line for each of its ratios and limits."""
    shown = None
    for title, verdict in verdicts:
        if title != shown:
            yield title
            shown = title
        yield f"  {verdict.verdict:8}{_told(verdict)}"
    counts = {
        name: sum(verdict.verdict == name for _, verdict in verdicts)
        for name in (HOLDS, BELOW, UNKNOWN)
    }
    yield ", ".join(f"{count} {name}" for name, count in counts.items())


def _told(verdict: Ratio | Limit) -> str:
    goal = "" if verdict.goal is None else f", goal {verdict.goal:g}"
    if isinstance(verdict, Limit):
        return (
            f"{verdict.what}: {verdict.median:.3g} {verdict.unit} (at most {verdict.most:g}{goal})"
        )
    return (
        f"{verdict.of} against {verdict.to}: {verdict.median:.3g} "
        f"(at least {verdict.floor:g}{goal})"
    )


def pytest_terminal_summary(terminalreporter) -> None:
    told = verdicts(terminalreporter)
    if told:
        terminalreporter.section("benchmarks against their floors")
        for line in lines(told):
            terminalreporter.write_line(line)
