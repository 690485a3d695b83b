"""Claims of a paper, a tutorial or a README in a file, and what was observed held against them.

The pytest fixture `kafka_observe` records observations; docs/testing.md describes the file.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tfkafka._util import arguments
from tfkafka._util.files import write_whole

HOLDS, FAILS, KNOWN_FALSE = "holds", "DOES NOT HOLD", "is false"
SHOWN, NOT_RUN, NOT_COMPARED = "shown", "not run", "not compared"
WORST_FIRST = (FAILS, KNOWN_FALSE, HOLDS, SHOWN, NOT_RUN)
LONGEST_LIST = 6
# What observations are compared with; a check that is not here needs `expected`.
WITHOUT_EXPECTED = ("between", "shown")
CHECKS = ("equal", "within", *WITHOUT_EXPECTED)


@dataclass(frozen=True)
class Claim:
    """One number or statement that is to be reproduced.

    Attributes:
        id: its name, unique in the file.
        text: what is claimed, in words.
        expected: a number, a text, a boolean or a list: the claim's own value.
        check: "equal": the same; "within": each number no further from `expected` than
            `tolerance`; "between": each number inside `bounds`; "shown": not judged.
        tolerance: a number in the unit of `expected`.
        bounds: the lowest and the highest number that bear the claim out.
        source: who claims it, such as a title or an address.
        page: where in the source: a page, a step or a table, as a number or in words.
        needs: conditions without which an observation is not comparable.
        known_false: conditions under which the claim is known not to hold, each with a `why`.
        test: the test that observes it, such as tests/test_speed.py::test_it.
    """

    id: str
    text: str
    expected: Any = None
    check: str = "equal"
    tolerance: float | None = None
    bounds: Sequence[float] | None = None
    source: str = ""
    page: int | str = ""
    needs: Mapping[str, Any] = field(default_factory=dict)
    known_false: Sequence[Mapping[str, Any]] = ()
    test: str = ""

    def mismatch(self, observed: Any) -> str:
        """Return what `observed` would have to be, where it cannot be compared; else ""."""
        if self.check == "shown":
            return ""
        if self.check == "equal":
            wanted = _kind(self.expected)
            return "" if _kind(observed) == wanted else wanted
        is_list = isinstance(observed, list)
        numeric = all(map(_is_number, observed if is_list else [observed])) and observed != []
        if self.check == "between":
            return "" if numeric else "a number or a list of numbers"
        wanted_list = isinstance(self.expected, list)
        fits = numeric and is_list == wanted_list
        return "" if fits else "a list of numbers" if wanted_list else "a number"

    def accepts(self, observed: Any) -> bool:
        """Whether what was observed bears the claim out; claims only shown accept anything."""
        if self.mismatch(observed):
            return False
        numbers = observed if isinstance(observed, list) else [observed]
        match self.check, self.tolerance, self.bounds:
            case "within", float() | int() as tolerance, _:
                expected = self.expected if isinstance(self.expected, list) else [self.expected]
                return len(numbers) == len(expected) and all(
                    abs(number - near) <= tolerance
                    for number, near in zip(numbers, expected, strict=True)
                )
            case "between", _, [low, high]:
                return all(low <= number <= high for number in numbers)
            case "equal", _, _:
                return bool(observed == self.expected)
        return True

    @property
    def wanted(self) -> str:
        """What bears it out, such as "0.79 \u00b1 0.02" or "1.5 to 3"."""
        if self.check == "between":
            return show_tolerance(self)
        return str(self.expected) + (f" {show_tolerance(self)}" if self.check == "within" else "")


@dataclass(frozen=True)
class Verdict:
    """A claim, what was seen, and whether it holds; `why` explains what was not judged."""

    claim: Claim
    observed: Any
    status: str
    why: str = ""

    @property
    def status_in_words(self) -> str:
        """The status; "not compared" where something was seen that cannot be judged."""
        seen = self.status == NOT_RUN and self.observed is not None
        return NOT_COMPARED if seen else self.status


@dataclass(frozen=True)
class Observation:
    """What a test saw of a claim.

    Attributes:
        claim: the claim's id.
        observed: a number, a text, a boolean or a list of these.
        conditions: what the test said about how it was observed, such as {"rows": 1000}.
        test: pytest's name of the test, with its parameters.
    """

    claim: str
    observed: Any
    conditions: Mapping[str, Any]
    test: str


def read_claims(path: str | Path) -> list[Claim]:
    """Return the claims of a file, in its order.

    Raises:
        ValueError: it cannot be read, or it is wrong: says where and what.
    """
    path = arguments.path("path", path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the path {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: is no TOML in UTF-8: {error}") from error
    try:
        return _claims(table)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def judge(claim: Claim, observed: Any, conditions: Mapping[str, Any]) -> Verdict:
    """Hold what was observed under these conditions against a claim."""
    if why := _not_comparable(claim, conditions):
        return Verdict(claim, observed, NOT_RUN, why)
    if claim.check == "shown":
        return Verdict(claim, observed, SHOWN)
    if claim.accepts(observed):
        return Verdict(claim, observed, HOLDS)
    for known in claim.known_false:
        if not _lacking({n: v for n, v in known.items() if n != "why"}, conditions):
            return Verdict(claim, observed, KNOWN_FALSE, known["why"])
    return Verdict(claim, observed, FAILS)


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of several verdicts' statuses, of which there is at least one."""
    return min(statuses, key=WORST_FIRST.index)


