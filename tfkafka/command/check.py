"""`tfkafka check`: can this cluster be used, and if not, why?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tfkafka.client.names import parse_addresses
from tfkafka.command.options import as_json_option, checked, command_config_option, print_json

if TYPE_CHECKING:
    from tfkafka.config import Settings


@click.command(short_help="Can this cluster be used, and if not, why?")
@click.argument("servers", callback=checked(parse_addresses))
@command_config_option
@as_json_option
@click.pass_context
def check(context: click.Context, servers: str, settings: Settings | None, as_json: bool) -> None:
    """Can the cluster at SERVERS (HOST:PORT[,HOST:PORT]) be used, and if not, why?

    Only asks: no topic, group or transaction is made. Ends with status 1 if the cluster cannot be
    used.
    """
    # Not imported above: --help need not wait for a Kafka client.
    from tfkafka.client.checkup import Finding, check_cluster

    findings: list[Finding] = []
    for finding in check_cluster(servers, settings):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.status:8} {finding.name:15} {finding.found}")
    is_usable = all(finding.status != "failed" for finding in findings)
    if as_json:
        found = [finding.as_json() for finding in findings]
        print_json({"servers": servers, "usable": is_usable, "findings": found})
    else:
        click.echo(f"This cluster can{'' if is_usable else 'not'} be used.")
    context.exit(0 if is_usable else 1)
