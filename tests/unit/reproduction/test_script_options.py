"""Each script says at once what its options are, and in one line which of them is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.integration.script_runner import ROOT, command, run

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("[!_]*.py"))
# Each takes a tenth of a second to many seconds to import.
SLOW = {
    "confluent_kafka",
    "kafka",
    "keras",
    "matplotlib",
    "numpy",
    "pandas",
    "polars",
    "psutil",
    "sklearn",
    "tensorflow",
    "tensorflow_io",
}
PORTS = "from 1 to 65535"
WRONG_NUMBERS = [
    ("02_start_kafka.py", "--port", "99999", PORTS),
    ("02_start_kafka.py", "--port", "0", PORTS),
    ("02_start_kafka.py", "--port", "kafka", PORTS),
    ("02_start_kafka.py", "--zookeeper-port", "65536", PORTS),
    ("04_load_susy.py", "--rows", "0", "of at least 2"),
    ("04_load_susy.py", "--rows", "1e5", "of at least 2"),
    ("04_load_susy.py", "--seed", "-1", "from 0 to 4294967295"),
    ("05_write_to_kafka.py", "--seed", "4294967296", "from 0 to 4294967295"),
    ("06_train.py", "--epochs", "-3", "of at least 1"),
    ("06_train.py", "--seed", "1.5", "from 0 to 4294967295"),
    ("09_train_online.py", "--seed", "-1", "from 0 to 4294967295"),
    ("09_train_online.py", "--late-rows", "-1", "of at least 0"),
    ("run_tutorial.py", "--port", "-1", PORTS),
    ("run_tutorial.py", "--zookeeper-port", "99999", PORTS),
    ("run_tutorial.py", "--rows", "1", "of at least 2"),
    ("run_tutorial.py", "--seed", "-1", "from 0 to 4294967295"),
    ("run_tutorial.py", "--epochs", "0", "of at least 1"),
]


def test_there_are_scripts():
    assert len(SCRIPTS) == 12


@pytest.mark.parametrize("option", ["--help", "--no-such-option"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_options_are_parsed_before_anything_slow_is_imported(script: str, option: str):
    python, *rest = command(script, option)
    done = subprocess.run(
        [python, "-X", "importtime", *rest], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == (0 if option == "--help" else 2)
    imported = set(re.findall(r"^import time:.*\|\s+(\w+)$", done.stderr, re.MULTILINE))
    assert "argparse" in imported
    assert imported & SLOW == set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_fits_the_width(script: str):
    assert max(map(len, run(script, "--help").stdout.splitlines())) <= 100


@pytest.mark.parametrize(("script", "flag", "value", "allowed"), WRONG_NUMBERS)
def test_a_number_that_cannot_be(script: str, flag: str, value: str, allowed: str, tmp_path):
    done = run(script, flag, value, "--artifacts", tmp_path)
    line = f"{script}: {flag}: must be a whole number {allowed}, not {value} (see --help)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["localhost", "localhost:0", ":9092", "a:9092,b:99999"])
def test_an_address_that_cannot_be(address: str):
    done = run("06_train.py", "--bootstrap-servers", address)
    assert done.returncode == 2
    assert done.stderr == (
        f"06_train.py: --bootstrap-servers: must be HOST:PORT, the port from 1 to 65535, "
        f"not {address} (see --help)\n"
    )


def test_the_same_port_twice(tmp_path):
    done = run(
        "02_start_kafka.py", "--port", 4711, "--zookeeper-port", 4711, "--artifacts", tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == (
        "02_start_kafka.py: --port and --zookeeper-port are both 4711: must differ\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["\u00e9\u65e5", os.fsdecode(b"\xff")], ids=["letters", "byte"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_path_that_the_terminal_cannot_show_is_shown_in_part(name: str, encoding: str, tmp_path):
    folder = tmp_path / name
    options = ("--susy", "synthetic", "--rows", 2, "--artifacts", folder)
    done = subprocess.run(
        command("04_load_susy.py", *options),
        capture_output=True,
        timeout=60,
        env=os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert folder.joinpath("SUSY.csv").exists()
    shown = str(folder).encode(encoding, "backslashreplace")
    assert b"Wrote " + shown in done.stdout


# What TensorFlow's C++ code does: it writes to file descriptor 2, while it is imported and later.
NOISE = """
import os, sys, warnings
sys.argv[0] = "06_train.py"
import _common
arguments = _common.parse("", "--verbose")
with _common.quiet_tensorflow(arguments):
    os.write(2, b"noise of the import\\n")
    {inside}
os.write(2, b"noise of the training\\n")
warnings.warn("of Python")
{after}
"""


def make_noise(*options: object, inside: str = "pass", after: str = "pass"):
    code = NOISE.format(inside=inside, after=after)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, options)],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_messages_of_cpp_code_go_to_a_log_that_is_named(tmp_path):
    done = make_noise("--artifacts", tmp_path)
    log = tmp_path / "06_train.log"
    assert done.stdout == f"TensorFlow's own messages: {log} (--verbose shows them)\n"
    assert done.stderr == "UserWarning: of Python\n"
    assert log.read_text() == "noise of the import\nnoise of the training\n"


def test_messages_of_cpp_code_are_shown_when_asked_for(tmp_path):
    done = make_noise("--verbose", "--artifacts", tmp_path)
    assert done.stdout == ""
    assert "noise of the import\nnoise of the training\n" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["inside", "after"])
def test_an_error_shows_the_end_of_the_log(where: str, tmp_path):
    done = make_noise("--artifacts", tmp_path, **{where: "1 / 0"})
    assert done.returncode == 1
    assert f"The end of {tmp_path / '06_train.log'}:\nnoise of the import\n" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_crash_of_cpp_code_is_shown(tmp_path):
    done = make_noise("--artifacts", tmp_path, after="os.abort()")
    assert "Fatal Python error: Aborted" in done.stderr
