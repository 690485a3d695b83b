"""The results of this run and of those before it, a line of JSON each in `history.jsonl`."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reproduction import readers
from reproduction.files import write_whole
from reproduction.report import facts
from reproduction.report.benchmarks import Benchmarks
from reproduction.report.errors import ReportError
from reproduction.report.sources import Sources

TUTORIAL, BENCHMARKS = "tutorial", "benchmarks"
# What is drawn of each run of the tutorial, and where it was observed.
FIGURES = {
    "seconds an epoch": "train.epoch_seconds",
    "seconds of the evaluation": "evaluate.seconds",
    "test accuracy": "evaluate.accuracy",
    "area under the ROC curve": "predict.auc",
}


@dataclass(frozen=True)
class Result:
    """One run of the tutorial or of the benchmarks.

    Attributes:
        kind: TUTORIAL or BENCHMARKS.
        conditions: what it can be compared by: reader, Kafka, rows, epochs.
        stolen_s: CPU seconds that the host took from the machine meanwhile.
        values: panel -> line -> number.
    """

    kind: str
    when: str
    conditions: str
    machine: str
    commit: str
    stolen_s: float
    values: dict[str, dict[str, float]]


def remember(path: Path, sources: Sources) -> list[Result]:
    """Append the sources' results to the file, each once; return all that are in it, oldest first.

    The file is replaced whole, and two reports at once take turns. Raises ReportError, in one line
    that names the file, where it is damaged or cannot be written; it is then left as it is.
    """
    try:
        with _alone(path.parent):
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            results = [_parsed(path, number, line) for number, line in _lines(text)]
            known = {(result.kind, result.when, result.conditions) for result in results}
            news = [
                result
                for result in _results(sources)
                if (result.kind, result.when, result.conditions) not in known
            ]
            if news:
                lines = [*(line for _, line in _lines(text)), *map(_line, news)]
                write_whole(path, "".join(f"{line}\n" for line in lines))
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: is damaged ({error.reason}): delete it") from error
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    return [*results, *news]


def machines(results: Sequence[Result]) -> list[str]:
    """Return the machines, those that were used first first."""
    return list(dict.fromkeys(result.machine for result in results))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lines(text: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _line(result: Result) -> str:
    return json.dumps(asdict(result))


def _parsed(path: Path, number: int, line: str) -> Result:
    try:
        result = Result(**json.loads(line))
        texts = (result.kind, result.when, result.conditions, result.machine, result.commit)
        numbers = [result.stolen_s, *(v for each in result.values.values() for v in each.values())]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a text is none")
        if not all(isinstance(value, int | float) for value in numbers):
            raise TypeError("a number is none")
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{path}, line {number}: is damaged ({error}): delete this line; until then former "
            f"runs are not shown, and this one is not added"
        ) from error
    return result


def _results(sources: Sources) -> Iterator[Result]:
    for reader, observations in sources.runs.items():
        if "run.started" in observations and not observations.get("run.failed"):
            yield _of_tutorial(reader, observations)
    if sources.benchmarks and sources.benchmarks.when:
        yield _of_benchmarks(sources.benchmarks)


def _of_tutorial(reader: str, seen: dict[str, Any]) -> Result:
    line = f"{readers.NAMES.get(reader, reader)}, {seen.get('run.rows', 0):,} rows"
    machine = seen.get("run.machine", {})
    return Result(
        TUTORIAL,
        seen["run.started"],
        ", ".join([readers.NAMES.get(reader, reader), *facts.conditions(seen)]),
        f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores",
        machine.get("commit", "unknown"),
        seen.get("run.stolen_s", 0.0),
        {panel: {line: seen[name]} for panel, name in FIGURES.items() if name in seen},
    )


def _of_benchmarks(found: Benchmarks) -> Result:
    """Floors and limits as multiples: 2 is twice the floor, or half of the limit."""
    values: dict[str, dict[str, float]] = {}
    for title, what, headroom in _headrooms(found):
        values.setdefault(title, {})[what] = headroom
    return Result(
        BENCHMARKS,
        found.when,
        ", ".join(
            f"{name} {found.machine[name]}"
            for name in ("Kafka", "tfkafka")
            if name in found.machine
        ),
        found.machine.get("CPU", "unknown"),
        found.commit,
        facts.stolen_seconds(found),
        values,
    )


def _headrooms(found: Benchmarks) -> Iterable[tuple[str, str, float]]:
    for comparison in found.comparisons:
        for ratio in comparison.ratios:
            if ratio.floor > 0:
                yield comparison.title, f"{ratio.of} / {ratio.to}", ratio.median / ratio.floor
    for measured in (*found.comparisons, *found.scalings):
        for limit in measured.limits:
            if limit.median > 0:
                yield measured.title, limit.what, limit.most / limit.median
