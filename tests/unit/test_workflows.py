"""The workflows against the Makefile and what GitHub recommends; read as text, as `make` would."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

import tfkafka

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = {path.name: path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")}
NIGHTLY_HEADING = "# Not in make test; .github/workflows/nightly.yml runs them:\n"


def make_targets() -> set[str]:
    """Targets of the Makefile that are no files."""
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    return set(phony.split())


def nightly_targets() -> list[str]:
    (block,) = re.findall(r"^ +target:\n((?: +- .+\n)+)", WORKFLOWS["nightly.yml"], re.MULTILINE)
    return re.findall(r"- (\S+)", block)


@pytest.fixture(params=sorted(WORKFLOWS))
def workflow(request: pytest.FixtureRequest) -> str:
    return WORKFLOWS[request.param]


def test_there_are_these_workflows():
    assert sorted(WORKFLOWS) == ["ci.yml", "nightly.yml", "release.yml"]


def test_each_action_is_pinned_by_a_commit_and_says_its_version(workflow):
    uses = re.findall(r"uses:(.*)", workflow)
    assert uses
    pinned = r" [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+"
    assert [line for line in uses if not re.fullmatch(pinned, line)] == []


def test_all_workflows_use_the_same_commit_of_an_action():
    uses = {line for text in WORKFLOWS.values() for line in re.findall(r"uses: (.*)", text)}
    actions = [line.partition("@")[0] for line in uses]
    assert sorted(actions) == sorted(set(actions))


def test_a_workflow_may_read_the_repository_and_nothing_else(workflow):
    assert re.findall(r"^( *)permissions:\n((?:\1 +.+\n)+)", workflow, re.MULTILINE) == [
        ("", "  contents: read\n")
    ]


def test_each_target_of_make_exists(workflow):
    called = set(re.findall(r"run: make ([a-z][\w.-]*)", workflow))
    if "make ${{ matrix.target }}" in workflow:
        called |= set(nightly_targets())
    assert called
    assert called <= make_targets()


def test_what_is_not_in_make_test_runs_every_night():
    paragraph = MAKEFILE.partition(NIGHTLY_HEADING)[2].partition("#\n")[0]
    documented = re.findall(r"^# make (\S+)", paragraph, re.MULTILINE)
    assert documented
    assert sorted(documented) == sorted(nightly_targets())


def steps_of_release() -> list[str]:
    """The scripts of several lines that the release runs."""
    text = WORKFLOWS["release.yml"]
    return [textwrap.dedent(script) for script in re.findall(r" run: \|\n((?: {10}.+\n)+)", text)]


def bash(script: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of a workflow as GitHub does."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("tag", "heading", "status"),
    [
        (f"v{tfkafka.__version__}", f"[{tfkafka.__version__}] - 2026-11-28", 0),
        (f"v{tfkafka.__version__}", "[Unreleased]", 1),
        ("v9.9.9", "[9.9.9] - 2026-11-28", 1),
        ("v0", f"[{tfkafka.__version__}] - 2026-11-28", 1),
    ],
)
def test_a_tag_must_be_the_version(tag, heading, status, tmp_path):
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n")
    (tmp_path / "tfkafka").symlink_to(ROOT / "tfkafka")
    check, _ = steps_of_release()
    assert bash(check, tmp_path, GITHUB_REF_NAME=tag).returncode == status


def test_nothing_is_published_without_a_token():
    _, publish = steps_of_release()
    done = bash(publish, TWINE_PASSWORD="")
    assert done.returncode == 0 and "nothing is published" in done.stdout
    assert bash(publish.replace(".venv-package", "no"), TWINE_PASSWORD="a token").returncode == 127
