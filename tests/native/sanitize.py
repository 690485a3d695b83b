"""Runs the native library under GCC's sanitizers, in programs without Python: `make sanitize`.

FUZZ_SECONDS says how long each fuzzer runs (5), SEED with what they begin (1).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import confluent_kafka

from tfkafka.native import build, sources

HERE = Path(__file__).parent
OUT = Path("artifacts/sanitize").absolute()
SECONDS, SEED = os.environ.get("FUZZ_SECONDS", "5"), os.environ.get("SEED", "1")
# librdkafka waits forever for a message that was not destroyed.
PATIENCE_S = 600
# A stack should name the line.
TRACEABLE = ("-g", "-fno-omit-frame-pointer")
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-rdynamic", *TRACEABLE)


class Sanitizers(NamedTuple):
    """What one build is checked for, and its drivers."""

    name: str
    flags: str
    drivers: tuple[str, ...]
    objects: tuple[str, ...] = ()


BUILDS = (
    Sanitizers(
        "address",
        "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all",
        (
            "fuzz_csv",
            "fuzz_json",
            "fuzz_example",
            "fuzz_filler",
            "fuzz_producer",
            "mock_cluster",
        ),
    ),
    Sanitizers("thread", "-fsanitize=thread", ("mock_cluster",), ("c11_threads",)),
)
OPTIONS = {
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"halt_on_error=1 suppressions={HERE / 'tsan.supp'}",
}


def main() -> int:
    """Build the library and the drivers, run them, and return how many failed."""
    if not (shutil.which("g++") and shutil.which("gcc")):
        return _refuse("needs g++ with its sanitizers, and there is none on PATH")
    libraries = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    librdkafka = next(libraries.glob("librdkafka*.so*"), None)
    if librdkafka is None:
        return _refuse("needs the librdkafka of confluent-kafka's wheel, and there is none")
    failed = []
    for each in BUILDS:
        plugin = _build_library(each)
        for driver in each.drivers:
            program = _build_driver(each, driver, plugin)
            is_fuzzer = driver.startswith("fuzz")
            arguments = [SECONDS, SEED] if is_fuzzer else [str(librdkafka), str(plugin), SEED]
            print(f"{each.name}: {driver} {' '.join(arguments)}", flush=True)
            if not _passes([str(program), *arguments]):
                failed.append(f"{each.name}: {driver}")
    print("make sanitize: " + ("; ".join(failed) + " failed" if failed else "nothing was found"))
    return len(failed)


def _refuse(why: str) -> int:
    print(f"make sanitize: {why}", file=sys.stderr)
    return 1


def _passes(command: list[str]) -> bool:
    timeout_s = int(SECONDS) + PATIENCE_S
    try:
        run = subprocess.run(command, env={**os.environ, **OPTIONS}, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        print(f"{command[0]} has not ended after {timeout_s} s", file=sys.stderr)
        return False
    return run.returncode == 0


def _build_library(sanitizers: Sanitizers) -> Path:
    folder = OUT / sanitizers.name
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / sources.LIBRARY.name
    flags = [*build.FLAGS, *TRACEABLE, *sanitizers.flags.split(), "-shared"]
    files: list[str | Path] = [*sources.sources(), "-o", library, *build.LIBRARIES]
    subprocess.run(["g++", *flags, *files], check=True)
    return library


def _build_driver(sanitizers: Sanitizers, driver: str, library: Path) -> Path:
    flags, target = sanitizers.flags.split(), library.with_name(driver)
    objects = [library.with_name(f"{name}.o") for name in sanitizers.objects]
    for made in objects:
        source = HERE / f"{made.stem}.c"
        subprocess.run(["gcc", "-O1", "-g", *flags, "-c", source, "-o", made], check=True)
    linked: list[str | Path] = [HERE / f"{driver}.cc", *objects, library]
    # The others have the real librdkafka, which these would hide.
    linked += [HERE / "absent.cc"] if driver.startswith("fuzz") else []
    linked += [f"-Wl,-rpath,{library.parent}", "-ldl"]
    subprocess.run(["g++", *FLAGS, *flags, *linked, "-o", target], check=True)
    return target


if __name__ == "__main__":
    sys.exit(main())
