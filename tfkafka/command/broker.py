"""`tfkafka broker`: a Kafka to try things on, which goes on when the command has ended."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfkafka.command.options import as_json_option, print_json
from tfkafka.testing.brokers.packages import what_is_missing
from tfkafka.testing.brokers.versions import known_versions

if TYPE_CHECKING:
    from tfkafka.testing.brokers.embedded import EmbeddedBroker, EmbeddedCluster
    from tfkafka.testing.brokers.running import StartedBrokers
    from tfkafka.testing.brokers.security import Security

ANSWER_TIMEOUT_S = 2.0
# On a slow machine a broker that runs may answer later.
ANSWER_DEADLINE_S = 10.0
ASK_AGAIN_S = 0.1
VERSIONS = known_versions()
USER, MECHANISM = "user", "SCRAM-SHA-512"


def default_folder() -> Path:
    """Return the folder `tfkafka/broker` in $XDG_STATE_HOME or ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "tfkafka" / "broker"


folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    default=default_folder,
    show_default="tfkafka/broker in ~/.local/state",
    help="Where its data, settings and log are.",
)


@click.group(short_help="Start and stop a Kafka to try things on.")
def broker() -> None:
    """Start and stop an Apache Kafka on 127.0.0.1, to try things on.

    It needs no Docker and no installed Java. The first start of a version downloads it.
    """


@broker.command()
@click.option("--version", type=click.Choice(VERSIONS), default=VERSIONS[-1], show_default=True)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=9092,
    show_default=True,
    help="The port of the broker; of several, that of the first one.",
)
@click.option(
    "--secured",
    is_flag=True,
    help="Listen with TLS and a password, too; a file has the settings for clients.",
)
@click.option(
    "--brokers",
    type=click.IntRange(1, 99),
    default=1,
    show_default=True,
    help="How many form a cluster.",
)
@folder_option
@as_json_option
def start(
    version: str, port: int, secured: bool, brokers: int, folder: Path, as_json: bool
) -> None:
    """Start a broker, and return once it answers. It goes on until `tfkafka broker stop`."""
    _start(version, port, secured, brokers, folder)
    started = _started_in(folder)
    if as_json:
        print_json({"status": "running", **_facts(started)})
        return
    click.echo(f"Kafka {version} answers at {started.servers}.")
    _show_secured(started)
    click.echo(f"Its data and log are in {folder}.")


@broker.command()
@folder_option
@as_json_option
def status(folder: Path, as_json: bool) -> None:
    """Show what runs. Ends with status 1 unless all of it answers."""
    started = _started_in(folder)
    if not started:
        found, line = "stopped", f"No Kafka was started in {folder}."
    elif dead := started.dead():
        found = "died"
        where = ", ".join(state.address for state in dead)
        line = f"Kafka {started.version} at {where} has died; its log is in {folder}."
    elif not _answers(started):
        found = "silent"
        line = f"Kafka {started.version} at {started.servers} runs, and does not answer."
    else:
        found, line = "running", f"Kafka {started.version} answers at {started.servers}."
    if as_json:
        print_json({"status": found, **_facts(started)})
    else:
        click.echo(line)
        _show_secured(started)
    click.get_current_context().exit(0 if found == "running" else 1)


@broker.command()
@folder_option
@as_json_option
def stop(folder: Path, as_json: bool) -> None:
    """Stop what runs; the data stay."""
    started = _started_in(folder)
    facts, line = _facts(started), started.stop()
    if as_json:
        print_json({"status": "stopped", **facts})
    else:
        click.echo(line)


def _start(version: str, port: int, secured: bool, brokers: int, folder: Path) -> None:
    started = _started_in(folder)
    if len(started.dead()) < len(started):
        raise click.ClickException(
            f"Kafka {started.version} runs already at {started.servers} (folder {folder}): end it "
            f"with tfkafka broker stop, or name another folder with --folder"
        )
    started.stop()
    from tfkafka.testing.brokers import embedded

    security = _one_user() if secured else None
    new: EmbeddedBroker | EmbeddedCluster
    if brokers > 1:
        new = embedded.start_cluster(
            folder, version, brokers, port=port, security=security, die_with_parent=False
        )
    else:
        new = embedded.start(folder, version, port, security=security, die_with_parent=False)
    if security:
        _write_client_settings(folder, new)


def _one_user() -> Security:
    """Return the security of one user, whose password only a file for the caller has."""
    import secrets

    from tfkafka.testing.brokers.security import Security

    return Security((MECHANISM,), "server", {USER: secrets.token_urlsafe(24)})


def _write_client_settings(folder: Path, started: EmbeddedBroker | EmbeddedCluster) -> None:
    from tfkafka.testing.brokers import private

    try:
        settings = started.client_configuration(USER, MECHANISM)
        private.write_client_settings(_client_settings(folder), settings)
    except BaseException:
        started.stop()
        raise


def _client_settings(folder: Path) -> Path:
    return folder / "client.properties"


def _started_in(folder: Path) -> StartedBrokers:
    if missing := what_is_missing():
        raise click.ClickException(missing)
    from tfkafka.testing.brokers.running import started_in

    return started_in(folder)


def _answers(started: StartedBrokers) -> bool:
    """Return whether each broker answers; they are asked again as long as they may."""
    from tfkafka.testing.brokers.base import live_brokers

    deadline = time.monotonic() + ANSWER_DEADLINE_S
    while started.active():
        if len(live_brokers(started.servers, ANSWER_TIMEOUT_S)) == len(started):
            return True
        if time.monotonic() > deadline:
            break
        time.sleep(ASK_AGAIN_S)
    return False


def _facts(started: StartedBrokers) -> dict[str, object]:
    if not started:
        return {"folder": str(started.folder)}
    secured = started.secured_servers
    return {
        "version": started.version,
        "bootstrap_servers": started.servers,
        "secured_servers": secured,
        "command_config": str(_client_settings(started.folder)) if secured else None,
        "pids": [each.pid for state in started.states for each in state.processes()],
        "folder": str(started.folder),
    }


def _show_secured(started: StartedBrokers) -> None:
    if servers := started.secured_servers:
        file = _client_settings(started.folder)
        click.echo(f"With TLS and a password at {servers}; clients' settings: {file}")
