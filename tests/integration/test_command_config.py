"""--command-config, on a broker with TLS, passwords and rights, and where secrets may not be."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration import command_runner, script_runner
from tests.integration.command_runner import refusal
from tests.integration.script_runner import error_line
from tfkafka import Admin, CsvDecoder, KafkaDataset, config, write
from tfkafka.testing.brokers.embedded import EmbeddedBroker

VARIABLE = "TFKAFKA_COMMAND_CONFIG"
MECHANISM = "SCRAM-SHA-512"
ROWS = 500
SCRIPTS = (
    ("03_create_topics.py", ()),
    ("04_load_susy.py", ("--susy", "synthetic", "--rows", ROWS)),
    ("05_write_to_kafka.py", ()),
    ("06_train.py", ("--epochs", 1, "--reader", "tfio")),
    ("07_evaluate.py", ("--reader", "tfkafka")),
    ("08_describe_group.py", ()),
    ("09_train_online.py", ("--late-rows", 10, "--reader", "tfkafka")),
    ("10_predict.py", ("--reader", "tfkafka")),
)


@pytest.fixture(scope="module")
def rights(secured_kafka: EmbeddedBroker) -> EmbeddedBroker:
    """The broker, on which alice may do everything."""
    secured_kafka.grant("alice", "ALL", topic="*")
    secured_kafka.grant("alice", "ALL", group="*")
    secured_kafka.grant("alice", "ALL", cluster=True)
    return secured_kafka


@pytest.fixture
def settings(rights: EmbeddedBroker) -> config.Settings:
    return rights.client_configuration("alice", MECHANISM)


def write_settings(path: Path, settings: Mapping[str, object]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


@pytest.fixture
def file(settings: config.Settings, tmp_path: Path) -> Path:
    """A file with alice's settings, in a folder of its own."""
    (tmp_path / "secrets").mkdir()
    return write_settings(tmp_path / "secrets" / "client.properties", settings)


@pytest.fixture
def java_file(settings: config.Settings, tmp_path: Path) -> Path:
    """The same as a Java client has it."""
    path = tmp_path / "java.properties"
    path.write_text(
        "# of a Java client\n"
        "security.protocol = SASL_SSL\n"
        f"sasl.mechanism: {MECHANISM}\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n"
        f'    username="{settings["sasl.username"]}" password="{settings["sasl.password"]}";\n'
        "ssl.truststore.type=PEM\n"
        f"ssl.truststore.location={settings['ssl.ca.location']}\n"
        "key.deserializer=org.apache.kafka.common.serialization.StringDeserializer\n"
    )
    return path


@pytest.fixture
def filled(rights: EmbeddedBroker, group: str) -> str:
    Admin(rights.bootstrap_servers).create_topic(group)
    write(rights.bootstrap_servers, group, ["1,2"], ["0.0"])
    return group


def test_a_file_reads_a_topic(rights, filled, file, java_file):
    for path in (file, java_file):
        dataset = KafkaDataset(
            filled,
            servers=rights.secured_servers,
            configuration=config.load(path),
            decode=CsvDecoder(2),
        )
        assert [row.tolist() for row in dataset.as_numpy_iterator()] == [[1, 2]]


def test_the_command_takes_a_file_or_a_variable(rights, filled, file, java_file, tmp_path):
    where = ("cat", filled, "--bootstrap-servers", rights.secured_servers, "--json")
    for path in (file, java_file):
        by_option = command_runner.run(tmp_path, *where, "--command-config", path)
        assert json.loads(by_option.stdout)["text"] == "1,2"
        by_variable = command_runner.run(tmp_path, *where, more={VARIABLE: str(path)})
        assert by_variable.stdout == by_option.stdout
    checked = command_runner.run(
        tmp_path, "check", rights.secured_servers, "--command-config", file
    )
    assert checked.returncode == 0, checked.stdout
    assert f"accepted by {MECHANISM}; TLS, and the broker's certificate is" in checked.stdout


