"""Which member of a group has which partitions."""

from __future__ import annotations

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import ConsumerGroupDescription

from tfkafka.chunk import TopicPartition
from tfkafka.client.cluster import Cluster


def description(cluster: Cluster, group: str) -> ConsumerGroupDescription:
    """Return a group's description, once its coordinator has loaded it."""
    return cluster.ask_coordinator(group, lambda each: each.describe(group), "DESCRIBE")


def members(cluster: Cluster, group: str) -> dict[str, set[TopicPartition]]:
    """Return the partitions of each member of a group, by the members' ids.

    Empty while partitions change hands: with `group.protocol=consumer` a member is said to have
    those that it still has to give away.
    """
    found = description(cluster, group)
    if found.state != ConsumerGroupState.STABLE:
        return {}
    return {
        member.member_id: {
            TopicPartition(place.topic, place.partition)
            for place in (member.assignment.topic_partitions if member.assignment else [])
        }
        for member in found.members
    }
