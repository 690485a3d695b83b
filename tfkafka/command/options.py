"""Options and output that commands have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfkafka.errors import TfkafkaError

if TYPE_CHECKING:
    from tfkafka.config import Settings

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for other programs."
)


def _load(
    _context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Settings | None:
    if path is None:
        return None
    # Not imported above: --help need not wait for it.
    from tfkafka.config import load

    try:
        return load(path)
    except TfkafkaError as error:
        raise click.BadParameter(str(error)) from None


command_config_option = click.option(
    "--command-config",
    "settings",
    type=click.Path(path_type=Path),
    envvar="TFKAFKA_COMMAND_CONFIG",
    show_envvar=True,
    callback=_load,
    help="A file of settings: librdkafka's name=value, or a Java client's properties.",
)


def print_json(value: object) -> None:
    """Print a value as JSON on one line."""
    click.echo(json_line(value))


def json_line(value: object) -> str:
    """Return a value as JSON on one line.

    Raises ValueError where a number is not finite, and RecursionError where it is nested too deep.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def checked(
    check: Callable[[str], object],
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Return a callback of click's that has a function check a value.

    Args:
        check: raises TfkafkaError where the value is wrong.
    """

    def callback(
        _context: click.Context, _parameter: click.Parameter, value: str | None
    ) -> str | None:
        try:
            if value is not None:
                check(value)
        except TfkafkaError as error:
            raise click.BadParameter(str(error)) from None
        return value

    return callback
