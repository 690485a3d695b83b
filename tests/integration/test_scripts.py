"""The scripts, one after another as a user runs them, on a fresh Kafka with few rows."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress

import psutil
import pytest

from reproduction.claims import judge, read_claims
from tests.integration.broker_child import java_of
from tests.integration.script_runner import command, run
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import launch
from tfkafka.testing.brokers.folder import BrokerFolder
from tfkafka.testing.brokers.processes import GONE, free_ports
from tfkafka.testing.claims import FAILS, HOLDS

ROWS, EPOCHS = 2000, 2


def options(folder, version: str) -> list[object]:
    port, zookeeper_port = free_ports(2)
    return [
        "--kafka-version",
        version,
        "--port",
        port,
        "--zookeeper-port",
        zookeeper_port,
        "--rows",
        ROWS,
        "--epochs",
        EPOCHS,
        "--susy",
        "synthetic",
        "--artifacts",
        folder,
        "--reports",
        folder / "reports",
    ]


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory, stack):
    """(finished run_tutorial.py, its artifacts folder)."""
    folder = tmp_path_factory.mktemp("artifacts")
    return run("run_tutorial.py", *options(folder, stack.version)), folder


def test_runs_to_the_end(tutorial):
    done, _ = tutorial
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    for number in range(1, 12):
        assert f"=== {number:02d}_" in done.stdout


def test_observes_what_few_rows_allow(tutorial):
    _, folder = tutorial
    verdicts = judge(json.loads((folder / "observations-tfio.json").read_text()))
    assert [v.claim.id for v in verdicts if v.status == FAILS] == []
    assert {v.claim.id for v in verdicts if v.status == HOLDS} >= {
        "topics.partitions",
        "topics.leaders",
        "model.total_parameters",
        "group.lag",
        "group.member",
        "group.second_read",
        "predict.same_as_live",
    }
    unseen = {v.claim.id for v in verdicts if v.observed is None}
    assert unseen <= {c.id for c in read_claims() if c.test or "zookeeper" in c.needs}


def test_prints_what_the_tutorial_prints(tutorial):
    done, _ = tutorial
    for line in (
        "Created topic susy-train.",
        "Topic: susy-test\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: ",
        "Wrote 1200 messages into topic: susy-train",
        "Wrote 800 messages into topic: susy-test",
        "test loss, test acc:",
        "GROUP  TOPIC     PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID",
        "testcg susy-test 0         ",
        "class  probability of class 1",
    ):
        assert line in done.stdout


def test_fits_the_width(tutorial):
    """All but the tables of consumer groups, which are as wide as Kafka's own tool prints them."""
    done, folder = tutorial
    tables = ("GROUP ", "testcg ")
    for line in (done.stdout + done.stderr).replace(str(folder), "artifacts").splitlines():
        assert len(line) <= 100 or line.startswith(tables), line


def test_each_script_says_what_comes_next(tutorial):
    done, folder = tutorial
    for number in range(1, 11):
        steps = re.findall(rf"=== {number:02d}_(.*?)=== {number:02d}_", done.stdout, re.DOTALL)
        following = rf"Next: python \S*{number + 1:02d}_\w+\.py --artifacts {folder}\n"
        assert steps and all(re.search(following + r"\Z", step) for step in steps)


def test_messages_of_tensorflow_are_in_logs(tutorial):
    done, folder = tutorial
    for script in ("01_check_environment", "06_train", "07_evaluate", "09_train_online"):
        assert f"TensorFlow's own messages: {folder / script}.log" in done.stdout
    assert "cuda" not in done.stdout + done.stderr
    assert "kafka_kernels" in (folder / "07_evaluate.log").read_text(), "of tensorflow-io"


def test_writes_the_report_and_says_where(tutorial):
    done, folder = tutorial
    assert f"The report: {folder / 'reports/index.html'}" in done.stdout
    html = (folder / "reports/index.html").read_text()
    for drawn in ("training-", "roc-", "lag-"):
        assert f'id="{drawn}' in html
    assert "run_tutorial.py --kafka-version" in html


def test_leaves_its_results_and_no_process(tutorial):
    _, folder = tutorial
    for name in ("SUSY.csv", "susy.keras", "susy-online.keras", "history.json", "live.npz"):
        assert (folder / name).stat().st_size > 0
    assert list(folder.glob(".new-*")) == []
    assert BrokerFolder(folder / "kafka").read_state() is None
    assert java_of(folder) == []


def has_connected_child(pid: int, port: int) -> bool:
    """Whether a child of a process has a connection to this port."""
    with suppress(*GONE):
        return any(
            connection.raddr and connection.raddr.port == port
            for child in psutil.Process(pid).children()
            for connection in child.net_connections("tcp")
        )
    return False


@pytest.mark.usefixtures("no_java_left")
def test_ctrl_c_leaves_no_process(tmp_path, stack):
    """SIGINT in the middle of the run, to all of it, as a terminal sends it.

    A Python that is starting, or between two scripts, prints a Traceback of its own. So a script
    waits for Kafka then.
    """
    given = options(tmp_path, stack.version)
    process = subprocess.Popen(
        command("run_tutorial.py", *given),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: (tmp_path / "SUSY.csv").exists(), "the rows to be loaded", 90)
        [java] = java_of(tmp_path, launch.KAFKA_MAIN)
        java.suspend()
        port = given[given.index("--port") + 1]
        wait_for(lambda: has_connected_child(process.pid, port), "a script at Kafka", 60)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "interrupted" in output
    assert "Traceback" not in output
    assert java_of(tmp_path) == []
