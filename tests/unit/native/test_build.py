"""The compile step of the native library, with compilers that are scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfkafka.native import build, sources

# Prints an error as g++ does, if asked to compile a file of such a name, and copies the digest.
COMPILER = """#!/bin/sh
case "$*" in *{refused}*) echo "x.cc:1:1: error: no such header" >&2; exit 1;; esac
for each; do
  case "$previous $each" in
    "-o "*) made=$each;;
    *digest.cc|*digest.cc.o) digest=$each;;
  esac
  previous=$each
done
sleep 0.02
cat "${{digest:-/dev/null}}" > "$made"
"""


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder of programs, which are all that there is; neither $CXX nor zig."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "sleep"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    return folder


def add(folder: Path, name: str, refused: str = "nothing") -> Path:
    """Add a compiler that refuses command lines with this word."""
    program = folder / name
    program.write_text(COMPILER.format(refused=refused))
    program.chmod(0o755)
    return program


def test_without_a_compiler_it_says_so(programs, tmp_path):
    with pytest.raises(build.NoCompilerError, match=r"works here \(there is none\)$"):
        build.build(tmp_path / "library.so")
    assert os.listdir(tmp_path) == ["bin"]


def test_a_compiler_that_does_not_work_is_passed_over(programs, tmp_path):
    add(programs, "c++", refused="trial.cc")
    add(programs, "clang++")
    assert build.build(tmp_path / "library.so") == "clang++"


def test_if_none_works_each_is_named_with_its_reason(programs, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "my-c++ --fast")
    add(programs, "c++", refused="trial.cc")
    with pytest.raises(build.NoCompilerError) as caught:
        build.build(tmp_path / "library.so")
    assert str(caught.value) == (
        "no C++ compiler works here (my-c++ --fast: No such file or directory; "
        "c++: x.cc:1:1: error: no such header)"
    )


def test_the_users_compiler_comes_first_and_zig_last(programs, tmp_path, monkeypatch):
    own = add(programs, "my c++")
    add(programs, "c++", refused="trial.cc")
    monkeypatch.setenv("CXX", f"'{own}'")
    assert build.build(tmp_path / "library.so") == f"'{own}'"
    monkeypatch.delenv("CXX")
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: name == "ziglang")
    monkeypatch.setattr(sys, "executable", str(add(programs, "python")))
    assert build.build(tmp_path / "library.so").endswith("python -m ziglang c++ -mcpu=baseline")


def test_sources_that_do_not_compile_are_an_error_with_the_compilers_words(programs, tmp_path):
    """And an earlier library stays; the loader refuses it."""
    add(programs, "c++", refused="digest.cc")
    add(programs, "clang++")
    library = tmp_path / "library.so"
    library.write_text("earlier")
    with pytest.raises(build.SourcesError, match=r"error: no such header\nc\+\+ failed$"):
        build.build(library)
    assert library.read_text() == "earlier"
    assert sorted(os.listdir(tmp_path)) == ["bin", "library.so"]


def test_two_builds_at_a_time_leave_a_whole_library(programs, tmp_path):
    add(programs, "c++")
    library = tmp_path / "library.so"
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(build.build, library) for _ in range(4)]
    assert {each.result() for each in done} == {"c++"}
    assert sources.is_current(library)
    assert sorted(os.listdir(tmp_path)) == ["bin", "library.so"]


@pytest.mark.parametrize(
    ("refused", "status", "says"),
    [
        ("trial.cc", 3, "The native library was not compiled: no C++ compiler works here (c++: "),
        ("digest.cc", 1, "x.cc:1:1: error: no such header\nc++ failed\n"),
    ],
)
def test_the_command_has_a_status_for_each_failure(programs, monkeypatch, refused, status, says):
    add(programs, "c++", refused)
    monkeypatch.undo()
    environment = {"PATH": str(programs), "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tfkafka.native.build"],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(says)


def test_a_folder_that_cannot_be_written_to_is_an_error_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(build, "build", lambda: Path("/dev/null/x").mkdir())
    assert build.main() == 1
    assert capsys.readouterr().err.startswith("The native library was not compiled: ")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """The library, by a compiler of this machine; the only one that these tests compile."""
    library = tmp_path_factory.mktemp("compiled") / "library.so"
    try:
        build.build(library)
    except build.NoCompilerError as error:
        pytest.skip(str(error))
    return library


def test_the_sources_compile_to_a_small_library(compiled):
    assert compiled.stat().st_size <= 150_000
    assert sources.is_current(compiled)
