"""What a report is made of: the files that the tutorial, the tests and the benchmarks leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from reproduction.claims import RUN
from reproduction.files import MANIFEST
from reproduction.observe import observations_path
from reproduction.readers import NAMES
from reproduction.report.benchmarks import Benchmarks, parse_benchmarks
from reproduction.report.errors import ReportError
from tfkafka.reading.manifest import Manifest
from tfkafka.testing.claims import parse_observations

TEST_NAME = "run.test"
"""Says of what a test saw of a claim which test it was, such as tests/test_x.py::test_y."""
FAULT_PROPERTY = "fault"
"""Name of the property for a fault that a test injected: the fields of `Fault`, as JSON."""


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
    """One file of a run of pytest.

    Either what it saw of claims, each as `judge_claim` takes it, or the faults that it injected.
    """

    __test__ = False  # not a class of tests
    name: str
    started: str
    observations: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Everything; what is missing is empty or None.

    `runs` has for each reader what the tutorial's scripts observed with it, `manifests` for each
    model's file name which records made it.
    """

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: list[TestRun] = field(default_factory=list)
    benchmarks: Benchmarks | None = None
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def faults(self) -> list[Fault]:
        return [fault for run in self.tests for fault in run.faults]


def read_sources(artifacts: Path, reports: Path) -> Sources:
    """What is there of it. Raises ReportError, naming the file, for one that is damaged."""
    tests = [
        _read(path, lambda text, parse=parse, name=path.stem: parse(name, text), "make test")
        for pattern, parse in (("claims*.json", _claims), ("tests*.xml", _test_run))
        for path in sorted(reports.glob(pattern))
    ]
    return Sources(
        _runs(artifacts),
        tests,
        _read(reports / "benchmarks.json", _benchmarks, "make bench"),
        {
            path.name.removesuffix(MANIFEST): _read(path, _manifest, "make reproduce")
            for path in sorted(artifacts.glob(f"*{MANIFEST}"))
        },
    )


def _runs(artifacts: Path) -> dict[str, dict[str, Any]]:
    """What was observed by reader; of no reader only where scripts have got no further."""
    found = {
        reader: _read(observations_path(artifacts, reader), _observations, "make reproduce")
        for reader in ("", *NAMES)
    }
    runs = {reader: observations for reader, observations in found.items() if observations}
    if len(runs) > 1:
        runs.pop("", None)
    return runs


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
    found = [entry for entry in tree.iter("property") if entry.get("name") == FAULT_PROPERTY]
    faults = [Fault(**json.loads(entry.attrib["value"])) for entry in found]
    return TestRun(name, started, faults=faults)


def _claims(name: str, text: str) -> TestRun:
    started, observations = parse_observations(text)
    seen = [
        {
            **{RUN + condition: value for condition, value in each.conditions.items()},
            each.claim: each.observed,
            # Without its parameters.
            TEST_NAME: each.test.partition("[")[0],
        }
        for each in observations
    ]
    return TestRun(name, started, seen)


def _observations(text: str) -> dict[str, Any]:
    observations = json.loads(text)
    if not isinstance(observations, dict):
        raise TypeError("no JSON object")
    return observations


def _manifest(text: str) -> dict[str, Any]:
    return Manifest.of(json.loads(text)).to_json()


def _benchmarks(text: str) -> Benchmarks:
    return parse_benchmarks(json.loads(text))
