"""Kafka's classes as Java has parsed them, in a file beside the jars: it halves a start's CPU time.

Java maps the archive into memory (class data sharing). It belongs to one Java and to these jars,
and the first start that finds none makes it. No start fails for want of it: where it cannot be
made or used, Java parses the jars again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.processes import java_executable, run_java

# An archive has 60 MB. Java finds out that the disk is full only after seconds of work.
FREE_BYTES = 300_000_000
# Objects can be archived only from the heap of this collector; others can load them.
DUMP = ["-Xshare:dump", "-XX:+UseG1GC", "-Xmx512M"]


class Recording:
    """What the Java processes of a start load, and the archive that is made of it."""

    def __init__(self, lock: jars.Lock, archive: Path, scratch: Path):
        self._lock = lock
        self._archive = archive
        self._scratch = scratch
        self._lists: list[Path] = []

    def flags(self, main: str) -> list[str]:
        """Return the flags with which a process records what it loads; none for a second one."""
        path = self._scratch / f"{main}.classes"
        if path in self._lists:
            return []
        self._lists.append(path)
        return ["-XX:+IgnoreUnrecognizedVMOptions", f"-XX:DumpLoadedClassList={path}"]

    def make_archive(self) -> None:
        """Make the archive, or an empty one where Java cannot: then no start tries it again."""
        classes, made = self._scratch / "classes", self._scratch / "archive"
        with suppress(OSError):
            lists = [path.read_text("latin-1") for path in self._lists]
            classes.write_text(merged(lists), "latin-1")
            target = [f"-XX:SharedClassListFile={classes}", *_archive_flags(made)]
            done = run_java([*DUMP, *target, "-cp", jars.classpath(self._lock)])
            if done.returncode:
                made.write_bytes(b"")
            os.replace(made, self._archive)


def flags(lock: jars.Lock) -> list[str]:
    """Return Java's flags for the archive; none where there is no archive."""
    with suppress(OSError):
        archive = _archive_of(lock)
        if archive.stat().st_size:
            return _archive_flags(archive)
    return []


@contextmanager
def recording(lock: jars.Lock) -> Iterator[Recording | None]:
    """Yield the recording of a start; None where there is an archive, or none can be made now."""
    with ExitStack() as stack:
        yield _begin(lock, stack)


def merged(lists: Iterable[str]) -> str:
    """Return one list of classes for those of several processes.

    Java numbers the classes of each list. One that is still being written can end within a line.
    """
    whole = (line for text in lists for line in text.rpartition("\n")[0].splitlines())
    # A class with a source has a loader of its program's own, which the number is for.
    classes = (line.split(" id: ")[0] for line in whole if " source: " not in line)
    return "".join(f"{line}\n" for line in dict.fromkeys(classes))


def _begin(lock: jars.Lock, until: ExitStack) -> Recording | None:
    try:
        archive = _archive_of(lock)
        if archive.exists() or shutil.disk_usage(archive.parent).free < FREE_BYTES:
            return None
        file = until.enter_context((archive.parent / ".classes.lock").open("w"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if archive.exists():
            return None  # another process made it meanwhile
        scratch = archive.parent / ".classes"
        shutil.rmtree(scratch, ignore_errors=True)  # of a start that was killed
        scratch.mkdir()
        until.callback(shutil.rmtree, scratch, ignore_errors=True)
    except OSError:  # the folder cannot be written, or another process makes the archive
        return None
    return Recording(lock, archive, scratch)


def _archive_of(lock: jars.Lock) -> Path:
    """Return where the archive of this Java and these jars is.

    Java compares an archive with the order, sizes and times of the jars, and then starts without.
    """
    folder = jars.folder_of(lock)
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".jar")]
    classpath = [(name, stat.st_size, int(stat.st_mtime)) for name, stat in found]
    java = (Path(java_executable()).parents[1] / "release").read_text()
    key = hashlib.sha256(repr((java, classpath)).encode()).hexdigest()[:16]
    return folder / f"classes-{key}.jsa"


def _archive_flags(archive: Path) -> list[str]:
    # A damaged archive crashes Java 21 unless it is verified. Java prints a warning about each
    # archive that it cannot use.
    return [f"-XX:SharedArchiveFile={archive}", "-XX:+VerifySharedSpaces", "-Xlog:cds*=off"]
