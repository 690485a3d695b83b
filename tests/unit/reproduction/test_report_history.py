"""Results of former runs: each is kept once, in a file that is whole or reported, and drawn."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from reproduction.report import figures
from reproduction.report.errors import ReportError
from reproduction.report.history import BENCHMARKS, TUTORIAL, Result, remember
from reproduction.report.sources import Sources, read_sources
from reproduction.report.write import write_report
from tests.unit.reproduction.report_samples import FORMER, OBSERVATIONS, OTHERS, Page, fill

WRITERS = 6


def run_at(minute: int) -> Sources:
    started = {"run.started": f"2026-01-02 03:{minute:02}:00 +0000"}
    return Sources(runs={"tfio": OBSERVATIONS | started})


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_are_kept_with_machine_and_stolen_time(tmp_path):
    artifacts, reports = fill(tmp_path)
    path = reports / "history.jsonl"
    results = remember(path, read_sources(artifacts, reports))
    assert [asdict(result) for result in results] == lines(path)
    former, tfio, tfkafka, benchmarks = results
    assert asdict(former) == FORMER
    assert tfio.values["seconds an epoch"] == {"tensorflow-io, 10,000 rows": 8.5}
    assert tfkafka.values["seconds an epoch"] == {"tfkafka, 10,000 rows": 2.25}
    assert (tfio.stolen_s, tfio.commit) == (1.5, "abc")
    assert tfio.machine.endswith(", 2 cores")
    assert (benchmarks.kind, benchmarks.stolen_s) == (BENCHMARKS, 3.5)
    headrooms = [value for each in benchmarks.values.values() for value in each.values()]
    assert headrooms == pytest.approx([0.8 / 0.5, 80 / 90, 1 / 0.9, 2.0])


def test_a_run_is_kept_once_and_a_failed_one_not(tmp_path):
    path = tmp_path / "history.jsonl"
    assert len(remember(path, run_at(1))) == 1
    assert len(remember(path, run_at(1))) == 1
    assert len(remember(path, run_at(2))) == 2
    failed = OBSERVATIONS | {"run.started": "later", "run.failed": "06_train.py"}
    assert len(remember(path, Sources(runs={"tfio": failed}))) == 2
    # Scripts that somebody ran alone are no run of the tutorial.
    alone = {name: value for name, value in OBSERVATIONS.items() if name != "run.started"}
    assert len(remember(path, Sources(runs={"tfio": alone}))) == 2
    assert len(lines(path)) == 2


def test_what_is_killed_while_it_writes_leaves_the_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "history.jsonl"
    remember(path, run_at(1))
    before = path.read_text()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        remember(path, run_at(2))
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_reports_that_are_written_at_once_lose_no_run(tmp_path):
    path = tmp_path / "history.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=remember, args=(path, run_at(minute))) for minute in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len({line["when"] for line in lines(path)}) == WRITERS


@pytest.mark.parametrize(
    "damage",
    [
        '{"kind": "tuto',
        "[]",
        "{}",
        json.dumps(FORMER | {"stolen_s": "much"}),
        json.dumps(FORMER | {"values": {"x": 1}}),
        json.dumps(FORMER | {"when": 5}),
    ],
)
def test_a_damaged_line_is_named(tmp_path, damage):
    path = tmp_path / "history.jsonl"
    path.write_text(f"{json.dumps(FORMER)}\n{damage}\n")
    with pytest.raises(ReportError, match=r"history\.jsonl, line 2: is damaged .*delete this line"):
        remember(path, run_at(1))
    assert path.read_text() == f"{json.dumps(FORMER)}\n{damage}\n"


def test_a_damaged_history_is_one_line_of_a_report_that_is_there(tmp_path):
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "history.jsonl").write_text('{"kind": "tuto')
    told = write_report(tmp_path / "artifacts", reports)
    (line,) = (line for line in told.splitlines() if "is damaged" in line)
    assert line.startswith(f"{reports / 'history.jsonl'}, line 1: ")
    found = Page((reports / "index.html").read_text())
    assert found.faults == []
    assert line in "".join(found.text)
    assert "is damaged" in (reports / "report.md").read_text()


def test_a_file_that_is_no_text_or_no_file_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"\xff\n")
    with pytest.raises(ReportError, match=r"history\.jsonl: is damaged .*: delete it$"):
        remember(path, run_at(1))
    path.unlink()
    path.mkdir()
    with pytest.raises(ReportError, match=r"history\.jsonl: Is a directory$"):
        remember(path, run_at(1))


def test_an_end_without_a_line_end_does_no_harm(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(FORMER))
    remember(path, run_at(1))
    assert len(lines(path)) == 2


def result(when: str, machine: str = "one", **values: float) -> Result:
    of = {"test accuracy": values}
    return Result(TUTORIAL, when, "tensorflow-io", machine, "abc", 1.25, of)


def test_former_runs_are_drawn_with_machine_and_stolen_time():
    results = [
        result("2026-01-02 03:04:05", tfio=0.5),
        result("2026-01-03 03:04:05", "another", tfio=0.75),
        replace(result("x"), kind=BENCHMARKS),
    ]
    found = figures.history(results, TUTORIAL)
    assert "Measured on A: one; B: another." in found.caption
    accuracy, stolen = found.drawings
    tip = "2026-01-03 03:04:05, another, 1.25 s stolen\ntfio: 0.7500"
    assert f"<title>{tip}</title>" in accuracy
    assert ">01-02 03:04<" in accuracy and ">A<" in accuracy and ">B<" in accuracy
    assert "CPU seconds that the host took (stolen)" in stolen
    assert stolen.count("\nstolen: 1.2</title>") == 2


def test_a_single_run_is_no_history():
    assert figures.history([], TUTORIAL) is None
    assert figures.history([result("1", tfio=0.5)], TUTORIAL) is None
    assert figures.history([result("1", tfio=0.5), result("2", tfkafka=0.5)], TUTORIAL) is None


def test_runs_stand_in_the_order_of_their_time():
    results = [result(f"2026-01-0{day} 03:04:05", tfio=day) for day in (3, 1, 2)]
    first, _ = figures.history(results, TUTORIAL).drawings
    days = [first.index(f">01-0{day} 03:04<") for day in (1, 2, 3)]
    assert days == sorted(days)


def test_each_reader_has_a_line_of_its_own(tmp_path):
    path = tmp_path / "history.jsonl"
    for minute in (1, 2):
        started = {"run.started": f"2026-01-02 03:{minute:02}:00 +0000"}
        runs = {"tfio": OBSERVATIONS | started, "tfkafka": OTHERS | started}
        results = remember(path, Sources(runs=runs))
    seconds, _ = figures.history(results, TUTORIAL).drawings
    assert "tensorflow-io, 10,000 rows: 8.5" in seconds
    assert "tfkafka, 10,000 rows: 2.2" in seconds
