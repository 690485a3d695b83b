"""What a report is made of: the files that the tutorial, the tests and the benchmarks leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from reproduction.report.benchmarks import Benchmarks, parse_benchmarks
from reproduction.report.errors import ReportError

CLAIM_PROPERTY = "claim"
"""Name of the property under which a test's JUnit entry says what it saw of a claim."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault, what was done to prove the delivery, and what was lost or came twice."""

    what: str
    faults: int
    proof: str
    lost: int
    duplicated: int
    verdict: str


@dataclass(frozen=True)
class TestRun:
    """One run of pytest: when, and each observation of a claim as `judge_claim` takes it."""

    __test__ = False  # not a class of tests
    name: str
    started: str
    observations: list[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """Everything; what is missing is empty or None."""

    observations: dict[str, Any] = field(default_factory=dict)
    tests: list[TestRun] = field(default_factory=list)
    benchmarks: Benchmarks | None = None
    faults: list[Fault] = field(default_factory=list)


def read_sources(artifacts: Path, reports: Path) -> Sources:
    """What is there of it. Raises ReportError, naming the file, for one that is damaged."""
    found = [
        _read(path, lambda text, name=path.stem: _test_run(name, text), "make test")
        for path in sorted(reports.glob("tests*.xml"))
    ]
    return Sources(
        _read(artifacts / "observations.json", json.loads, "make reproduce") or {},
        [run for run in found if run],
        _read(reports / "benchmarks.json", _benchmarks, "make bench"),
        _read(reports / "faults.json", _faults, "make test") or [],
    )


def _read(path: Path, parse: Callable[[str], Any], maker: str) -> Any:
    """The parsed file; None where there is none."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, ElementTree.ParseError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ReportError(f"{path}: is damaged ({reason}): delete it, then {maker}") from error


def _test_run(name: str, text: str) -> TestRun | None:
    """None where no test saw a claim."""
    tree = ElementTree.fromstring(text)
    suite = tree.find(".//testsuite")
    observations = [
        json.loads(found.attrib["value"])
        for found in tree.iter("property")
        if found.get("name") == CLAIM_PROPERTY
    ]
    started = suite.get("timestamp", "")[:19].replace("T", " ") if suite is not None else ""
    return TestRun(name, started, observations) if observations else None


def _benchmarks(text: str) -> Benchmarks:
    return parse_benchmarks(json.loads(text))


def _faults(text: str) -> list[Fault]:
    names = Fault.__dataclass_fields__
    return [Fault(**{name: row[name] for name in names}) for row in json.loads(text)["rows"]]
