"""Compiles the native library, with the standard library alone: hatchling's hook and make run this.

python tfkafka/native/build.py
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("columns.cc", "filler.cc", "parser.cc")
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-Wall",
    "-Wextra",
)
LIBRARY = HERE / "libtfkafka_native.so"


def build(target: Path = LIBRARY) -> None:
    """Compile the library to `target`."""
    compiler = shlex.split(os.environ.get("CXX", "")) or [shutil.which("c++") or "c++"]
    new = target.with_suffix(f".{os.getpid()}")
    sources = [str(HERE / name) for name in SOURCES if (HERE / name).exists()]
    subprocess.run([*compiler, *FLAGS, *sources, "-o", str(new), "-ldl"], check=True)
    new.replace(target)


if __name__ == "__main__":
    build()
    sys.exit()
