"""The report says what its sources say, in three forms; what is missing or damaged is named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from reproduction.report import machine
from reproduction.report.benchmarks import Host
from reproduction.report.errors import ReportError
from reproduction.report.evidence import count, gather, summary
from reproduction.report.sources import TestRun, read_sources
from reproduction.report.write import write_report
from tests.unit.reproduction.report_samples import (
    OBSERVATIONS,
    ODD,
    Page,
    fill,
    junit,
    seen_by_a_test,
)
from tfkafka.testing.claims import FAILS, HOLDS, KNOWN_FALSE, NOT_RUN

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """The reports folder after a report of everything."""
    artifacts, reports = fill(tmp_path_factory.mktemp("full"))
    write_report(artifacts, reports)
    return reports


@pytest.fixture
def page(full) -> Page:
    return Page((full / "index.html").read_text())


def by_id(evidence):
    return {found.claim.id: found for found in evidence}


def test_page_is_valid_and_stands_alone(full, page):
    assert page.faults == []
    html = (full / "index.html").read_text()
    assert not re.search(r"""src=|@import|url\((?!#)|<link""", html)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    # Accuracy, loss, the ROC curve, lag of both readers, time and memory, the former runs.
    assert html.count("<svg") == 2 + 1 + 2 + 2 + 2
    assert not re.search(r"<tbody>\s*</tbody>", html)


def test_each_form_says_which_records_made_a_model(full, page):
    said = " ".join("".join(page.text).split())
    for words in (said, (full / "report.md").read_text()):
        assert "0 to 59,999" in words
        assert "cluster-of-the-run" in words
        assert "none in this version of Kafka" in words
        assert "partition 7" not in words
    manifests = json.loads((full / "report.json").read_text())["manifests"]
    first = manifests["susy"]["ranges"][0]
    assert (first["partition"], first["start"], first["stop"]) == (0, 0, 60_000)


def test_page_escapes_what_it_was_given(full, page):
    assert ODD not in (full / "index.html").read_text()
    text = "".join(page.text)
    assert f"Read {ODD}" in text and f"--susy {ODD}" in text
    assert any(tip.startswith(f"{ODD}\nrecords/s: 10") for tip in page.tips)


# A formula that is none, a byte of a path, a colour of a terminal, a turn of the text, HTML on a
# line of its own, an entity, and text that is struck out.
HOSTILE = "$\\bad{$ \udc80 \x1b[31m \u202e a\n\n<script>x()</script>\n| b &lt; ~~c~~"
SHOWN = r"$\bad{$ \udc80 \x1b[31m \u202e a <script>x()</script> | b &lt; ~~c~~"


def test_names_that_are_syntax_elsewhere_are_shown_as_they_are(tmp_path):
    artifacts, reports = fill(tmp_path)
    for path in (artifacts / "observations-tfio.json", reports / "benchmarks.json"):
        path.write_text(path.read_text().replace(json.dumps(ODD)[1:-1], json.dumps(HOSTILE)[1:-1]))
    write_report(artifacts, reports)
    rendered = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    for html in (
        (reports / "index.html").read_text(),
        rendered.render((reports / "report.md").read_text()),
    ):
        assert "<script>x" not in html and "<s>" not in html
        found = Page(html)
        assert found.faults == []
        said = " ".join("".join(found.text).split())
        assert f"Read {SHOWN}" in said and f"--susy {SHOWN}" in said


def test_page_shows_evidence_floors_faults_and_no_name_of_the_machine(full, page):
    text = "".join(page.text)
    assert "one poll lasts as long as stream_timeout" in text
    assert "2 of 4 floors and limits held, 1 broken, 1 unknown" in text
    assert "0 lost, 0 twice" in text
    assert "Measured, but not shown here: test_it." in text
    assert "name-of-the-machine" not in text


def test_nothing_there_is_said_and_not_drawn(tmp_path):
    told = write_report(tmp_path / "none", tmp_path / "reports")
    assert "0 of the tutorial's" in told
    html = (tmp_path / "reports/index.html").read_text()
    assert Page(html).faults == []
    assert "<svg" not in html
    text = (tmp_path / "reports/report.md").read_text()
    for what in ("The tutorial", "Tests", "Delivery under faults", "Throughput"):
        assert f"<li>{what}: " in html and f"- {what}: " in text
    assert "## Delivery under faults" not in text


def test_markdown_keeps_its_tables(full):
    lines = (full / "report.md").read_text().splitlines()
    tables = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {3, 4, 6, 7, 8}
    assert r"\<b\>" in "".join(lines)


def test_json_has_all_of_it(full):
    data = json.loads((full / "report.json").read_text())
    (late,) = (claim for claim in data["claims"] if claim["id"] == "online.late_records")
    assert late["status"] == KNOWN_FALSE
    assert [(s["reader"], s["observed"]) for s in late["sightings"]] == [
        ("tfio", 0),
        ("tfkafka", 100),
    ]
    assert data["runs"]["tfio"]["run.seed"] == 1
    assert data["history"][0]["machine"] == "the machine before"
    assert data["benchmarks"]["comparisons"][0]["ratios"][1]["verdict"] == "below"
    assert [fault["faults"] for run in data["tests"] for fault in run["faults"]] == [7]


def test_files_are_written_whole(full):
    names = {"index.html", "report.md", "report.json"}
    assert {path.name for path in full.iterdir()} == names | {
        "benchmarks.json",
        "claims.json",
        "history.jsonl",
        "tests-faults.xml",
    }


def test_evidence_joins_the_run_and_the_tests():
    tests = [
        TestRun("tests", "", [seen_by_a_test("group.lost_after_kill", 99, run__reader="tfio")]),
        TestRun("tests-2", "", [seen_by_a_test("model.total_parameters", 1)]),
    ]
    found = by_id(gather([OBSERVATIONS], tests))
    lost = found["group.lost_after_kill"]
    first = lost.sightings[0]
    assert (lost.status, first.reader, first.where) == (KNOWN_FALSE, "tfio", "tests, Kafka 2.7.2")
    assert lost.of("tfkafka").status == NOT_RUN
    total = found["model.total_parameters"]
    assert [s.verdict.status for s in total.sightings] == [HOLDS, FAILS]
    assert total.status == FAILS, "the worst of what was seen"
    assert found["train.accuracy"].status == NOT_RUN
    assert found["train.accuracy"].sightings[0].verdict.observed == [0.7, 0.75]


def test_same_sight_is_told_once_with_all_who_had_it():
    seen = seen_by_a_test("topics.partitions", [1, 2])
    other = seen_by_a_test("topics.partitions", [1, 2], run__kafka="3.9.2")
    found = by_id(gather([], [TestRun("a", "", [seen, seen, other])]))["topics.partitions"]
    assert [s.where for s in found.sightings] == ["tests, Kafka 2.7.2; tests, Kafka 3.9.2"]


def test_counts_are_of_claims():
    counts = count(gather([OBSERVATIONS], []))
    assert (counts[HOLDS], counts[KNOWN_FALSE], counts[FAILS]) == (1, 1, 0)
    assert summary(gather([OBSERVATIONS], [])).startswith("2 of the tutorial's")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("artifacts/observations-tfio.json", "{"),
        ("artifacts/observations-tfkafka.json", "[]"),
        ("artifacts/susy.manifest.json", '{"format": "tfkafka manifest 1"}'),
        ("reports/benchmarks.json", "[]"),
        ("reports/benchmarks.json", '{"benchmarks": [{"extra_info": {"sides": {}}}]}'),
        ("reports/tests-faults.xml", junit({"what": "x"})),
        ("reports/tests.xml", "<testsuites>"),
        ("reports/claims.json", "{}"),
        ("reports/claims.json", '{"started": "", "observations": [{}]}'),
    ],
)
def test_damaged_source_is_named_and_nothing_is_written(tmp_path, name, text):
    fill(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(ReportError, match=f"{name}: is damaged"):
        write_report(tmp_path / "artifacts", tmp_path / "reports")
    assert not (tmp_path / "reports/index.html").exists()


def test_a_page_that_cannot_be_replaced_is_named(tmp_path):
    artifacts, reports = tmp_path / "artifacts", tmp_path / "reports"
    (reports / "index.html").mkdir(parents=True)
    with pytest.raises(
        ReportError, match=r"index\.html: cannot be written: Is a directory$"
    ) as seen:
        write_report(artifacts, reports)
    assert str(seen.value).count("cannot be written") == 1
    assert not list(reports.glob(".new-*"))


def test_command_says_where_the_report_is_or_what_is_wrong(tmp_path):
    artifacts, reports = tmp_path / "artifacts", tmp_path / "reports"
    artifacts.mkdir()
    (artifacts / "observations-tfio.json").write_text('{"run.reader": "tfio"}')
    command = [sys.executable, "-m", "reproduction.report", "--artifacts", str(artifacts)]
    done = subprocess.run(
        [*command, "--reports", str(reports)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert str(reports / "index.html") in done.stdout
    done = subprocess.run(
        [*command, "--reports", str(artifacts / "observations-tfio.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert str(artifacts / "observations-tfio.json") in done.stderr


def test_benchmarks_keep_what_was_measured(tmp_path):
    artifacts, reports = fill(tmp_path)
    read, memory, _ = read_sources(artifacts, reports).benchmarks.comparisons
    assert [side.share_of_ceiling for side in read.sides] == [0.8, None, None]
    assert (read.load, read.apart) == (1.5, {"first rebalance": 3.0})
    assert (read.ceiling, read.host) == ("bare loop", Host(2, False, 3.5))
    assert memory.sides[0].records_per_s is None


def test_machine_is_described():
    described = machine.describe()
    assert described["cores"] >= 1 and described["memory_gib"] > 0
    assert described["versions"]["matplotlib"][0].isdigit()


def test_stolen_time_is_the_eighth_figure(tmp_path, monkeypatch):
    stat = tmp_path / "stat"
    stat.write_text("cpu  1 2 3 4 5 6 7 800 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    monkeypatch.setattr(machine, "STAT", stat)
    monkeypatch.setattr(machine.os, "sysconf", lambda name: 100)
    assert machine.stolen_seconds() == 8.0
    stat.unlink()
    assert machine.stolen_seconds() == 0.0
