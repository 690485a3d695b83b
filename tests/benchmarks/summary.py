"""The printer: verdicts as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.benchmarks.bounds import Limit, Ratio

VERDICTS = pytest.StashKey[list[tuple[str, Ratio | Limit]]]()


def lines(verdicts: Sequence[tuple[str, Ratio | Limit]]) -> Iterator[str]:
    """A title, and below it a line for each of its ratios and limits."""
    shown = None
    for title, verdict in verdicts:
        if title != shown:
            yield title
            shown = title
        yield f"  {verdict.verdict:8}{_told(verdict)}"
    counts = {name: sum(v.verdict == name for _, v in verdicts) for name in _NAMES}
    yield ", ".join(f"{count} {name}" for name, count in counts.items())


_NAMES = ("holds", "below", "unknown")


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
