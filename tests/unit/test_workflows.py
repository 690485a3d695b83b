"""The workflows against the Makefile and what GitHub recommends; read as text, as `make` would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
    assert sorted(WORKFLOWS) == ["ci.yml", "nightly.yml"]


def test_each_action_is_pinned_by_a_commit_and_says_its_version(workflow):
    uses = re.findall(r"uses:(.*)", workflow)
    assert uses
    pinned = r" [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+"
    assert [line for line in uses if not re.fullmatch(pinned, line)] == []


def test_both_workflows_use_the_same_commit_of_an_action():
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
