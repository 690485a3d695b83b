"""Consumer groups: how members share the partitions, and that all have left."""

from __future__ import annotations

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from tfkafka import Admin
from tfkafka.testing import wait_for
from tfkafka.testing.brokers.base import change

HEARTBEAT_MS = 100
# A member that does not leave is dropped after its session: 30 s or more where this is used.
LEFT_S = 20.0
COOPERATIVE = {"partition.assignment.strategy": "cooperative-sticky"}
# KIP-848, on Kafka 4.
CONSUMER = {"group.protocol": "consumer"}


def settings(protocol: dict[str, str], session_s: float, heartbeat_ms: int) -> dict[str, object]:
    """A member's settings; those of CONSUMER have none of the intervals: see `set_intervals`."""
    if protocol == CONSUMER:
        return {**protocol}
    return {
        **protocol,
        "session.timeout.ms": int(1000 * session_s),
        "heartbeat.interval.ms": heartbeat_ms,
    }


def set_intervals(servers: str, group: str, session_s: float, heartbeat_ms: int) -> None:
    """Set the intervals of a group of CONSUMER; the embedded broker takes short ones."""
    values = {
        "consumer.session.timeout.ms": int(1000 * session_s),
        "consumer.heartbeat.interval.ms": heartbeat_ms,
    }
    entries = [
        ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in values.items()
    ]
    resource = ConfigResource(ConfigResource.Type.GROUP, group, incremental_configs=entries)
    change(
        servers,
        f"group {group}",
        lambda client: client.incremental_alter_configs([resource]).values(),
    )


def wait_until_left(admin: Admin, group: str) -> None:
    """Wait until a group has no members. Raises where one is dropped only after its session."""
    wait_for(lambda: not admin.has_members(group), f"group {group} to be left", LEFT_S)
