"""The command and how it ends: what a user can mend is one line, without a traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

import tfkafka
from tfkafka._util.text import of_error
from tfkafka.command.broker import broker
from tfkafka.command.cat import cat
from tfkafka.command.check import check
from tfkafka.errors import TfkafkaError

NAME = "tfkafka"
INTERRUPTED = 128 + signal.SIGINT


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(tfkafka.__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Apache Kafka for training: start a broker, check a cluster, look at a topic."""


cli.add_command(broker)
cli.add_command(cat)
cli.add_command(check)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or those of the process, and return its exit status."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        # click ends the process, with status 1, where nobody reads its output any more.
        status = cli.main(arguments, NAME, standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        reason = " ".join(error.format_message().split()).rstrip(".")
        return _refused(f"{path}: {reason} (see {path} --help)", 2)
    except click.ClickException as error:
        return _refused(f"{NAME}: {error.format_message()}")
    except (click.Abort, KeyboardInterrupt):
        return _refused(f"{NAME}: interrupted", INTERRUPTED)
    except (TfkafkaError, OSError) as error:
        return _refused(f"{NAME}: {of_error(error)}")
    return status or 0


def _refused(line: str, status: int = 1) -> int:
    print(line, file=sys.stderr)
    return status
