"""What is wrong is said in one line that names it, with exit status 1, and nothing is lost."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.script_runner import ROOT, command, error_line, run
from tfkafka import Admin
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.base import Broker
from tfkafka.testing.brokers.processes import free_ports

ROWS = 1500
NEED_KAFKA = [
    "03_create_topics.py",
    "05_write_to_kafka.py",
    "06_train.py",
    "07_evaluate.py",
    "08_describe_group.py",
    "09_train_online.py",
    "10_predict.py",
]


@pytest.fixture(scope="module")
def scripts_kafka(kafka_factory) -> Iterator[Broker]:
    """A Kafka of this module's own, since scripts use fixed names."""
    broker = kafka_factory()
    yield broker
    broker.stop()


@pytest.fixture
def no_topics(scripts_kafka: Broker) -> str:
    """Where that Kafka is, without topics."""
    servers = scripts_kafka.bootstrap_servers
    admin = Admin(servers)
    for name in admin.topics():
        admin.delete_topic(name)
    return servers


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder with the rows of 04_load_susy.py."""
    folder = tmp_path_factory.mktemp("rows")
    done = run("04_load_susy.py", "--susy", "synthetic", "--rows", ROWS, "--artifacts", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def artifacts(rows, tmp_path):
    shutil.copytree(rows, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("script", NEED_KAFKA)
def test_no_broker_at_the_address(script: str, tmp_path):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    line = error_line(run(script, "--bootstrap-servers", address, "--artifacts", tmp_path), script)
    assert address in line
    assert "02_start_kafka.py" in line


@pytest.mark.parametrize(
    "script",
    [
        "05_write_to_kafka.py",
        "06_train.py",
        "07_evaluate.py",
        "09_train_online.py",
        "10_predict.py",
    ],
)
def test_topic_missing(script: str, no_topics: str, artifacts):
    line = error_line(
        run(script, "--bootstrap-servers", no_topics, "--artifacts", artifacts), script
    )
    assert "there is no topic susy-t" in line
    assert "03_create_topics.py" in line


def test_topics_and_records_that_are_there_already(no_topics: str, artifacts):
    where = ("--bootstrap-servers", no_topics, "--artifacts", artifacts)
    admin = Admin(no_topics)
    admin.create_topic("susy-test", partitions=5)
    line = error_line(run("03_create_topics.py", *where), "03_create_topics.py")
    assert "susy-test exists already, with 5 partitions and 0 records; --recreate" in line
    assert "susy-train" not in admin.topics(), "nothing may be made where not all can be"

    assert run("03_create_topics.py", *where, "--recreate").returncode == 0
    assert len(admin.describe_topic("susy-test").partitions) == 2

    assert run("05_write_to_kafka.py", *where).returncode == 0
    line = error_line(run("05_write_to_kafka.py", *where), "05_write_to_kafka.py")
    assert "susy-train" in line
    assert f"holds {ROWS * 6 // 10} records already" in line
    assert admin.record_count("susy-train") == ROWS * 6 // 10

    line = error_line(run("07_evaluate.py", *where), "07_evaluate.py")
    assert "susy.keras: is missing: run scripts/06_train.py first" in line
    line = error_line(
        run("08_describe_group.py", *where, "--group-id", "no"), "08_describe_group.py"
    )
    assert "there is no consumer group no" in line


def test_rows_missing_or_damaged(no_topics: str, tmp_path):
    where = ("--bootstrap-servers", no_topics, "--artifacts", tmp_path)
    assert run("03_create_topics.py", *where).returncode == 0
    line = error_line(run("05_write_to_kafka.py", *where), "05_write_to_kafka.py")
    assert "SUSY.csv: is missing: run scripts/04_load_susy.py first" in line
    row = "1.0," + ",".join(["0.5"] * 18) + "\n"
    for damaged in ("", 3 * row + row[:20], row + 2 * row.strip()):
        (tmp_path / "SUSY.csv").write_text(damaged)
        line = error_line(run("05_write_to_kafka.py", *where), "05_write_to_kafka.py")
        assert "SUSY.csv: is damaged: run scripts/04_load_susy.py again" in line
    line = error_line(run("06_train.py", *where), "06_train.py")
    assert "susy-train" in line
    assert "is empty: run scripts/05_write_to_kafka.py" in line


def test_damaged_model(no_topics: str, artifacts):
    for script in ("03_create_topics.py", "05_write_to_kafka.py"):
        done = run(script, "--bootstrap-servers", no_topics, "--artifacts", artifacts)
        assert done.returncode == 0, done.stderr
    model = artifacts / "susy.keras"
    damaged = {"07_evaluate.py": b"no model", "09_train_online.py": b"PK\x03\x04 half a model"}
    for script, content in damaged.items():
        model.write_bytes(content)
        done = run(script, "--bootstrap-servers", no_topics, "--artifacts", artifacts)
        line = error_line(done, script)
        assert str(model) in line and "06_train.py" in line


def test_csv_with_too_few_columns(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(2 * ("1.0," + ",".join(["0.5"] * 17) + "\n"))
    done = run("04_load_susy.py", "--susy", bad, "--rows", 2, "--artifacts", tmp_path)
    assert "bad.csv" in error_line(done, "04_load_susy.py")
    assert not (tmp_path / "SUSY.csv").exists()


def test_a_reader_that_is_not_installed():
    """As with STACK=latest, which comes without tensorflow-io."""
    code = (
        "import sys; sys.modules['tensorflow_io'] = None; sys.argv[0] = '06_train.py'; "
        "import _common; _common.import_reader('tfio')"
    )
    done = run_beside_scripts(code)
    assert "--reader tfkafka" in error_line(done, "06_train.py")


def test_artifacts_folder_that_cannot_be(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    done = run("04_load_susy.py", "--susy", "synthetic", "--artifacts", in_the_way / "artifacts")
    assert str(in_the_way) in error_line(done, "04_load_susy.py")


def test_a_full_disk_costs_nothing_that_was_there(artifacts):
    """A limit on the size of files stands in for the disk: the same error at the same place."""
    before = (artifacts / "SUSY.csv").read_bytes()
    script = command(
        "04_load_susy.py", "--susy", "synthetic", "--rows", 5000, "--artifacts", artifacts
    )
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 500; exec "$@"', "bash", *script],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "SUSY.csv: cannot be written: File too large" in error_line(done, "04_load_susy.py")
    assert (artifacts / "SUSY.csv").read_bytes() == before
    assert list(artifacts.glob(".new-*")) == []


def test_port_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("02_start_kafka.py", "--port", port, "--artifacts", tmp_path)
    line = error_line(done, "02_start_kafka.py")
    assert f"port {port} of 127.0.0.1 is taken" in line
    assert "--port" in line


def test_a_second_start_while_one_runs(tmp_path, stack):
    ports = free_ports(2)
    start = ["--kafka-version", stack.version, "--port", ports[0], "--zookeeper-port", ports[1]]
    try:
        first = run("02_start_kafka.py", *start, "--artifacts", tmp_path)
        assert first.returncode == 0, first.stderr
        line = error_line(
            run("02_start_kafka.py", *start, "--artifacts", tmp_path), "02_start_kafka.py"
        )
        assert f"runs already at 127.0.0.1:{ports[0]}" in line
        # And the scripts find it without being told.
        assert run("03_create_topics.py", "--artifacts", tmp_path).returncode == 0
    finally:
        assert run("11_stop_kafka.py", "--artifacts", tmp_path).returncode == 0


def test_ctrl_c_while_writing(no_topics: str, tmp_path):
    """What was written stays, a second run does not add to it, and says how to begin again."""
    where = ("--bootstrap-servers", no_topics, "--artifacts", tmp_path)
    assert run("03_create_topics.py", *where).returncode == 0
    susy = ("--susy", "synthetic", "--rows", 100_000)
    assert run("04_load_susy.py", *susy, "--artifacts", tmp_path).returncode == 0
    done = interrupt(
        "05_write_to_kafka.py",
        where,
        lambda: Admin(no_topics).record_count("susy-train") > 0,
        "records in susy-train",
    )
    assert "interrupted" in done
    line = error_line(run("05_write_to_kafka.py", *where), "05_write_to_kafka.py")
    assert "--recreate" in line


def test_after_ctrl_c_nothing_is_said_of_clean_up_that_fails():
    """As kafka-python's, at a broker that does not take the rest of the records within a second."""
    code = (
        "import sys; sys.path.insert(0, '..'); "
        "import atexit, _terminal; _terminal.install(); "
        "atexit.register(lambda: 1 / 0); raise KeyboardInterrupt"
    )
    done = run_beside_scripts(code)
    assert done.stderr == "\n-c: interrupted\n"


