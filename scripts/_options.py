"""The options of the scripts, and how they are checked: in one line, before anything slow."""

from __future__ import annotations

import argparse
import functools
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from _terminal import WIDTH

from reproduction import readers
from tfkafka import config
from tfkafka.errors import ConfigurationError
from tfkafka.testing.brokers.versions import known_versions

ARTIFACTS = Path(__file__).resolve().parent.parent / "artifacts"
TUTORIAL_KAFKA = "2.7.2"
# What numpy and scikit-learn take.
LARGEST_SEED = 2**32 - 1
LARGEST_PORT = 2**16 - 1


def number_from(low: int, high: float = math.inf) -> Callable[[str], int]:
    """Return a type for argparse: a whole number from `low` to `high`."""
    allowed = f"from {low} to {high}" if high < math.inf else f"of at least {low}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number {allowed}, not {text}")
        return number

    return parse


port = number_from(1, LARGEST_PORT)


def addresses(text: str) -> str:
    """Check HOST:PORT, or several with commas between them, for argparse."""
    for address in text.split(","):
        host, _, number = address.rpartition(":")
        if not host or not number.isdecimal() or not 1 <= int(number) <= LARGEST_PORT:
            raise argparse.ArgumentTypeError(
                f"must be HOST:PORT, the port from 1 to {LARGEST_PORT}, not {text}"
            )
    return text


def settings(path: str) -> config.Settings:
    """Read a file of a client's settings, for argparse."""
    try:
        return config.load(path)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


FLAGS: dict[str, dict[str, Any]] = {
    "--bootstrap-servers": {
        "type": addresses,
        "help": "HOST:PORT; default: the Kafka that 02_start_kafka.py started",
    },
    "--command-config": {
        "type": settings,
        "metavar": "FILE",
        # argparse reads this file, too.
        "default": os.environ.get(config.COMMAND_CONFIG_VARIABLE),
        "help": f"settings of clients; default: the file ${config.COMMAND_CONFIG_VARIABLE}, if set",
    },
    "--kafka-version": {"default": TUTORIAL_KAFKA, "choices": known_versions()},
    "--port": {"type": port, "default": 9092, "help": "of the broker"},
    "--zookeeper-port": {
        "type": port,
        "help": "of ZooKeeper (2181), or of the KRaft controller (a free one)",
    },
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
    "--epochs": {"type": number_from(1), "default": 10, "help": "over susy-train"},
    "--late-rows": {
        "type": number_from(0),
        "default": 0,
        "help": "send so many records once more, 6 s after the last one",
    },
    "--verbose": {"action": "store_true", "help": "show TensorFlow's own messages"},
}


class _Parser(argparse.ArgumentParser):
    """argparse's parser, which says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')} (see --help)\n")


def parse(description: str, *flags: str, **own: dict[str, Any]) -> argparse.Namespace:
    """Parse the command line: some of FLAGS, `own` ones by name, and --artifacts.

    Whoever asks where Kafka is, asks for the settings of clients as well: `command_config`, None
    where there are none.
    """
    width = min(WIDTH, shutil.get_terminal_size().columns)
    formatter = functools.partial(argparse.RawDescriptionHelpFormatter, width=width)
    parser = _Parser(description=description, formatter_class=formatter)
    for flag in flags:
        parser.add_argument(flag, **FLAGS[flag])
        if flag == "--bootstrap-servers":
            parser.add_argument("--command-config", **FLAGS["--command-config"])
    for name, options in own.items():
        parser.add_argument("--" + name.replace("_", "-"), **options)
    parser.add_argument(
        "--artifacts", type=Path, default=ARTIFACTS, help="folder of what scripts leave"
    )
    arguments = parser.parse_args()
    if "--bootstrap-servers" in flags and arguments.command_config is not None:
        servers = arguments.command_config.pop("bootstrap.servers", None)
        arguments.bootstrap_servers = arguments.bootstrap_servers or servers
    arguments.artifacts = arguments.artifacts.resolve()
    arguments.artifacts.mkdir(parents=True, exist_ok=True)
    return arguments
