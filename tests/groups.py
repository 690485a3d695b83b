"""The protocols with which members of a group share its partitions."""

from __future__ import annotations

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from tfkafka.testing.brokers.base import change

HEARTBEAT_MS = 100
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