def write_observations(
    path: Path, started: str, seen: Sequence[tuple[Observation, Verdict]], not_checked: list[str]
) -> None:
    """Write observations with their verdicts, and the claims without any. Raises OSError."""
    rows = [asdict(each) | {"status": verdict.status_in_words} for each, verdict in seen]
    file = {"started": started, "observations": rows, "not_checked": not_checked}
    text = json.dumps(file, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text + "\n")


def parse_observations(text: str) -> tuple[str, list[Observation]]:
    """Return when a run of pytest began, and what it observed.

    Raises:
        ValueError, KeyError or TypeError: this is no file that `--kafka-observations` wrote.
    """
    file = json.loads(text)
    names = [each.name for each in fields(Observation)]
    rows = [Observation(**{name: row[name] for name in names}) for row in file["observations"]]
    return str(file["started"]), rows


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
    """How far what is observed may be from what is expected, in words."""
    match claim.check, claim.tolerance, claim.bounds:
        case "within", tolerance, _:
            return f"\u00b1 {tolerance:g}"
        case "between", _, [low, high]:
            return f"{low} to {high}"
        case "equal", _, _:
            return "exactly"
    return "not judged"


def _not_comparable(claim: Claim, conditions: Mapping[str, Any]) -> str:
    if not _lacking(claim.needs, conditions):
        return ""
    return "needs " + " and ".join(f"{name} = {show(value)}" for name, value in claim.needs.items())


def _lacking(needs: Mapping[str, Any], conditions: Mapping[str, Any]) -> bool:
    return any(conditions.get(name) != value for name, value in needs.items())


def _claims(table: Mapping[str, Any]) -> list[Claim]:
    source, rows = table.get("source", ""), table.get("claim")
    if unknown := table.keys() - {"source", "claim"}:
        raise ValueError(f"{min(unknown)!r} is unknown: there may be source, and [[claim]]s")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("has no claim: each begins with [[claim]]")
    claims: dict[str, Claim] = {}
    for number, row in enumerate(rows, 1):
        claim = _claim({"source": source} | row, f"claim {row.get('id', number)}")
        if claim.id in claims:
            raise ValueError(f"claim {claim.id}: there are two with this id")
        claims[claim.id] = claim
    return list(claims.values())


def _claim(row: dict[str, Any], name: str) -> Claim:
    known = [each.name for each in fields(Claim)]
    if unknown := row.keys() - set(known):
        raise ValueError(f"{name}: {min(unknown)!r} is unknown: there are {', '.join(known)}")
    for key, (is_right, wanted) in _FIELDS.items():
        if key in row and not is_right(row[key]):
            raise ValueError(f"{name}: {key} = {row[key]!r}: must be {wanted}")
    check = row.get("check", "equal")
    needed = {"within": ["tolerance"], "between": ["bounds"]}.get(check, [])
    needed += [] if check in WITHOUT_EXPECTED else ["expected"]
    for key in ("id", "text", *needed):
        if key not in row:
            raise ValueError(f"{name}: has no {key}" + (f", for {check!r}" * (key in needed)))
    claim = Claim(**row)
    if check == "within" and not claim.accepts(claim.expected):
        raise ValueError(f"{name}: expected = {claim.expected!r}: must be numbers, for 'within'")
    return claim


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_value, value))
    return isinstance(value, str | int | float)


def _is_reason(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("why"))


def _is_bounds(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return numbers and value[0] <= value[1]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if _is_number(value):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a number, a text or a list"


_TEXT: tuple[Callable[[Any], bool], str] = (_is_text, "a text that is not empty")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": _TEXT,
    "text": _TEXT,
    "expected": (_is_value, "a number, a text, a boolean or a list of these"),
    "check": (CHECKS.__contains__, f"one of {', '.join(CHECKS)}"),
    "tolerance": (lambda value: _is_number(value) and value >= 0, "a number from 0"),
    "bounds": (_is_bounds, "two numbers, the lower one first"),
    "source": (lambda value: isinstance(value, str), "a text"),
    "page": (lambda value: _is_text(value) or _is_number(value), "a number or a text"),
    "needs": (lambda value: isinstance(value, dict), "conditions, such as needs.rows = 1000"),
    "known_false": (
        lambda value: isinstance(value, list) and all(map(_is_reason, value)),
        "tables [[claim.known_false]], each with a why",
    ),
    "test": _TEXT,
}
