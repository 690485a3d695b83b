"""--kafka-secured: a few of our own tests on a Kafka with TLS and a password.

make test-secured runs many more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.foreign import ROOT, counts
from tfkafka import config

INTEGRATION = "tests/integration/"
SOME = (
    "tutorial/test_topics.py",
    "tutorial/test_write.py::test_acknowledged_is_sent_is_found",
    "tutorial/test_training_dataset.py::test_each_record_once_and_decoded_exactly",
    "tfkafka/test_bounded.py::test_start_stop_and_max_records",
    "tfkafka/test_groups.py::test_all_once_and_nothing_the_second_time",
    "tfkafka/test_exactly_once.py::test_each_record_has_a_prediction_that_says_where_it_is_from",
    "tfkafka/test_learn.py::test_every_export_has_a_name_and_a_manifest",
)
FEW_PLUGINS = ("-p", "no:randomly", "-p", "no:cacheprovider")
ALL_OUTPUT = ("-rA", "--log-level=DEBUG", "-o", "junit_logging=all")


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Without those of a worker of pytest-xdist.
    left = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", *FEW_PLUGINS, "--kafka-secured", *options]
    return subprocess.run(
        [*command, "--basetemp", str(folder / "files")],
        cwd=ROOT,
        env=left,
        capture_output=True,
        text=True,
    )


def test_some_of_our_tests_pass_and_leave_the_password_nowhere(tmp_path):
    done = run(
        tmp_path,
        *(INTEGRATION + each for each in SOME),
        # Once is enough here: with the filler that is always there.
        *("-k", "not native", "--reader", "tfkafka", "--susy-rows", "1000"),
        *ALL_OUTPUT,
        *("--junitxml", str(tmp_path / "tests.xml")),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert counts(done.stdout).keys() == {"passed"} and counts(done.stdout)["passed"] >= len(SOME)
    [settings] = tmp_path.rglob("client.properties")
    password = str(config.load(settings)["sasl.password"])
    assert len(password) == 32 and password not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"tests.xml", "kafka.log", "server.properties"} <= {path.name for path in files}
    found = [path for path in files if password.encode() in path.read_bytes()]
    assert found == [settings]


def test_another_kafka_is_not_secured(tmp_path):
    done = run(tmp_path, "--kafka", "127.0.0.1:1", "--collect-only")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--kafka-secured is for --kafka embedded" in done.stderr
