"""The examples of documents with the command, with what the documents say that they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.broker_child import end_java_of, java_of
from tests.integration.command_runner import DEADLINE_S, ROOT, environment
from tfkafka import config
from tfkafka.testing.brokers.processes import free_ports

DOCUMENT = ROOT / "docs" / "command.md"
FIRST_STEPS = ROOT / "docs" / "first-steps.md"
BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
PORT = "9092"
HOME = "/home/you/.local/state"


def steps(document: Path) -> Iterator[tuple[str, str]]:
    """Each command of a document with its output, and each block of Python with none."""
    for kind, text in BLOCK.findall(document.read_text()):
        if kind == "python":
            yield f"python - > printed <<'END'\n{text}END", ""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:] if kind == "console" else []:
            line, _, output = part.partition("\n")
            yield line, output


def test_files_of_settings_are_right(tmp_path):
    files = re.findall(r"```properties\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    path = tmp_path / "alice.properties"
    expected = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "alice",
        "sasl.password": "her-password",
        "ssl.ca.location": "/etc/ssl/kafka-ca.pem",
    }
    assert len(files) == 2
    for text in files:
        path.write_text(text)
        assert config.load(path).items() >= expected.items()


def without_times(text: str) -> str:
    """Return a text without what differs each time."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return re.sub(r'"timestamp": \d+', '"timestamp": TIME', text)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """shell(line) -> what bash did with it; it finds `tfkafka` and `python`."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, arguments in (("tfkafka", "-m tfkafka"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (tools / name).chmod(0o700)
    [port] = free_ports(1)

    def run(line: str) -> subprocess.CompletedProcess[str]:
        line = line.replace(PORT, str(port)).replace("broker start", f"broker start --port {port}")
        line = line.replace("cat rows", f"cat rows --bootstrap-servers 127.0.0.1:{port}")
        path = {"PATH": f"{tools}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", line],
            env=environment(tmp_path / "state", path),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        done.stdout = done.stdout.replace(str(port), PORT).replace(str(tmp_path / "state"), HOME)
        return done

    yield run
    end_java_of(tmp_path)


@pytest.mark.parametrize("document", [DOCUMENT, FIRST_STEPS], ids=lambda path: path.name)
def test_the_examples_print_what_the_document_says(document, shell, tmp_path):
    for line, output in steps(document):
        done = shell(line)
        assert done.returncode == 0, (line, done.stderr)
        assert without_times(done.stdout) == without_times(output), line
    assert java_of(tmp_path) == []


def test_the_line_for_the_shell_gives_a_completion(shell):
    [line] = re.findall(r"^eval .*$", DOCUMENT.read_text(), re.MULTILINE)
    assert "_tfkafka_completion" in shell(f"{line}; complete -p tfkafka").stdout
