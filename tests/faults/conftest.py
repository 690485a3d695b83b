"""A broker that tests may kill, workers that they may kill, and how often they do.

The environment variable FAULTS=full makes each test that repeats its fault do so as often as
`make faults-full` promises; otherwise a few times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

from reproduction.report.sources import FAULT_PROPERTY
from tests import stacks
from tests.faults.harness import PARTITIONS, Stage, Worker
from tfkafka import Admin
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.checker.verdict import Verdict

FULL = os.environ.get("FAULTS") == "full"


@pytest.fixture(scope="session")
def kafka_broker(pytestconfig: pytest.Config, embedded_kafka) -> EmbeddedBroker:
    """An embedded one, whatever --kafka says: it is killed and frozen here, and is back at once.

    Where other tests use an embedded one of this version, it is the same.
    """
    return embedded_kafka(stacks.chosen(pytestconfig)[0].version)


# Those of the folders above may already be there, with another broker.
@pytest.fixture(scope="session")
def kafka(kafka_broker) -> EmbeddedBroker:
    return kafka_broker


@pytest.fixture(scope="session")
def kafka_admin(kafka_broker) -> Admin:
    return Admin(kafka_broker.bootstrap_servers)


@pytest.fixture(scope="session")
def admin(kafka_admin) -> Admin:
    return kafka_admin


@pytest.fixture
def times() -> Callable[[int, int], int]:
    """times(few, many): how often to repeat a fault."""
    return lambda few, many: many if FULL else few


@pytest.fixture
def note_fault(record_property) -> Callable[[str, int, str, Verdict | str], None]:
    """note_fault(what, faults, proof, verdict): for the report, and printed at the end.

    What was done, how often, what proves that it bit, and the judge's verdict, or its result in
    words where records are not what is judged.
    """

    def note(what: str, faults: int, proof: str, verdict: Verdict | str) -> None:
        row = {"what": what, "faults": faults, "proof": proof, "lost": None, "duplicated": None}
        if isinstance(verdict, Verdict):
            row |= {"lost": verdict.counts["lost"], "duplicated": verdict.counts["duplicated"]}
            verdict = "each once" if verdict.is_clean() else "anomalies"
        record_property(FAULT_PROPERTY, json.dumps({**row, "verdict": verdict}))

    return note


@pytest.fixture
def make_stage(kafka, make_topic, group, tmp_path) -> Callable[..., Stage]:
    """make_stage(records) -> Stage."""

    def make(records: int) -> Stage:
        stage = Stage(
            kafka.bootstrap_servers,
            make_topic(PARTITIONS),
            make_topic(PARTITIONS),
            group,
            records,
            tmp_path,
        )
        stage.fill()
        return stage

    return make


@pytest.fixture
def spawn() -> Iterator[Callable[..., Worker]]:
    """spawn(stage, **options) -> Worker; none outlives its test."""
    workers = []

    def start(stage: Stage, **options) -> Worker:
        workers.append(Worker(stage.options(**options)))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.end()
