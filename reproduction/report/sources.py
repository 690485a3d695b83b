"""What a report is made of: the files that the tutorial, the tests and the benchmarks leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from reproduction.files import MANIFEST
from reproduction.report.benchmarks import Benchmarks, parse_benchmarks
from reproduction.report.errors import ReportError
from tfkafka.reading.manifest import Manifest

CLAIM_PROPERTY = "claim"
"""Name of the property under which a test's JUnit entry says what it saw of a claim."""
FAULT_PROPERTY = "fault"
"""The same for a fault that it injected: the fields of `Fault`, as JSON."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault, what shows that it bit, and what was lost or came twice.

    `lost` and `duplicated` count records, and are None where something else was judged.
    """

    what: str
    faults: int
    proof: str
    lost: int | None
    duplicated: int | None
    verdict: str


@dataclass(frozen=True)
class TestRun:
    """One run of pytest: when, what it saw of claims as `judge_claim` takes it, and its faults."""

    __test__ = False  # not a class of tests
    name: str
    started: str
    observations: list[dict[str, Any]]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Everything; what is missing is empty or None.

    `manifests` has for each model's file name which records made it.
    """

    observations: dict[str, Any] = field(default_factory=dict)
    tests: list[TestRun] = field(default_factory=list)
    benchmarks: Benchmarks | None = None
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def faults(self) -> list[Fault]:
        return [fault for run in self.tests for fault in run.faults]


def read_sources(artifacts: Path, reports: Path) -> Sources:
    """What is there of it. Raises ReportError, naming the file, for one that is damaged."""
    runs = [
        _read(path, lambda text, name=path.stem: _test_run(name, text), "make test")
        for path in sorted(reports.glob("tests*.xml"))
    ]
    return Sources(
        _read(artifacts / "observations.json", json.loads, "make reproduce") or {},
        runs,
        _read(reports / "benchmarks.json", _benchmarks, "make bench"),
        {
            path.name.removesuffix(MANIFEST): _read(path, _manifest, "make reproduce")
            for path in sorted(artifacts.glob(f"*{MANIFEST}"))
        },
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


def _test_run(name: str, text: str) -> TestRun:
    tree = ElementTree.fromstring(text)
    suite = tree.find(".//testsuite")
    started = suite.get("timestamp", "")[:19].replace("T", " ") if suite is not None else ""
    faults = [Fault(**row) for row in _properties(tree, FAULT_PROPERTY)]
    return TestRun(name, started, _properties(tree, CLAIM_PROPERTY), faults)


def _properties(tree: ElementTree.Element, name: str) -> list[dict[str, Any]]:
    found = [entry for entry in tree.iter("property") if entry.get("name") == name]
    return [json.loads(entry.attrib["value"]) for entry in found]


def _manifest(text: str) -> dict[str, Any]:
    return Manifest.of(json.loads(text)).to_json()


def _benchmarks(text: str) -> Benchmarks:
    return parse_benchmarks(json.loads(text))
