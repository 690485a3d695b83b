"""A report's sources as scripts, tests and benchmarks write them, small and with odd characters."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from tfkafka.chunk import OffsetRange
from tfkafka.reading.manifest import Manifest
from tfkafka.reading.ranges import Identity

ODD = "<b>&\"'|`x"
VOID = {"meta", "br"}

OBSERVATIONS: dict[str, Any] = {
    "run.reader": "tfio",
    "run.rows": 10_000,
    "run.epochs": 2,
    "run.kafka": "3.9.2",
    "run.seed": 1,
    "run.command": f"python scripts/run_tutorial.py --susy {ODD}",
    "run.machine": {
        "cpu": ODD,
        "cores": 2,
        "memory_gib": 8.0,
        "system": "Linux",
        "commit": "abc",
        "versions": {"Python": "3.11.7"},
    },
    "model.total_parameters": 68_481,
    "train.accuracy": [0.7, 0.75],
    "train.loss": [0.6, 0.5],
    "online.late_records": 0,
    "evaluate.lag_over_time": {
        "seconds": [0.2, 0.4],
        "unseen": [100, 0],
        "partitions": {"0": [60, 0], "1": [40, 40]},
    },
    "predict.roc": {"auc": 0.87, "false_positive": [0, 0.5, 1], "true_positive": [0, 0.9, 1]},
}


def side(kind: str, records_per_s: float, **more: float) -> dict[str, Any]:
    return {"kind": kind, "records_per_s": records_per_s, "wall_s": 1.0, "stolen_s": 0.25, **more}


def ratio(to: str, median: float, floor: float, verdict: str) -> dict[str, Any]:
    rounds = [median * 0.9, median, median * 1.1]
    return {
        "of": "tfkafka",
        "to": to,
        "median": median,
        "rounds": rounds,
        "floor": floor,
        "verdict": verdict,
    }


def benchmark(**extra: Any) -> dict[str, Any]:
    return {"name": "test_it", "extra_info": extra}


BENCHMARKS: dict[str, Any] = {
    "datetime": "2026-01-02T03:04:05.678+00:00",
    "machine_info": {
        "node": "name-of-the-machine",
        "system": "Linux",
        "python_version": "3.11.7",
        "cpu": {"brand_raw": "some CPU", "count": 2},
    },
    "commit_info": {"id": "abc", "dirty": True},
    "benchmarks": [
        benchmark(
            step="read",
            title=f"Read {ODD}",
            records=1000,
            bytes=300_000,
            sides={
                "tfkafka": side("subject", 800.0, peak_mib=400.0, share_of_ceiling=0.8),
                ODD: side("alternative", 10.0),
                "bare loop": side("ceiling", 1000.0),
            },
            ratios=[
                ratio("bare loop", 0.8, 0.5, "holds"),
                ratio(ODD, 80.0, 90.0, "below"),
                ratio("x", 1.0, 0.9, "unknown"),
            ],
            apart={"first rebalance": 3.0},
            disturbed_rounds=2,
            load=1.5,
            ceiling="bare loop",
            is_undisturbed=False,
            stolen_s=3.5,
            limits=[
                {
                    "what": "seconds to the first",
                    "unit": "s",
                    "median": 1.0,
                    "rounds": [1.0],
                    "most": 2.0,
                    "verdict": "holds",
                    "goal": 0.5,
                }
            ],
        ),
        benchmark(
            step="memory",
            title="Memory",
            records=1000,
            ratios=[],
            sides={"tfkafka": {"kind": "subject", "peak_mib": 1.0}},
        ),
        benchmark(
            step="start-up",
            title="Import",
            records=0,
            ratios=[],
            sides={},
            apart={"start-up, tfkafka": 0.25},
        ),
        benchmark(
            scaling="records",
            step="read",
            title="Read",
            points=[{"x": 600, "wall_s": 2.0, "peak_mib": 5.0}, {"x": 60, "wall_s": 0.2}],
        ),
        benchmark(scaling="batch", step="read", title="Read", points=[{"x": 1, "wall_s": 1.0}]),
        benchmark(),
    ],
}

FAULT = {
    "what": ODD,
    "faults": 7,
    "proof": "by id",
    "lost": 0,
    "duplicated": None,
    "verdict": "holds",
}


def seen_by_a_test(claim: str, observed: Any, **facts: Any) -> dict[str, Any]:
    return {"run.reader": "tfkafka", "run.rows": 10_000, "run.kafka": "2.7.2", claim: observed} | {
        name.replace("__", "."): value for name, value in facts.items()
    }


def junit(*observations: dict[str, Any], name: str = "claim") -> str:
    from xml.sax.saxutils import quoteattr

    properties = "".join(
        f'<property name="{name}" value={quoteattr(json.dumps(seen))}/>' for seen in observations
    )
    return (
        '<testsuites><testsuite name="pytest" timestamp="2026-01-02T03:04:05.6">'
        f'<testcase name="x"><properties>{properties}</properties></testcase>'
        "</testsuite></testsuites>"
    )


MANIFEST = Manifest(
    servers="h:1",
    identity=Identity(ODD, "cluster-of-the-run", None),
    ranges=(OffsetRange(ODD, 0, 0, 60_000), OffsetRange(ODD, 7, 0, 0)),
    order="some order",
    isolation_level="read_committed",
)


def fill(folder: Path) -> tuple[Path, Path]:
    """(artifacts, reports) with everything in them."""
    artifacts, reports = folder / "artifacts", folder / "reports"
    artifacts.mkdir()
    reports.mkdir()
    (artifacts / "observations.json").write_text(json.dumps(OBSERVATIONS))
    (artifacts / "susy.manifest.json").write_text(json.dumps(MANIFEST.to_json()))
    (reports / "benchmarks.json").write_text(json.dumps(BENCHMARKS))
    (reports / "tests-faults.xml").write_text(junit(FAULT, name="fault"))
    seen = seen_by_a_test("online.late_records", 100), seen_by_a_test("group.lost_after_kill", 0)
    (reports / "tests.xml").write_text(junit(*seen))
    return artifacts, reports


class Page(HTMLParser):
    """Reads a page strictly: `faults` names what is not closed, closed twice or of the same id."""

    def __init__(self, html: str):
        super().__init__()
        self.faults: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" and value in self.ids:
                self.faults.append(f"id {value} twice")
            if name == "id":
                self.ids.add(value)
            if name in ("href", "src"):
                self.links.append(value)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"{tag} is closed out of order")

    def handle_data(self, data):
        self.text.append(data)
