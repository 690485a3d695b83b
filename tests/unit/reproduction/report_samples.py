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
# What a page has of its own, and shows to nobody.
UNSEEN = {"style", "script", "title"}
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "summary": 3}

OBSERVATIONS: dict[str, Any] = {
    "run.reader": "tfio",
    "run.started": "2026-01-02 03:00:00 +0000",
    "run.stolen_s": 1.5,
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
    "train.epoch_seconds": 8.5,
    "online.late_records": 0,
    "evaluate.lag_over_time": {
        "seconds": [0.2, 0.4],
        "unseen": [100, 0],
        "partitions": {"0": [60, 0], "1": [40, 40]},
    },
    "predict.roc": {"auc": 0.87, "false_positive": [0, 0.5, 1], "true_positive": [0, 0.9, 1]},
}

# The same with the other reader, to which the late records come.
OTHERS = OBSERVATIONS | {
    "run.reader": "tfkafka",
    "run.started": "2026-01-02 04:00:00 +0000",
    "online.late_records": 100,
    "train.epoch_seconds": 2.25,
}
# A run on another machine, of which only this is left.
FORMER = {
    "kind": "tutorial",
    "when": "2026-01-01 03:00:00 +0000",
    "conditions": "tensorflow-io, Kafka 3.9.2, 10,000 rows, 2 epochs",
    "machine": "the machine before",
    "commit": "0123456789abcdef",
    "stolen_s": 0.75,
    "values": {"seconds an epoch": {"tensorflow-io, 10,000 rows": 9.5}},
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


def junit(fault: dict[str, Any]) -> str:
    from xml.sax.saxutils import quoteattr

    return (
        '<testsuites><testsuite name="pytest" timestamp="2026-01-02T03:04:05.6">'
        '<testcase name="test_x[3.9.2]" file="">'
        f'<properties><property name="fault" value={quoteattr(json.dumps(fault))}/></properties>'
        "</testcase></testsuite></testsuites>"
    )


SEEN_BY = "tests/integration/tutorial/test_topics.py::test_message_counts[3.9.2-tfio]"


def claims_json(observed: dict[str, Any], test: str = SEEN_BY) -> str:
    """Return what a test leaves that observed these claims."""
    conditions = {"reader": "tfkafka", "rows": 10_000, "kafka": "2.7.2"}
    rows = [
        {"claim": claim, "observed": value, "conditions": conditions, "test": test}
        for claim, value in observed.items()
    ]
    return json.dumps({"started": "2026-01-02 03:04:05", "observations": rows})


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
    (artifacts / "observations-tfio.json").write_text(json.dumps(OBSERVATIONS))
    (artifacts / "observations-tfkafka.json").write_text(json.dumps(OTHERS))
    (reports / "history.jsonl").write_text(json.dumps(FORMER) + "\n")
    (artifacts / "susy.manifest.json").write_text(json.dumps(MANIFEST.to_json()))
    (reports / "benchmarks.json").write_text(json.dumps(BENCHMARKS))
    (reports / "tests-faults.xml").write_text(junit(FAULT))
    seen = {"online.late_records": 100, "group.lost_after_kill": 0}
    (reports / "claims.json").write_text(claims_json(seen))
    return artifacts, reports


class Page(HTMLParser):
    """Reads a page strictly.

    `faults` names what is not closed, closed twice or of the same id, and headings without
    anything below them. `rows` has the cells of all tables, `tips` what is shown where somebody
    points at something, `text` what can be read.
    """

    def __init__(self, html: str):
        super().__init__()
        self.faults: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.tips: list[str] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self._empty: list[tuple[int, str]] = []
        self.feed(html)
        self.close()
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        self.faults += [f"{tag} is not closed" for tag in self._open]
        self.faults += [f"nothing below {name}" for _, name in self._empty]

    def row(self, *texts: str) -> list[str]:
        """The one row of a table that has all these cells."""
        (found,) = (row for row in self.rows if set(texts) <= set(row))
        return found

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "svg":
            self._empty.clear()
        if tag in HEADINGS:
            level = HEADINGS[tag]
            self.faults += [
                f"nothing below {name}" for other, name in self._empty if other >= level
            ]
            self._empty = [(other, name) for other, name in self._empty if other < level]
            self._empty.append((level, ""))

    def handle_startendtag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" and value in self.ids:
                self.faults.append(f"id {value} twice")
            if name == "id":
                self.ids.add(value)
            if name in ("href", "src"):
                self.links.append(value)
            if name == "title":
                self.tips.append(value)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"{tag} is closed out of order")

    def handle_data(self, data):
        if self._open and self._open[-1] == "title" and "svg" in self._open:
            self.tips.append(data)
        if self._open and self._open[-1] in UNSEEN:
            return
        self.text.append(data)
        if self.rows and "tr" in self._open:
            self.rows[-1][-1:] = [f"{cell}{data}" for cell in self.rows[-1][-1:]]
        if any(tag in HEADINGS for tag in self._open):
            self._empty[-1] = (self._empty[-1][0], f"{self._empty[-1][1]}{data}")
        elif data.strip():
            self._empty.clear()
