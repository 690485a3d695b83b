"""The example with the tutorial's model: killed with -9, and the same command again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.faults.harness import DEADLINE_S, ROOT
from tests.tutorial import Messages
from tfkafka import write
from tfkafka.testing import wait_for

RECORDS = 6_000
EXAMPLE = "examples/exactly_once_inference.py"


@pytest.fixture
def command(kafka, make_topic, group, susy_split, tmp_path) -> list[str]:
    from reproduction.susy.model import build_model

    topic, model = make_topic(2), tmp_path / "model.keras"
    messages = Messages(susy_split[1].frame[:RECORDS])
    write(kafka.bootstrap_servers, topic, messages.values, messages.keys)
    build_model().save(model)
    return [
        sys.executable,
        EXAMPLE,
        "--bootstrap-servers",
        kafka.bootstrap_servers,
        "--topic",
        topic,
        "--predictions",
        make_topic(2),
        "--group-id",
        group,
        "--model",
        str(model),
        "--transaction-records",
        "500",
        "--artifacts",
        str(tmp_path),
    ]


def test_killed_and_started_again(kafka, admin, command, group):
    predictions = command[command.index("--predictions") + 1]
    with subprocess.Popen([*command, "--stream-timeout", "-1"], cwd=ROOT) as first:
        wait_for(lambda: admin.record_count(predictions), "the first predictions", DEADLINE_S)
        first.kill()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    assert sum(row.committed for row in admin.describe_group(group)) == RECORDS
    last = done.stdout.strip().splitlines()[-1]
    assert f"All {RECORDS:,} records that the group has read have one prediction each" in last


def test_a_fault_of_the_user_is_one_line(command):
    command[command.index("--model") + 1] = "/nowhere/model.keras"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 1
    ours = [line for line in done.stderr.splitlines() if line.startswith("exactly_once_inference")]
    assert len(ours) == 1 and "/nowhere/model.keras" in ours[0], done.stderr
    assert "Traceback" not in done.stderr
