"""Descriptions of topics and groups, printed as Kafka's own tools print them.

These are `kafka-topics --describe` and `kafka-consumer-groups --describe`.
"""

from __future__ import annotations

from tfkafka._util import arguments
from tfkafka._util.text import printable
from tfkafka.client.admin import GroupPartition, Topic


def format_topic(topic: Topic) -> str:
    """Return a topic's description as `kafka-topics --describe` of Kafka 2.7 prints it.

    Example:
        admin = tfkafka.Admin("localhost:9092")
        print(tfkafka.format_topic(admin.describe_topic("susy-train")))
    """
    arguments.instance("topic", topic, Topic, "what Admin.describe_topic returns")
    settings = ",".join(f"{name}={value}" for name, value in sorted(topic.settings.items()))
    lines = [
        f"Topic: {topic.name}\tPartitionCount: {len(topic.partitions)}\t"
        f"ReplicationFactor: {topic.replication_factor}\tConfigs: {settings}"
    ]
    for partition in topic.partitions:
        lines.append(
            f"\tTopic: {topic.name}\tPartition: {partition.number}\tLeader: {partition.leader}\t"
            f"Replicas: {_join(partition.replicas)}\tIsr: {_join(partition.in_sync)}"
        )
    return "\n".join(lines)


GROUP_COLUMNS = (
    "GROUP",
    "TOPIC",
    "PARTITION",
    "CURRENT-OFFSET",
    "LOG-END-OFFSET",
    "LAG",
    "CONSUMER-ID",
    "HOST",
    "CLIENT-ID",
)


def format_group(rows: list[GroupPartition]) -> str:
    """Return a group's progress as `kafka-consumer-groups --describe` prints it.

    Example:
        admin = tfkafka.Admin("localhost:9092")
        print(tfkafka.format_group(admin.describe_group("my-group")))
    """
    what = "what Admin.describe_group returns"
    arguments.instance("rows", rows, list, what)
    table: list[tuple[str, ...]] = [GROUP_COLUMNS]
    for row in rows:
        arguments.instance("rows", row, GroupPartition, what)
        cells = (
            row.group,
            row.topic,
            row.partition,
            row.committed,
            row.end,
            row.lag,
            row.consumer_id,
            row.host,
            row.client_id,
        )
        table.append(tuple("-" if cell is None else printable(str(cell)) for cell in cells))
    widths = [max(len(line[column]) for line in table) for column in range(len(GROUP_COLUMNS))]
    return "\n".join(
        " ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def _join(brokers: tuple[int, ...]) -> str:
    return ",".join(map(str, brokers))
