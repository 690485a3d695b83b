"""A group's committed offsets, for programs that are not its members."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tfkafka import config
from tfkafka.chunk import Positions, TopicPartition
from tfkafka.client.consumer import Consumer
from tfkafka.client.lineage import Committed, Lineage


def commit_as_outsider(
    settings: Mapping[str, object], positions: Positions, lineage: Lineage | None = None
) -> None:
    """Commit for a group after leaving it; Kafka accepts it while the group has no member.

    Args:
        lineage: see `Consumer`.
    """
    if not positions:
        return
    consumer = _outsider(settings, positions, lineage)
    try:
        consumer.commit(positions)
    finally:
        consumer.close()


def committed_as_outsider(
    settings: Mapping[str, object], partitions: Collection[TopicPartition], timeout_s: float
) -> tuple[dict[TopicPartition, Committed], str | None]:
    """Return what `Consumer.committed` does, from any thread.

    `committed` of a consumer that another thread polls can wait forever, whatever its timeout (seen
    with librdkafka 2.16).
    """
    consumer = _outsider(settings, partitions)
    try:
        return consumer.committed(partitions, timeout_s)
    finally:
        consumer.close()


def _outsider(
    settings: Mapping[str, object],
    partitions: Iterable[TopicPartition],
    lineage: Lineage | None = None,
) -> Consumer:
    chosen = {name: value for name, value in settings.items() if name != "group.instance.id"}
    topics = {source.topic for source in partitions}
    return Consumer(chosen, config.Limits(), topics, lineage=lineage)
