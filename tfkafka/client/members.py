"""Which member of a group has which partitions."""

from __future__ import annotations

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import ConsumerGroupDescription

from tfkafka.chunk import TopicPartition
from tfkafka.client.cluster import Cluster
from tfkafka.client.coordinator import Coordinator


def description(cluster: Cluster, coordinator: Coordinator, group: str) -> ConsumerGroupDescription:
    """Return a group's description, once its coordinator has loaded it."""
    resource = f"group {group}"
    return cluster.ask(
        resource,
        lambda timeout_s: cluster.result(coordinator.describe(group), timeout_s, coordinator.poll),
        right=("DESCRIBE", resource),
    )


def members(cluster: Cluster, group: str) -> dict[str, set[TopicPartition]]:
    """Return the partitions of each member of a group, by the members' ids.

    Empty while partitions change hands: with `group.protocol=consumer` a member is said to have
    those that it still has to give away.
    """
    with cluster.coordinators.one() as coordinator:
        found = description(cluster, coordinator, group)
    if found.state != ConsumerGroupState.STABLE:
        return {}
    return {
        member.member_id: {
            TopicPartition(place.topic, place.partition)
            for place in (member.assignment.topic_partitions if member.assignment else [])
        }
        for member in found.members
    }
