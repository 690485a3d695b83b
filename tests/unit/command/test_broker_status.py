"""`tfkafka broker status` of a broker that runs and answers late, as on a slow machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tfkafka.command import broker
from tfkafka.testing.brokers import base
from tfkafka.testing.brokers.folder import BrokerFolder, State
from tfkafka.testing.brokers.processes import JavaProcess
from tfkafka.testing.brokers.settings import Ports


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As if this process were the broker."""
    process = JavaProcess.of(os.getpid())
    home = BrokerFolder(tmp_path)
    home.write_state(State("4.4.0", Ports(1, 2), process, None))
    return tmp_path


@pytest.mark.parametrize(
    ("answers", "line", "code"),
    [
        ([set(), set(), {0}], "Kafka 4.4.0 answers at", 0),
        ([set()] * 1000, "and does not answer.", 1),
    ],
)
def test_it_is_asked_again(folder, monkeypatch, answers, line, code):
    left = iter(answers)
    monkeypatch.setattr(broker, "ANSWER_DEADLINE_S", 0.5)
    monkeypatch.setattr(base, "live_brokers", lambda *_: next(left))
    done = CliRunner().invoke(broker.broker, ["status", "--folder", str(folder)])
    assert (done.exit_code, line in done.output) == (code, True), done.output
