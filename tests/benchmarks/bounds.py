"""The bounds of floors.toml, and the verdict on what was measured."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

FLOORS = Path(__file__).with_name("floors.toml")

HOLDS, BELOW, UNKNOWN = "holds", "below", "unknown"


class MissingFloor(AssertionError):
    """floors.toml says nothing about a ratio or a limit."""


@dataclass(frozen=True)
class Bound:
    """A line of floors.toml: the least that a median may be (the most, for a limit).

    `goal` is what the project wants; it is shown, and nothing fails by it.
    """

    bound: float
    goal: float | None = None


@dataclass(frozen=True)
class Ratio:
    """Throughput of one side against another's, in the shape that the report reads."""

    of: str
    to: str
    measure: str
    median: float
    rounds: list[float]
    floor: float
    verdict: str
    goal: float | None = None

    def complaint(self) -> str | None:
        """What is wrong, in a line."""
        if self.verdict != BELOW:
            return None
        return (
            f"{self.of} has {self.median:.3g} x the {self.measure} of {self.to}: "
            f"{self.floor - self.median:.3g} below the floor of {self.floor:.3g} "
            f"(rounds: {', '.join(f'{each:.3g}' for each in self.rounds)})"
        )

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Limit:
    """A quantity that may not be above a bound; `unit` such as "s" or "MB"."""

    what: str
    unit: str
    median: float
    rounds: list[float]
    most: float
    verdict: str
    goal: float | None = None

    def complaint(self) -> str | None:
        """What is wrong, in a line."""
        if self.verdict != BELOW:
            return None
        return (
            f"{self.what}: {self.median:.3g} {self.unit}, {self.median - self.most:.3g} above the "
            f"limit of {self.most:.3g} (rounds: {', '.join(f'{each:.3g}' for each in self.rounds)})"
        )

    def as_dict(self) -> dict:
        return asdict(self)


class Floors:
    """floors.toml: for each benchmark by name, and each subject, a bound for each other side."""

    def __init__(self, path: Path = FLOORS):
        self._path = path
        self._tables = tomllib.loads(path.read_text())

    def ratio(
        self, name: str, of: str, to: str, rounds: list[float], is_known: bool,
        measure: str = "throughput",
    ) -> Ratio:  # fmt: skip
        """Hold the median of these rounds to its floor."""
        bound, middle = self._bound(name, of, to), median(rounds)
        verdict = _verdict(middle >= bound.bound, is_known)
        return Ratio(of, to, measure, middle, rounds, bound.bound, verdict, bound.goal)

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
