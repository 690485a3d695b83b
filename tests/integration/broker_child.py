"""A Python of its own that starts brokers and is then killed or interrupted by a test.

python -m tests.integration.broker_child FOLDER VERSION DIES_WITH_PARENT BROKERS
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded, jars
from tfkafka.testing.brokers.folder import BrokerFolder
from tfkafka.testing.brokers.processes import GONE

ROOT = Path(__file__).parents[2]
STARTED = "started"
# A test that needs a moment of a start tries so often.
ATTEMPTS = 5


def java_of(folder: Path, main: str = "") -> list[psutil.Process]:
    """Java processes whose command line names `folder`, and the class `main` if given."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except GONE:
            continue
        is_java = command and Path(command[0]).name == "java"
        named = any(f"{folder}/" in part for part in command) and (not main or main in command)
        if is_java and alive and named:
            found.append(process)
    return found


def end_java_of(folder: Path) -> None:
    """What a failed test would leave running."""
    for process in java_of(folder):
        process.kill()


def fresh_cache(root: Path, lock: jars.Lock) -> Path:
    """Make a cache whose jars are links to those that are there already, as after a download.

    Returns the jars' folder.
    """
    filled = jars.fetch(lock, progress=False)
    folder = root / "kafka" / lock.version
    folder.mkdir(parents=True)
    for jar in lock.jars:
        (folder / jar.file_name).symlink_to(filled / jar.file_name)
    return folder


def spawn(
    folder: Path, version: str, die_with_parent: bool, brokers: int = 1
) -> subprocess.Popen[str]:
    """Start this module; its stdout says `started` once each broker answers."""
    arguments = [str(folder), version, str(int(die_with_parent)), str(brokers)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.broker_child", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def errors_of_signalled_start(
    folder: Path,
    version: str,
    moment: str,
    number: signal.Signals,
    die_with_parent: bool,
    brokers: int = 1,
) -> str | None:
    """Send a signal to a start while Java runs the class `moment`, and return what stderr says.

    None where that was missed, as on a slow machine: Java had ended, or all brokers answered.
    """

    def seen() -> object:
        # In this order: once the broker runs, what is not seen has been there before.
        has_broker = BrokerFolder(folder).read_state() is not None
        return java_of(folder, moment) or has_broker

    with spawn(folder, version, die_with_parent, brokers) as child:
        is_in_time = wait_for(seen, f"a Java process that runs {moment}", 60) is not True
        child.send_signal(number)
        output, errors = child.communicate(timeout=60)
    return errors if is_in_time and STARTED not in output else None


def main() -> None:
    folder, version, die_with_parent, brokers = sys.argv[1:]
    if brokers == "1":
        embedded.start(folder, version, die_with_parent=die_with_parent == "1", progress=False)
    else:
        embedded.start_cluster(folder, version, int(brokers), progress=False)
    print(STARTED, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
