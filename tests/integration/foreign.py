"""Projects that are not ours, beside an installed tfkafka, whose plugin pytest loads."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNUSED = ("benchmark", "cacheprovider", "docker", "hypothesispytest", "randomly")
FEW_PLUGINS = [part for name in UNUSED for part in ("-p", f"no:{name}")]


class Project:
    """A folder with tests, with the entry points of pyproject.toml.

    Args:
        site: an empty folder for what an installation would have written.
    """

    def __init__(self, pytester: pytest.Pytester, site: Path):
        self.pytester = pytester
        self.path = pytester.path
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
        [(name, module)] = settings["project"]["entry-points"]["pytest11"].items()
        information = site / "tfkafka-0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tfkafka\nVersion: 0\n")
        (information / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")

    def run(self, *options: str) -> str:
        """Run pytest there, and return what it printed."""
        return self.pytester.runpytest_subprocess(*FEW_PLUGINS, *options).stdout.str()

    def start(self, *options: str) -> subprocess.Popen:
        command = (sys.executable, "-m", "pytest", *FEW_PLUGINS, *options)
        return self.pytester.popen(command, stdin=subprocess.PIPE)


def counts(printed: str) -> dict[str, int]:
    """How many tests passed, failed, ..., as pytest's last line has it."""
    found = re.findall(r"(\d+) (passed|failed|errors?|skipped)", printed.splitlines()[-1])
    return {name: int(count) for count, name in found}
