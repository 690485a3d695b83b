"""Compiles the native library. `make native` and the build of a wheel run this.

python -m tfkafka.native.build

Exit status: 0 if there is a library, 3 if no compiler works here, 1 for another failure.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfkafka.native import sources

FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-Wall",
    "-Wextra",
)
LINK_FLAGS = ("-shared", "-s")
LIBRARIES = ("-ldl",)
# A compiler may be there without its library's headers, or be older than C++17.
TRIAL = "#include <cstdint>\n#include <system_error>\nint32_t made(std::errc) { return 1; }\n"
# For `sources.is_current`.
STAMP = """extern "C" __attribute__((visibility("default"))) const char* tk_digest() {
  return "%s";
}
"""
NO_COMPILER, FAILED = 3, 1
ZIG = "ziglang"


class NoCompilerError(Exception):
    """No C++ compiler works here."""


class SourcesError(Exception):
    """A compiler that works cannot compile the sources."""


def build(library: Path = sources.LIBRARY, zig_target: str | None = None) -> str:
    """Compile the library, and return the name of the compiler.

    The file is written whole or not at all, also by two processes at a time. Where this fails, an
    earlier one stays; the loader refuses it if it is of other sources.

    Args:
        library: the file to write.
        zig_target: for which machine zig compiles it, for example "aarch64-linux-gnu.2.17"; None
            for this one, with the system's compiler if it has one.

    Raises:
        NoCompilerError: in one line.
        SourcesError: with the compiler's messages.
    """
    # Git ignores the folder by its suffix, should it be left behind.
    with tempfile.TemporaryDirectory(".so", ".build-", library.parent) as name:
        folder = Path(name)
        compiler = find_compiler(folder) if zig_target is None else _zig(zig_target)
        stamp = folder / "digest.cc"
        stamp.write_text(STAMP % sources.digest())
        new = folder / library.name
        done = _compile(compiler, [*sources.sources(), stamp], new)
        if done.returncode:
            raise SourcesError(f"{done.stderr}{shlex.join(compiler)} failed")
        new.replace(library)
    return shlex.join(compiler)


def find_compiler(folder: Path) -> list[str]:
    """Return the command of the first compiler that works: $CXX, the system's, or zig's.

    Args:
        folder: for the files of a trial.

    Raises:
        NoCompilerError: if there is none.
    """
    trial, tried = folder / "trial.cc", []
    trial.write_text(TRIAL)
    for command in _candidates():
        done = _compile(command, [trial], folder / "trial.so")
        if done.returncode == 0:
            return command
        lines = done.stderr.splitlines() or [f"exit status {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[0])
        tried.append(f"{shlex.join(command)}: {first.strip()}")
    raise NoCompilerError(f"no C++ compiler works here ({'; '.join(tried) or 'there is none'})")


def _candidates() -> Iterator[list[str]]:
    if own := shlex.split(os.environ.get("CXX", "")):
        yield own
    yield from ([name] for name in ("c++", "g++", "clang++") if shutil.which(name))
    if importlib.util.find_spec(ZIG):
        yield _zig()


def _zig(target: str | None = None) -> list[str]:
    # Zig takes all that this processor can do, unless told otherwise.
    machine = ["-mcpu=baseline"] if target is None else ["-target", target]
    return [sys.executable, "-m", ZIG, "c++", *machine]


def _compile(
    compiler: Sequence[str], files: Sequence[Path], library: Path
) -> subprocess.CompletedProcess[str]:
    """Return the result of the last command: of linking, or of what failed before."""
    objects = [library.with_name(f"{file.name}.o") for file in files]
    for file, made in zip(files, objects, strict=True):
        done = _run([*compiler, *FLAGS, "-c", str(file), "-o", str(made)])
        if done.returncode:
            return done
    # As C: the sources need no library of C++, and zig would compile its own first.
    linker = ["cc" if word == "c++" and ZIG in compiler else word for word in compiler]
    return _run([*linker, *LINK_FLAGS, *map(str, objects), "-o", str(library), *LIBRARIES])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", error.strerror)


def main() -> int:
    try:
        print(f"Compiled the native library with {build()}")
    except NoCompilerError as error:
        print(f"The native library was not compiled: {error}", file=sys.stderr)
        return NO_COMPILER
    except SourcesError as error:
        print(f"{error}\nThe native library was not compiled", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"The native library was not compiled: {error}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
