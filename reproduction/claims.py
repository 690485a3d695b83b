"""The tutorial's claims (`claims.toml`), and what was observed held against them."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLAIMS_FILE = Path(__file__).with_name("claims.toml")
LONGEST_LIST = 6
WIDTH = 100
FULL_ROWS = 100_000
FULL_EPOCHS = 10
# What says of an observation how it was made, and so what it can be held against.
CONDITIONS = ("run.reader", "run.rows", "run.epochs", "run.kafka", "run.zookeeper")
HOLDS, FAILS, KNOWN_FALSE = "holds", "DOES NOT HOLD", "is false"
SHOWN, NOT_RUN, NOT_COMPARED = "shown", "not run", "not compared"
NOT_SEEN = "seen by no script and no test yet (make reproduce, make test)"


@dataclass(frozen=True)
class Claim:
    """One number or statement of the tutorial; the fields are explained in `claims.toml`."""

    id: str
    step: int
    text: str
    tutorial: Any
    check: str
    tolerance: float | None = None
    bounds: Any = None
    needs: str | None = None
    test: str | None = None
    false_with: Mapping[str, str] = field(default_factory=dict)

    def accepts(self, observed: Any) -> bool:
        """Whether what was observed bears the claim out; claims only shown accept anything."""
        match self.check:
            case "equal":
                return observed == self.tutorial
            case "within":
                return _each(observed, self.tutorial, self._near)
            case "between":
                low, high = self.bounds
                numbers = observed if isinstance(observed, list) else [observed]
                return bool(numbers) and all(low <= number <= high for number in numbers)
        return True

    def _near(self, observed: float, expected: float) -> bool:
        return abs(observed - expected) <= self.tolerance


@dataclass(frozen=True)
class Verdict:
    """A claim, what was seen, and whether it holds; `why` explains what was not run."""

    claim: Claim
    observed: Any
    status: str
    why: str = ""

    @property
    def status_in_words(self) -> str:
        """The status; "not compared" where something was seen that cannot be judged."""
        seen = self.status == NOT_RUN and self.observed is not None
        return NOT_COMPARED if seen else self.status


def read_claims() -> list[Claim]:
    """All claims, in the tutorial's order."""
    return [Claim(**claim) for claim in tomllib.loads(CLAIMS_FILE.read_text())["claim"]]


def judge(observations: Mapping[str, Any]) -> list[Verdict]:
    """Hold each claim against `observations`, which are named by claim id.

    CONDITIONS among them say what kind of run it was, and so which claims can be compared;
    `conditions`, where it is there, has those of each claim apart.
    """
    return [judge_claim(claim, observations) for claim in read_claims()]


def judge_claim(claim: Claim, observations: Mapping[str, Any]) -> Verdict:
    """Hold one claim against `observations`, as `judge` does all of them."""
    observations = of_its_time(claim, observations)
    observed = observations.get(claim.id)
    if claim.id not in observations:
        return Verdict(claim, None, NOT_RUN, NOT_SEEN)
    if why := _not_comparable(claim, observations):
        return Verdict(claim, observed, NOT_RUN, why)
    if claim.check == "shown":
        return Verdict(claim, observed, SHOWN)
    if claim.accepts(observed):
        return Verdict(claim, observed, HOLDS)
    known = claim.false_with.get(observations.get("run.reader", ""), claim.false_with.get("any"))
    return Verdict(claim, observed, KNOWN_FALSE if known else FAILS, known or "")


def of_its_time(claim: Claim, observations: Mapping[str, Any]) -> dict[str, Any]:
    """The observations, with the conditions under which this claim's was made."""
    return {**observations, **observations.get("conditions", {}).get(claim.id, {})}


def _not_comparable(claim: Claim, observations: Mapping[str, Any]) -> str:
    run = (observations.get("run.rows"), observations.get("run.epochs", FULL_EPOCHS))
    if claim.needs == "full" and run != (FULL_ROWS, FULL_EPOCHS):
        return f"needs {FULL_ROWS:,} rows and {FULL_EPOCHS} epochs"
    if claim.needs == "zookeeper" and not observations.get("run.zookeeper"):
        return "this Kafka has no ZooKeeper"
    return ""


def _each(observed: Any, expected: Any, near) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(expected)
            and all(map(near, observed, expected))
        )
    return near(observed, expected)


def format_verdicts(verdicts: list[Verdict]) -> str:
    """Return a list for a terminal: step, verdict and claim, then both values; then the reasons."""
    lines = ["step  verdict        claim", "-" * WIDTH]
    for verdict in verdicts:
        claim = verdict.claim
        lines += _wrap(f"{claim.step:>4}  {verdict.status_in_words:<13}  ", claim.text)
        seen = f"tutorial: {show(claim.tutorial)}; here: {show(verdict.observed)}"
        lines += _wrap(" " * 21, seen)
    return "\n".join([*lines, "", *_reasons(verdicts)])


def _wrap(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _reasons(verdicts: list[Verdict]) -> list[str]:
    """Return for each reason its lines, with the claims that it is given for."""
    claims: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.why:
            claims.setdefault(f"{verdict.status_in_words}, {verdict.why}", []).append(
                verdict.claim.id
            )
    return [line for why, ids in claims.items() for line in _wrap("", f"{why}: {', '.join(ids)}")]


def show(value: Any) -> str:
    """What was claimed or observed, in the words of a table; long lists are shortened."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"{show(value[:2])} ... {show(value[-1])}"
    if isinstance(value, list):
        return " ".join(map(show, value))
    if isinstance(value, float) and abs(value) >= 1:
        return f"{value:,.1f}"
    if isinstance(value, float):
        return f"{value:.4f}" if value else "0"
    return f"{value:,}" if isinstance(value, int) else str(value)


def show_tolerance(claim: Claim) -> str:
    """How far what is observed may be from the tutorial's, in words."""
    match claim.check:
        case "within":
            return f"\u00b1 {claim.tolerance:g}"
        case "between":
            return " to ".join(map(str, claim.bounds))
        case "equal":
            return "exactly"
    return "not judged"
