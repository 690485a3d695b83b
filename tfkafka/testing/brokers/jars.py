"""Kafka's jars: listed with Maven coordinates and sha256 in a lock file, and kept in a cache.

A version of Kafka needs only a lock file, which `lock.py` writes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.versions import LOCKS, known_versions

if TYPE_CHECKING:
    from jgo.maven import MavenContext

REPOSITORY_VARIABLE = "TFKAFKA_MAVEN_REPOSITORY"
CACHE_VARIABLE = "TFKAFKA_CACHE"


@dataclass(frozen=True)
class Jar:
    """One jar, or another file of Maven's, of a lock file; `size` in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int
    classifier: str = ""
    packaging: str = "jar"

    @property
    def file_name(self) -> str:
        parts = (self.artifact, self.version, self.classifier)
        return f"{'-'.join(filter(None, parts))}.{self.packaging}"

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


@dataclass(frozen=True)
class Lock:
    """A version of Kafka: its jars, and whether ZooKeeper or KRaft keeps its metadata.

    Or that of another program: then `metadata` is "".
    """

    version: str
    metadata: str
    jars: tuple[Jar, ...]
    program: str = "Kafka"

    @property
    def uses_zookeeper(self) -> bool:
        return self.metadata == "zookeeper"

    @property
    def uses_log4j2(self) -> bool:
        return any(jar.artifact == "log4j-core" for jar in self.jars)


def read_lock(version: str) -> Lock:
    """Return the lock of a Kafka version. Raises BrokerError for a version without one."""
    if version not in known_versions():
        raise BrokerError(
            f"no lock file for Kafka {version}; there are {', '.join(known_versions())} "
            f"(python -m tfkafka.testing.brokers.lock makes another)"
        )
    return read_program_lock(version)


def read_kraft_lock(version: str, what: str) -> Lock:
    """Return the lock of a version. Raises BrokerError without KRaft, which `what` needs."""
    lock = read_lock(version)
    if lock.uses_zookeeper:
        raise BrokerError(
            f"{what} needs Kafka with KRaft, which {lock.version} has not: "
            f"use one of {', '.join(kraft_versions())}"
        )
    return lock


def kraft_versions() -> list[str]:
    """Return the Kafka versions that keep their metadata themselves, oldest first."""
    return [version for version in known_versions() if not read_lock(version).uses_zookeeper]


def read_program_lock(name: str) -> Lock:
    """Return the lock in a file that there is."""
    data = tomllib.loads((LOCKS / f"{name}.toml").read_text())
    locked = tuple(Jar(**jar) for jar in data["jars"])
    return Lock(data["version"], data["metadata"], locked, data.get("program", Lock.program))


def cache_folder() -> Path:
    """Return $TFKAFKA_CACHE, or else the folder `tfkafka` in $XDG_CACHE_HOME or ~/.cache."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfkafka"


def folder_of(lock: Lock) -> Path:
    """Return the folder of the cache that has the jars of `lock`, or will have them."""
    return cache_folder() / lock.program.lower() / lock.version


def fetch(lock: Lock, progress: bool = True) -> Path:
    """Return the folder with all jars of `lock`; download missing ones, with a progress bar.

    The sha256 of those that are there is checked, also where they were downloaded long ago: Java
    runs what is in them. One with another is replaced.

    Raises BrokerError where a jar cannot be downloaded or does not have the locked sha256, or
    where Java cannot use the folder.
    """
    folder = folder_of(lock)
    if os.pathsep in str(folder):
        raise BrokerError(
            f"Java cannot find jars in {folder}: {os.pathsep!r} separates folders for it; "
            f"set {CACHE_VARIABLE} to a folder without it"
        )
    with ThreadPoolExecutor() as pool:
        right = pool.map(lambda jar: _is_right(folder / jar.file_name, jar), lock.jars)
        missing = [jar for jar, is_right in zip(lock.jars, right, strict=True) if not is_right]
    if missing:
        _download(missing, folder, f"{lock.program} {lock.version}", progress)
    return folder


def classpath(lock: Lock) -> str:
    """Return all jars of `lock`, which were fetched, as Java takes them."""
    return f"{folder_of(lock)}/*"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def maven_context(folder: Path) -> MavenContext:
    """Return a jgo context that keeps its downloads in `folder`."""
    from jgo.maven import MavenContext

    repository = os.environ.get(REPOSITORY_VARIABLE)
    remotes = {"mirror": repository} if repository else None
    return MavenContext(repo_cache=folder, remote_repos=remotes, timeout=30)


def _is_right(path: Path, jar: Jar) -> bool:
    try:
        return path.stat().st_size == jar.size and sha256_of(path) == jar.sha256
    except OSError:
        return False


def _download(jars: list[Jar], folder: Path, what: str, progress: bool) -> None:
    from tqdm import tqdm

    bar = tqdm(
        total=sum(jar.size for jar in jars),
        desc=f"{what}: {len(jars)} jars (once)",
        unit="B",
        unit_scale=True,
        disable=not progress,
        file=sys.stderr,
    )
    # jgo downloads directly to the final name in its own cache, where a broken download would look
    # whole. A temporary cache, and a rename after the check, keep this cache correct.
    with bar, temporary_folder(folder) as scratch, ThreadPoolExecutor(8) as pool:
        context = maven_context(scratch)
        futures = [pool.submit(_download_one, context, jar, folder) for jar in jars]
        try:
            for jar, future in zip(jars, futures, strict=True):
                future.result()
                bar.update(jar.size)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download_one(context: MavenContext, jar: Jar, folder: Path) -> None:
    project = context.project(jar.group, jar.artifact)
    try:
        path = project.at_version(jar.version).artifact(jar.classifier, jar.packaging).resolve()
    except (RuntimeError, OSError) as error:
        raise BrokerError(
            f"cannot download {jar.coordinates}: {_first_line(error)}; the first use needs the "
            f"network, later ones do not ({REPOSITORY_VARIABLE} names a mirror)"
        ) from error
    found = sha256_of(path)
    if found != jar.sha256:
        raise BrokerError(
            f"{jar.coordinates} has sha256 {found}, but {jar.sha256} is locked: "
            f"the download is damaged or another's; nothing was kept"
        )
    os.replace(path, folder / jar.file_name)


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """Yield a folder on the file system of `beside`, so that a rename out of it is atomic."""
    try:
        beside.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=beside))
    except OSError as error:
        raise BrokerError(
            f"cannot write Kafka's jars to {beside}: {error.strerror}; "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
