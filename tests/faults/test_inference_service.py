"""The service's example: started before Kafka, watched, and ended by SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPException

import numpy as np
import pytest

from tests.faults.harness import DEADLINE_S, ROOT
from tests.scraping import health, scrape
from tfkafka import Admin, write
from tfkafka.exactly_once import read_predictions, wait_until_settled
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.processes import free_ports

RECORDS = 2_000
GROUP = "service"


@pytest.fixture
def command(tmp_path) -> list[str]:
    """The service's command: --bootstrap-servers and --metrics have ports that are free."""
    from reproduction.susy.model import build_model

    build_model().save(tmp_path / "model.keras")
    kafka, metrics = free_ports(2)
    return [
        sys.executable,
        "examples/inference_service.py",
        *("--bootstrap-servers", f"127.0.0.1:{kafka}"),
        *("--metrics", f"127.0.0.1:{metrics}"),
        *("--group-id", GROUP),
        *("--model", str(tmp_path / "model.keras")),
        *("--artifacts", str(tmp_path)),
    ]


def port_of(command: list[str], option: str) -> int:
    return int(command[command.index(option) + 1].rpartition(":")[2])


@pytest.fixture
def service(command) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def answers(process: subprocess.Popen, port: int, status: int) -> str:
    """Wait until the service's health has this status, and return its reason."""
    seen = []

    def look() -> bool:
        assert process.poll() is None, process.stderr.read()
        with contextlib.suppress(OSError, HTTPException):
            seen.append(health(port))
        return bool(seen) and seen[-1][0] == status

    wait_for(look, f"health {status}", DEADLINE_S)
    return seen[-1][1]


def test_started_before_kafka_and_ended_by_sigterm(command, service, kafka_factory):
    port = port_of(command, "--metrics")
    assert answers(service, port, 503) == "nothing has been read yet"
    line = service.stdout.readline()
    assert line.startswith("Waiting for Kafka: "), line
    broker = kafka_factory(port=port_of(command, "--bootstrap-servers"), progress=False)
    servers = broker.bootstrap_servers
    # What is wrong with Kafka may change while it starts.
    others = (each for each in service.stdout if not each.startswith("Waiting for Kafka: "))
    assert next(others, "") == "Waiting for topic susy-test\n"
    admin = Admin(servers)
    admin.create_topic("susy-test", 2)
    answers(service, port, 200)
    rows = [",".join([str(number / RECORDS)] * 18) for number in range(RECORDS)]
    write(servers, "susy-test", [*rows, "no row"], ["1"] * (RECORDS + 1))
    wait_for(
        lambda: scrape(port)["records_total"] == RECORDS + 1, "all records to be read", DEADLINE_S
    )
    bad = [n for name, n in scrape(port).items() if name.startswith("bad_records_total")]
    assert sum(bad) == 1
    # A page has none where Kafka does not answer within a second.
    wait_for(
        lambda: [n for name, n in scrape(port).items() if name.startswith("lag")] == [0, 0],
        "the lag of both partitions to be 0",
        DEADLINE_S,
    )
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_S) == 0, service.stderr.read()
    last = service.stdout.read().splitlines()[-1]
    assert last == f"Stopped: {RECORDS:,} records predicted, 1 skipped."
    assert not admin.has_members(GROUP)
    wait_until_settled({"bootstrap.servers": servers}, "susy-predictions")
    predicted = read_predictions(servers, "susy-predictions").values()
    assert sum(len(np.unique(offsets)) for offsets, _ in predicted) == RECORDS
    assert sum(len(offsets) for offsets, _ in predicted) == RECORDS
    broker.stop()


def test_sigterm_while_it_waits_for_kafka(command, service):
    answers(service, port_of(command, "--metrics"), 503)
    assert service.stdout.readline().startswith("Waiting for Kafka: ")
    service.send_signal(signal.SIGTERM)
    assert service.wait(DEADLINE_S) == 0, service.stderr.read()
    last = service.stdout.read().splitlines()[-1]
    assert last == "Stopped: 0 records predicted, 0 skipped."
