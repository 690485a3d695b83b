"""What `make package` built: its contents, and installations of it outside the repository."""

from __future__ import annotations

import email
import json
import math
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tfkafka

# An installation has 2 GB: on a busy machine that alone took the 15 minutes of other tests.
pytestmark = [pytest.mark.package, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
TESTING = ROOT / "docs" / "testing.md"
PYTHONS = ("3.11", "3.12", "3.13")
ADDRESS = "https://github.com/example/example"
COMPOSE_FILE = "tfkafka/testing/brokers/docker-compose.yml"
LIBRARY = "tfkafka/native/libtfkafka_native.so"
BUILD = "tfkafka/native/build.py"
# How the native library of each platform begins: ELF with its kind of machine, or Mach-O.
HEADS = {
    "manylinux_2_17_x86_64": re.compile(rb"\x7fELF\x02\x01.{12}\x3e\0", re.DOTALL),
    "manylinux_2_17_aarch64": re.compile(rb"\x7fELF\x02\x01.{12}\xb7\0", re.DOTALL),
    "musllinux_1_2_x86_64": re.compile(rb"\x7fELF\x02\x01.{12}\x3e\0", re.DOTALL),
    "macosx_11_0_arm64": re.compile(rb"\xcf\xfa\xed\xfe\x0c\0\0\x01"),
}
SYSTEM_LIBRARIES = {
    b"libc.so",
    b"libc.so.6",
    b"libdl.so.2",
    b"libm.so.6",
    b"libpthread.so.0",
    b"ld-linux-x86-64.so.2",
    b"ld-linux-aarch64.so.1",
}


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


def metadata_of(wheel: Path, kind: str = "METADATA") -> Message:
    (name,) = [name for name in files_in(wheel) if name.endswith(f".dist-info/{kind}")]
    return email.message_from_string(zipfile.ZipFile(wheel).read(name).decode())


def relative_links(markdown: str) -> list[str]:
    targets = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', markdown)
    paths = [markdown_target or html_target for markdown_target, html_target in targets]
    return [path for path in paths if not re.match("https?:|#", path)]


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel of Linux on x86-64, which is installed and run. The others are only built."""
    return only(ROOT / "dist", "*-manylinux_2_17_x86_64.whl")


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


def test_there_is_a_wheel_for_each_platform():
    names = {path.name for path in (ROOT / "dist").glob("*.whl")}
    platforms = {"any", *HEADS}
    assert names == {f"tfkafka-{tfkafka.__version__}-py3-none-{each}.whl" for each in platforms}


@pytest.mark.parametrize("platform", ["any", *HEADS])
def test_wheel_has_what_runs_and_nothing_else(platform, tracked):
    wheel = only(ROOT / "dist", f"*-{platform}.whl")
    package = {name for name in tracked if name.startswith("tfkafka/")}
    compiled = {name for name in package if name.endswith((".cc", ".h"))} | {BUILD}
    information = f"tfkafka-{tfkafka.__version__}.dist-info"
    expected = (
        (package - compiled)
        | {COMPOSE_FILE}
        | {
            f"{information}/{name}"
            for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
        }
    )
    assert files_in(wheel) == expected | (set() if platform == "any" else {LIBRARY})
    kinds = {Path(name).suffix for name in package - compiled}
    assert kinds == {".py", ".typed", ".toml"}
    assert metadata_of(wheel, "WHEEL")["Tag"] == f"py3-none-{platform}"


@pytest.mark.parametrize("platform", HEADS)
def test_native_library_is_small_and_needs_the_systems_libraries_alone(platform):
    archive = zipfile.ZipFile(only(ROOT / "dist", f"*-{platform}.whl"))
    code = archive.read(LIBRARY)
    assert HEADS[platform].match(code)
    assert archive.getinfo(LIBRARY).file_size <= 150_000
    needed = set(re.findall(rb"\0((?:lib|ld-)[^\0/]*\.so[.\d]*)(?=\0)", code))
    # On macOS a library has its own name, too.
    assert needed <= SYSTEM_LIBRARIES | {Path(LIBRARY).name.encode()}
    assert max(map(version, re.findall(rb"\0GLIBC_([\d.]+)(?=\0)", code)), default=()) <= (2, 17)


def version(text: bytes) -> tuple[int, ...]:
    return tuple(map(int, text.split(b".")))


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


@dataclass(frozen=True)
class Installation:
    """What is installed, for which Python, and with which versions of what it needs."""

    python: str
    kind: str
    versions: str = "newest"

    def __str__(self) -> str:
        return f"{self.python}-{self.kind}-{self.versions}"


INSTALLATIONS = [
    Installation("3.11", "wheel", "lowest"),
    *(Installation(python, kind) for python in PYTHONS for kind in ("wheel", "sdist")),
]


def find_python(version: str) -> str:
    """Return the path of a Python. Where it is missing a test is skipped, but not in CI."""
    name = f"python{version}"
    ask = [name, "-c", "import sys; print(sys.executable)"]
    if shutil.which(name):
        done = subprocess.run(ask, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    reason = f"there is no {name}"
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(params=INSTALLATIONS, ids=str)
def installed(request, wheel, sdist, tmp_path) -> Iterator[Path]:
    """The Python of a new environment that has the package, and what it needs."""
    wanted: Installation = request.param
    constraints = tmp_path / "constraints.txt"
    bounds = lowest(metadata_of(wheel)) if wanted.versions == "lowest" else []
    constraints.write_text("\n".join(bounds))
    run(find_python(wanted.python), "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    what = f"{wheel if wanted.kind == 'wheel' else sdist}[avro,metrics,protobuf,tensorflow,testing]"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, what)
    yield python
    shutil.rmtree(tmp_path / "venv")  # it has 2 GB, and pytest keeps the folders of three runs


def test_installed_outside_the_repository_it_reads_and_trains(installed, tmp_path):
    script = shutil.copy(Path(__file__).with_name("first_records.py"), tmp_path)
    command = ("env", "TFKAFKA_NATIVE=1", installed, script, tmp_path / "broker")
    found = json.loads(run(*command, cwd=tmp_path).splitlines()[-1])
    assert found["rows"] == [[1, 10], [2, 20], [3, 30]]
    assert len(found["losses"]) == 1 and 0 < found["losses"][0] < math.inf
    assert "tfkafka_records_total 3.0" in found["metrics"]
    assert found["avro"] == [[0.5], [1.5]]
    assert found["version"] == tfkafka.__version__
    assert found["native"].startswith("reading, writing and parsing: native\n")
    assert Path(found["package"]).is_relative_to(tmp_path)
    assert found["compose_file"] == (ROOT / "docker-compose.yml").read_text()
    has_the_command(installed, tmp_path)
    has_the_plugin(installed, tmp_path / "project")


def has_the_command(python: Path, folder: Path) -> None:
    shown = run(python.with_name("tfkafka"), "--version", cwd=folder)
    assert shown == f"tfkafka {tfkafka.__version__}\n"


def has_the_plugin(python: Path, folder: Path) -> None:
    """The first test of docs/testing.md passes, alone in a folder."""
    first = re.search(r"```python\n(# test_first\.py.*?)```", TESTING.read_text(), re.DOTALL)
    folder.mkdir()
    (folder / "test_first.py").write_text(first[1])
    assert "1 passed" in run(python.with_name("pytest"), cwd=folder)
    # As a conftest.py may name it, too.
    twice = ("-p", "tfkafka.testing.plugin", "--collect-only")
    assert "1 test collected" in run(python.with_name("pytest"), *twice, cwd=folder)
