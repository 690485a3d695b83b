"""The bounds of floors.toml, and the verdict on what was measured."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from reproduction.report.benchmarks import BELOW, HOLDS, UNKNOWN, Limit, Ratio

FLOORS = Path(__file__).with_name("floors.toml")


class MissingFloor(AssertionError):
    """floors.toml says nothing about a ratio or a limit."""


@dataclass(frozen=True)
class Bound:
    """A line of floors.toml: the least that a median may be (the most, for a limit).

    `goal` is what the project wants; it is shown, and nothing fails by it.
    """

    bound: float
    goal: float | None = None


def complaint(verdict: Ratio | Limit) -> str | None:
    """What is wrong, in a line; None where nothing is, or nothing can be told."""
    if verdict.verdict != BELOW:
        return None
    if isinstance(verdict, Ratio):
        said = (
            f"{verdict.of} has {verdict.median:.3g} x the throughput of {verdict.to}: "
            f"{verdict.floor - verdict.median:.3g} below the floor of {verdict.floor:.3g}"
        )
    else:
        said = (
            f"{verdict.what}: {verdict.median:.3g} {verdict.unit}, "
            f"{verdict.median - verdict.most:.3g} above the limit of {verdict.most:.3g}"
        )
    return f"{said} (rounds: {', '.join(f'{each:.3g}' for each in verdict.rounds)})"


class Floors:
    """floors.toml: for each benchmark by name, and each subject, a bound for each other side."""

    def __init__(self, path: Path = FLOORS):
        self._path = path
        self._tables = tomllib.loads(path.read_text())

    def ratio(self, name: str, of: str, to: str, rounds: list[float], is_known: bool) -> Ratio:
        """Hold the median of these rounds to its floor."""
        bound, middle = self._bound(name, of, to), median(rounds)
        verdict = _verdict(middle >= bound.bound, is_known)
        return Ratio(of, to, middle, rounds, bound.bound, verdict, bound.goal)

    def limit(self, name: str, what: str, unit: str, rounds: list[float], is_known: bool) -> Limit:
        """Hold the median of these rounds to its limit."""
        bound, middle = self._bound(name, "at most", what), median(rounds)
        verdict = _verdict(middle <= bound.bound, is_known)
        return Limit(what, unit, middle, rounds, bound.bound, verdict, bound.goal)

    def _bound(self, name: str, of: str, to: str) -> Bound:
        try:
            entry = self._tables[name][of][to]
        except KeyError:
            raise MissingFloor(f'{self._path}: no line "{to}" in ["{name}"."{of}"]') from None
        return Bound(**entry) if isinstance(entry, dict) else Bound(entry)


def _verdict(is_within: bool, is_known: bool) -> str:
    if not is_known:
        return UNKNOWN
    return HOLDS if is_within else BELOW
