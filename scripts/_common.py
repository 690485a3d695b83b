"""What the scripts share: flags, observations, errors, and nothing of the tutorial itself."""

from __future__ import annotations

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    sys.exit(
        f"Python {sys.version_info[0]}.{sys.version_info[1]} cannot run this: TensorFlow 2.16 "
        f"and tensorflow-io 0.37 need Python 3.11 or 3.12"
    )

import argparse
import importlib
import json
import math
import os
import signal
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# So that a script runs from any folder, with nothing of this repository installed.
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from reproduction import readers  # noqa: E402
from reproduction.claims import CONDITIONS  # noqa: E402
from reproduction.files import write_whole  # noqa: E402
from reproduction.report.errors import ReportError  # noqa: E402
from reproduction.susy.errors import SusyDataError  # noqa: E402
from tfkafka import Admin  # noqa: E402
from tfkafka.errors import BrokerError, TfkafkaError, TopicError  # noqa: E402
from tfkafka.testing.brokers import embedded  # noqa: E402
from tfkafka.testing.brokers.jars import known_versions  # noqa: E402

TUTORIAL_KAFKA = "2.7.2"
# What numpy and scikit-learn take.
LARGEST_SEED = 2**32 - 1


def number_from(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A type for argparse: a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            most = f" and at most {high}" if high < math.inf else ""
            raise argparse.ArgumentTypeError(f"is {number}: must be at least {low}{most}")
        return number

    parse.__name__ = "whole number"  # what argparse calls it where `int` refuses
    return parse


FLAGS: dict[str, dict[str, Any]] = {
    "--bootstrap-servers": {"help": "HOST:PORT; default: the Kafka that 02_start_kafka.py started"},
    "--kafka-version": {"default": TUTORIAL_KAFKA, "choices": known_versions()},
    "--rows": {
        "type": number_from(2),
        "default": 100_000,
        "help": "of SUSY; 60 %% to train, 40 %% to test",
    },
    "--susy": {"default": "auto", "help": "auto, uci, synthetic, a path or an address"},
    "--seed": {
        "type": number_from(0, LARGEST_SEED),
        "default": 1,
        "help": "of the split, the model and synthetic rows",
    },
    "--reader": {
        "choices": sorted(readers.MODULES),
        "default": "tfio",
        "help": "who reads from Kafka",
    },
    "--epochs": {"type": number_from(1), "default": 10},
}


def parse(description: str, *flags: str, **own: dict[str, Any]) -> argparse.Namespace:
    """Parse the command line: some of FLAGS, `own` ones by name, and --artifacts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in flags:
        parser.add_argument(flag, **FLAGS[flag])
    for name, options in own.items():
        parser.add_argument("--" + name.replace("_", "-"), **options)
    parser.add_argument(
        "--artifacts", type=Path, default=ROOT / "artifacts", help="folder of what scripts leave"
    )
    arguments = parser.parse_args()
    arguments.artifacts = arguments.artifacts.resolve()
    arguments.artifacts.mkdir(parents=True, exist_ok=True)
    return arguments


def kafka_folder(arguments: argparse.Namespace) -> Path:
    """Where the scripts' own Kafka lives."""
    return arguments.artifacts / "kafka"


def find_kafka(arguments: argparse.Namespace) -> str:
    """Address of a broker that answers: --bootstrap-servers, else the scripts' own, else :9092.

    Raises BrokerError where none answers.
    """
    servers = arguments.bootstrap_servers
    if servers is None:
        broker = embedded.attach(kafka_folder(arguments))
        servers = broker.bootstrap_servers if broker else "127.0.0.1:9092"
    try:
        _refuse_dead_address(servers)
        Admin(servers).topics()
    except BrokerError as error:
        raise BrokerError(f"{error}; scripts/02_start_kafka.py starts one") from error
    return servers


def _refuse_dead_address(servers: str) -> None:
    """Say at once that nobody listens: a Kafka client would try for its whole time-out."""
    host, _, port = servers.split(",")[0].rpartition(":")
    if not host or not port.isdigit():
        raise BrokerError(f"--bootstrap-servers {servers}: must be HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise BrokerError(f"nobody listens at {servers} ({error})") from error


def require_topic(servers: str, topic: str) -> int:
    """Records in a topic. Raises TopicError, naming the script that makes it, where it is empty."""
    admin = Admin(servers)
    if topic not in admin.topics():
        raise TopicError(f"there is no topic {topic} on {servers}: run scripts/03_create_topics.py")
    records = admin.record_count(topic)
    if records == 0:
        raise TopicError(f"topic {topic} on {servers} is empty: run scripts/05_write_to_kafka.py")
    return records


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


def observe(arguments: argparse.Namespace, **observed: Any) -> None:
    """Add to observations.json; a claim's id is written with `__` for its dot.

    With each the conditions of now, since scripts can run again one by one with others.
    """
    path = arguments.artifacts / "observations.json"
    observations = read_observations(path)
    news = {name.replace("__", "."): value for name, value in observed.items()}
    if "reader" in arguments:
        news["run.reader"] = arguments.reader
    observations.update(news)
    now = {name: observations[name] for name in CONDITIONS if name in observations}
    claims = [name for name in news if not name.startswith("run.")]
    observations.setdefault("conditions", {}).update(dict.fromkeys(claims, now))
    write_whole(path, json.dumps(observations, indent=1) + "\n")


def read_observations(path: Path) -> dict[str, Any]:
    """What scripts observed so far; a damaged file is an OSError."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise OSError(5, f"is damaged ({error}): delete it", str(path)) from error


_interrupts: list[int] = []


def _on_interrupt(number: int, frame) -> None:
    """Remember a Ctrl-C: pandas' parser, for one, makes another exception of it."""
    _interrupts.append(number)
    raise KeyboardInterrupt


def _one_line(kind: type[BaseException], error: BaseException, trace) -> None:
    """Errors that a user can mend are one line; anything else is a bug and keeps its traceback."""
    script = Path(sys.argv[0]).name
    if _interrupts or issubclass(kind, KeyboardInterrupt):
        print(f"\n{script}: interrupted", file=sys.stderr)
    elif issubclass(kind, OSError) and error.filename is not None:
        print(f"{script}: {error.filename}: {error.strerror}", file=sys.stderr)
    elif issubclass(kind, (TfkafkaError, SusyDataError, ReportError, OSError)) or _is_library_error(
        kind
    ):
        print(f"{script}: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _is_library_error(kind: type[BaseException]) -> bool:
    """Whether TensorFlow or a Kafka client raised it: what it says is about the data or Kafka."""
    names = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    return bool(
        names
        & {
            "tensorflow.python.framework.errors_impl.OpError",
            "kafka.errors.KafkaError",
            "cimpl.KafkaException",
        }
    )


sys.excepthook = _one_line
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _on_interrupt)
