"""What `make package` built: its contents, and an installation of it outside the repository."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tfkafka

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
ADDRESS = "https://github.com/example/example"
COMPOSE_FILE = "tfkafka/testing/brokers/docker-compose.yml"


def run(*command: object, cwd: Path = ROOT) -> str:
    """Run a command that knows nothing of this checkout but what it is given; return stdout."""
    environment = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def files_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def metadata_of(wheel: Path) -> Message:
    (name,) = [name for name in files_in(wheel) if name.endswith(".dist-info/METADATA")]
    return email.message_from_string(zipfile.ZipFile(wheel).read(name).decode())


def relative_links(markdown: str) -> list[str]:
    targets = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', markdown)
    paths = [markdown_target or html_target for markdown_target, html_target in targets]
    return [path for path in paths if not re.match("https?:|#", path)]


@pytest.fixture(scope="module")
def wheel() -> Path:
    return only(ROOT / "dist", "*.whl")


@pytest.fixture(scope="module")
def sdist() -> Path:
    return only(ROOT / "dist", "*.tar.gz")


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of this checkout that git knows."""
    return set(run("git", "ls-files").splitlines())


def test_sdist_has_all_that_git_tracks_and_nothing_else(sdist, tracked):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == tracked | {"PKG-INFO"}
    folders = ("tests/", "docs/", "scripts/", "examples/", "reproduction/")
    assert all(any(name.startswith(folder) for name in names) for folder in folders)


def test_wheel_has_the_library_and_nothing_else(wheel, tracked):
    library = {name for name in tracked if name.startswith("tfkafka/")}
    information = f"tfkafka-{tfkafka.__version__}.dist-info"
    assert files_in(wheel) == library | {COMPOSE_FILE} | {
        f"{information}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")
    }
    kinds = {Path(name).suffix for name in library}
    assert kinds == {".py", ".typed", ".toml"}


def test_metadata_are_those_of_the_checkout(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    address = project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["address"]
    metadata = metadata_of(wheel)
    assert metadata["Version"] == tfkafka.__version__
    assert bool(metadata["Project-URL"]) == bool(address)
    readme = (ROOT / "README.md").read_text()
    assert address or metadata.get_payload() == readme


def test_readme_of_a_project_with_an_address_has_no_relative_link(sdist, wheel, tmp_path):
    """Built from the unpacked sdist, with an address."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = only(tmp_path, "tfkafka-*")
    settings = source / "pyproject.toml"
    addressed, count = re.subn(
        '^address = ".*"$', f'address = "{ADDRESS}"', settings.read_text(), flags=re.MULTILINE
    )
    assert count == 1
    settings.write_text(addressed)
    python = ROOT / ".venv-package/bin/python"
    run(python, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, source)
    built = only(tmp_path, "*.whl")
    assert files_in(built) == files_in(wheel)
    assert f"Repository, {ADDRESS}" in metadata_of(built).get_all("Project-URL")
    readme = metadata_of(built).get_payload()
    assert relative_links((source / "README.md").read_text()), "nothing to be seen here"
    assert relative_links(readme) == []
    assert f"]({ADDRESS}/blob/HEAD/CONTRIBUTING.md)" in readme


def lowest(metadata: Message) -> list[str]:
    """Constraints that take the oldest version that each lower bound allows."""
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    return [
        f"{requirement.name}=={bound.version}"
        for requirement in requirements
        for bound in requirement.specifier
        if bound.operator == ">="
    ]


@pytest.fixture(params=["lowest", "newest"])
def installed(request, wheel, tmp_path) -> Iterator[Path]:
    """The Python of a new environment that has the wheel and the newest or oldest dependencies."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(
        "\n".join(lowest(metadata_of(wheel))) if request.param == "lowest" else ""
    )
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    what = f"{wheel}[tensorflow,testing]"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, what)
    yield python
    shutil.rmtree(tmp_path / "venv")  # it has 2 GB, and pytest keeps the folders of three runs


def test_installed_outside_the_repository_it_writes_and_reads(installed, tmp_path):
    script = shutil.copy(Path(__file__).with_name("first_records.py"), tmp_path)
    found = json.loads(run(installed, script, tmp_path / "broker", cwd=tmp_path).splitlines()[-1])
    assert found["rows"] == [[1, 10], [2, 20], [3, 30]]
    assert found["version"] == tfkafka.__version__
    assert Path(found["package"]).is_relative_to(tmp_path)
    assert found["compose_file"] == (ROOT / "docker-compose.yml").read_text()
