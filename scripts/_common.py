"""What the scripts share: options, checks before a step, and nothing of the tutorial itself.

Nothing slow is imported here, and scripts import nothing slow before their options are parsed.
"""

from __future__ import annotations

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} cannot run this: TensorFlow "
        f"needs Python 3.11 to 3.13, and tensorflow-io 3.11 or 3.12"
    )

import argparse
import importlib
import os
import shlex
import socket
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# So that a script runs from any folder, with nothing of this repository installed.
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import _terminal
from _options import ARTIFACTS, number_from, parse
from _terminal import WIDTH, quiet_tensorflow, shown

from reproduction import readers
from tfkafka.errors import BrokerError, TopicError

__all__ = [
    "ROOT",
    "end",
    "find_kafka",
    "import_reader",
    "kafka_folder",
    "keras_verbosity",
    "number_from",
    "parse",
    "quiet_tensorflow",
    "require_archive",
    "require_empty_topics",
    "require_file",
    "require_topic",
    "settings_list",
    "shown",
]

_terminal.install()


def end(arguments: argparse.Namespace, made: str, next_script: str) -> None:
    """Print what a script has made, and the command that comes next."""
    command = ["python", shown(Path(__file__).with_name(next_script))]
    if arguments.artifacts != ARTIFACTS:
        command += ["--artifacts", shown(arguments.artifacts)]
    following = f"Next: {shlex.join(command)}"
    print(made, following, sep=" " if len(made) + len(following) < WIDTH else "\n")


def kafka_folder(arguments: argparse.Namespace) -> Path:
    """Where the scripts' own Kafka lives."""
    return arguments.artifacts / "kafka"


def find_kafka(arguments: argparse.Namespace) -> str:
    """Address of a broker that answers: --bootstrap-servers, else the scripts' own, else :9092.

    Raises BrokerError where none answers.
    """
    # Not imported above: a usage error need not wait for a Kafka client.
    from tfkafka import Admin
    from tfkafka.testing.brokers import embedded

    servers = arguments.bootstrap_servers
    if servers is None:
        broker = embedded.attach(kafka_folder(arguments))
        servers = broker.bootstrap_servers if broker else "127.0.0.1:9092"
    try:
        _refuse_dead_address(servers)
        Admin(servers, arguments.command_config).topics()
    except BrokerError as error:
        raise BrokerError(f"{error}; scripts/02_start_kafka.py starts one") from error
    return servers


def _refuse_dead_address(servers: str) -> None:
    """Say at once that nobody listens: a Kafka client would try for its whole time-out."""
    host, _, number = servers.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(number)), timeout=10).close()
    except OSError as error:
        raise BrokerError(f"nobody listens at {servers} ({error})") from error


def require_topic(arguments: argparse.Namespace, servers: str, topic: str) -> int:
    """Records in a topic. Raises TopicError, naming the script that makes it, where it is empty."""
    records = _record_count(arguments, servers, topic)
    if records == 0:
        raise TopicError(f"topic {topic} on {servers} is empty: run scripts/05_write_to_kafka.py")
    return records


def require_empty_topics(arguments: argparse.Namespace, servers: str, *topics: str) -> None:
    """Raise TopicError for a topic that does not exist or holds records."""
    for topic in topics:
        if count := _record_count(arguments, servers, topic):
            raise TopicError(
                f"topic {topic} on {servers} holds {count:,} records already, and these would "
                f"come on top: run scripts/03_create_topics.py --recreate first"
            )


def _record_count(arguments: argparse.Namespace, servers: str, topic: str) -> int:
    from tfkafka import Admin

    admin = Admin(servers, arguments.command_config)
    if topic not in admin.topics():
        raise TopicError(f"there is no topic {topic} on {servers}: run scripts/03_create_topics.py")
    return admin.record_count(topic)


def settings_list(arguments: argparse.Namespace) -> list[str]:
    """The settings of --command-config, as tensorflow-io takes them."""
    return [f"{name}={value}" for name, value in (arguments.command_config or {}).items()]


def require_file(path: Path, script: str) -> Path:
    """The path, if it is there; else a FileNotFoundError that names the script that makes it."""
    if not path.exists():
        raise FileNotFoundError(2, f"is missing: run scripts/{script} first", str(path))
    return path


def require_archive(path: Path, script: str) -> Path:
    """The path, if a whole .keras or .npz is there; both are zip archives with checksums."""
    require_file(path, script)
    try:
        with zipfile.ZipFile(path) as archive:
            is_damaged = archive.testzip() is not None
    except zipfile.BadZipFile:
        is_damaged = True
    if is_damaged:
        raise OSError(5, f"is damaged, or something else: run scripts/{script} again", str(path))
    return path


def import_reader(name: str):
    """The module that offers tensorflow-io's names: tensorflow_io itself or tfkafka.tfio."""
    try:
        return importlib.import_module(readers.MODULES[name])
    except ImportError as error:
        sys.exit(
            f"{Path(sys.argv[0]).name}: --reader {name} cannot be imported ({error}): "
            f"tensorflow-io goes with TensorFlow 2.16 only (make's STACK=tutorial), and "
            f"--reader tfkafka without it"
        )


def keras_verbosity() -> int:
    """Keras' progress bar on a terminal, a line an epoch elsewhere."""
    return 1 if sys.stdout.isatty() else 2