def test_ctrl_c_while_training(no_topics: str, artifacts):
    where = ("--bootstrap-servers", no_topics, "--artifacts", artifacts)
    assert run("03_create_topics.py", *where).returncode == 0
    assert run("05_write_to_kafka.py", *where).returncode == 0
    log = artifacts / "log"
    done = interrupt(
        "06_train.py",
        (*where, "--epochs", 1000),
        lambda: "Epoch 2/" in log.read_text(),
        "the second epoch",
        log,
    )
    assert "interrupted" in done
    assert not (artifacts / "susy.keras").exists()


def run_beside_scripts(code: str) -> subprocess.CompletedProcess[str]:
    """Run code that can import what scripts share."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        timeout=60,
    )


def interrupt(script: str, options, condition, what: str, log=None) -> str:
    """Start a script, send SIGINT once `condition()` holds; returns what it printed."""
    log = log or options[-1] / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command(script, *options), stdout=file, stderr=file)
    try:
        wait_for(condition, what, 120)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        process.kill()
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "Traceback" not in log.read_text()
    return log.read_text()


def test_a_python_that_is_too_new():
    """Python 3.14 is not at hand everywhere, so this one says that it is."""
    code = "import sys; sys.version_info = (3, 14, 0, 'final', 0); import _common"
    done = run_beside_scripts(code)
    assert done.returncode == 1
    assert done.stderr == (
        "Python 3.14 cannot run this: TensorFlow needs Python 3.11 to 3.13, and tensorflow-io "
        "3.11 or 3.12\n"
    )