def test_the_address_may_be_in_the_file(rights, filled, settings, tmp_path):
    path = write_settings(tmp_path / "c", {**settings, "bootstrap.servers": rights.secured_servers})
    done = command_runner.run(tmp_path, "cat", filled, more={VARIABLE: str(path)})
    assert done.stdout.endswith("1,2\n"), done.stderr
    done = script_runner.run(
        "03_create_topics.py", "--recreate", "--command-config", path, "--artifacts", tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_check_says_what_is_wrong_with_a_password_and_with_rights(rights, settings, tmp_path):
    wrong = write_settings(tmp_path / "wrong", {**settings, "sasl.password": "Wr0ng-password"})
    done = command_runner.run(tmp_path, "check", rights.secured_servers, "--command-config", wrong)
    assert done.returncode == 1
    assert "failed   authentication" in done.stdout
    assert "check sasl.username and sasl.password" in done.stdout
    assert "Wr0ng" not in done.stdout + done.stderr
    bob = write_settings(tmp_path / "bob", rights.client_configuration("bob", MECHANISM))
    done = command_runner.run(tmp_path, "check", rights.secured_servers, "--command-config", bob)
    assert done.returncode == 0, "bob has no right, and is let in"
    assert "none is visible: create one, or grant this user DESCRIBE" in done.stdout
    assert "unknown  groups" in done.stdout and "hidden from this user" in done.stdout


@pytest.mark.parametrize(
    "scripts",
    [SCRIPTS[:3], pytest.param(SCRIPTS, marks=pytest.mark.secured)],
    ids=["that write", "all"],
)
def test_the_scripts_use_it_and_no_secret_is_left_anywhere(
    rights, settings, file, tmp_path, monkeypatch, scripts
):
    """All that they print and leave, also what TensorFlow writes into its logs."""
    artifacts = tmp_path / "artifacts"
    outputs = []
    monkeypatch.setenv(VARIABLE, str(file))
    for script, options in scripts:
        where = () if script.startswith("04") else ("--bootstrap-servers", rights.secured_servers)
        recreate = ("--recreate",) if script.startswith("03") else ()
        done = script_runner.run(script, *where, *recreate, *options, "--artifacts", artifacts)
        assert done.returncode == 0, (script, done.stdout[-1000:], done.stderr[-2000:])
        outputs.append(done.stdout + done.stderr)
    _refuse_secret(settings, outputs, artifacts)


def _refuse_secret(settings: config.Settings, outputs: list[str], folder: Path) -> None:
    secret = str(settings["sasl.password"])
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and outputs
    assert [text for text in outputs if secret in text] == []
    assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("command", ["command", "script"])
def test_no_secret_is_in_what_an_error_says(rights, settings, tmp_path, command):
    """Whatever is wrong with a file, its password is in no output; nor on a command line."""
    secret = str(settings["sasl.password"])
    good = "".join(f"{name}={value}\n" for name, value in settings.items())
    jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    for name, text in {
        "no name": good + secret,
        "twice": good + f"sasl.password={secret}x\n",
        "unknown": good + f"sasl.pasword={secret}\n",
        "wrong user": good.replace("sasl.username=alice", "sasl.username=carol"),
        "wrong protocol": good.replace("SASL_SSL", "PLAINTEXT"),
        "jaas": f'sasl.jaas.config=x.KerberosModule required password="{secret}";',
        "half a jaas": f'sasl.jaas.config={jaas} password="{secret}";',
        "a null byte": good.replace(secret, secret + "\0"),
    }.items():
        path = tmp_path / "settings"
        path.write_text(text)
        done = _use(command, rights.secured_servers, path, tmp_path)
        assert done.returncode != 0, name
        assert secret not in done.stdout + done.stderr, name
        assert "Traceback" not in done.stderr, (name, done.stderr)
        assert len(done.stderr.splitlines()) == 1, (name, done.stderr)


def _use(command: str, servers: str, path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    if command == "command":
        where = ("--bootstrap-servers", servers)
        return command_runner.run(folder, "cat", "t", *where, "--command-config", path)
    return script_runner.run(
        "08_describe_group.py",
        "--bootstrap-servers",
        servers,
        "--command-config",
        path,
        "--artifacts",
        folder / "artifacts",
    )


def test_a_jks_key_store_is_refused_with_advice(rights, java_file, tmp_path):
    java_file.write_text(java_file.read_text().replace("=PEM", "=JKS"))
    done = command_runner.run(
        tmp_path, "check", rights.secured_servers, "--command-config", java_file
    )
    line = refusal(done, 2)
    assert "ssl.truststore.location is a store of type JKS" in line and "keytool" in line


def test_kafka_python_refuses_what_it_has_no_counterpart_of(rights, settings, tmp_path):
    path = write_settings(tmp_path / "s", {**settings, "linger.ms": "5"})
    where = ("--bootstrap-servers", rights.secured_servers, "--artifacts", tmp_path)
    made = script_runner.run("03_create_topics.py", *where, "--recreate", "--command-config", path)
    assert made.returncode == 0, made.stderr
    susy = ("--susy", "synthetic", "--rows", ROWS, "--artifacts", tmp_path)
    assert script_runner.run("04_load_susy.py", *susy).returncode == 0
    done = script_runner.run("05_write_to_kafka.py", *where, "--command-config", path)
    line = error_line(done, "05_write_to_kafka.py")
    assert "kafka-python" in line and "linger.ms" in line
