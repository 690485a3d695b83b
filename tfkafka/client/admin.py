"""Topics, and how far consumer groups are: create, describe, delete, committed offsets, lag.

What is described can be printed as Kafka's own `kafka-topics --describe` and
`kafka-consumer-groups --describe` print it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    ConfigSource,
    NewTopic,
    OffsetSpec,
)

from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError, TopicError

REQUEST_TIMEOUT_S = 10.0
OFFSETS_TOPIC = "__consumer_offsets"
# What a broker says in the moments until it knows that it leads a new partition.
_NOT_YET_LOADED = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
_NOT_YET_LED = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)


@dataclass(frozen=True)
class Partition:
    """One partition of a topic; brokers are named by their ids."""

    number: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True)
class Topic:
    """A topic, with the settings that are not Kafka's built-in defaults."""

    name: str
    partitions: tuple[Partition, ...]
    settings: Mapping[str, str]

    @property
    def replication_factor(self) -> int:
        return len(self.partitions[0].replicas)


@dataclass(frozen=True)
class GroupPartition:
    """How far a consumer group is in one partition, and which member reads it.

    `committed` and `lag` are None where nothing was committed, member fields where nobody reads.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    consumer_id: str | None
    host: str | None
    client_id: str | None

    @property
    def lag(self) -> int | None:
        return None if self.committed is None else self.end - self.committed


class Admin:
    """Administers a Kafka cluster.

    Args:
        bootstrap_servers: `HOST:PORT[,HOST:PORT]`.
        configuration: further librdkafka settings, such as those of a secured cluster.

    Every method raises BrokerError where no broker answers within 10 s.
    """

    def __init__(self, bootstrap_servers: str, configuration: Mapping[str, object] | None = None):
        self.bootstrap_servers = bootstrap_servers
        self._client = AdminClient(
            {"bootstrap.servers": bootstrap_servers, "log_level": 0, **(configuration or {})}
        )

    def topics(self) -> list[str]:
        """Names of all topics but Kafka's internal ones, sorted."""
        names = self._metadata().topics
        return sorted(name for name in names if not name.startswith("__"))

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        replication_factor: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic; returns when each of its partitions has a leader.

        Raises TopicError where it exists already, saying its partitions and records.
        """
        request = NewTopic(name, partitions, replication_factor, config=dict(settings or {}))
        try:
            self._result(self._client.create_topics([request])[name])
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._exists(name) from None
            raise TopicError(f"cannot create topic {name}: {error.args[0].str()}") from error
        wait_for(
            lambda: self._leaders(name) == partitions, f"leaders of the new topic {name}",
            error=TopicError,
        )  # fmt: skip

    def delete_topic(self, name: str) -> None:
        """Delete a topic and its records; returns when it is gone. TopicError if it is missing."""
        try:
            self._result(self._client.delete_topics([name])[name])
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise self._missing(name) from None
            raise TopicError(f"cannot delete topic {name}: {error.args[0].str()}") from error
        wait_for(lambda: name not in self.topics(), f"topic {name} to be gone", error=TopicError)

    def describe_topic(self, name: str) -> Topic:
        """A topic as it is now. Raises TopicError where there is none."""
        if name not in self.topics():
            raise self._missing(name)
        partitions = tuple(
            Partition(number, info.leader, tuple(info.replicas), tuple(info.isrs))
            for number, info in sorted(self._metadata(name).topics[name].partitions.items())
        )
        return Topic(name, partitions, self._settings(name))

    def end_offsets(self, name: str) -> dict[int, int]:
        """For each partition, the offset that its next record will get."""
        return self._offsets(name, OffsetSpec.latest())

    def record_count(self, name: str) -> int:
        """Offsets between beginning and end of all partitions: the records of a plain topic."""
        begin, end = self._offsets(name, OffsetSpec.earliest()), self.end_offsets(name)
        return sum(end[partition] - begin[partition] for partition in end)

    def describe_group(self, group: str) -> list[GroupPartition]:
        """How far a group is, a row for each partition that it committed or that a member reads.

        Empty for a group that is not known.
        """
        if not self._groups_are_kept():
            return []
        # In this order: asked for offsets, a coordinator that is still loading gives an answer on
        # which librdkafka 2.16 crashes; asked for members, it does not.
        members = self._members(group)
        committed = self._committed(group)
        keys = sorted({*committed, *members})
        ends = {name: self.end_offsets(name) for name in {topic for topic, _ in keys}}
        nobody = (None, None, None)
        return [
            GroupPartition(
                group, *key, committed.get(key), ends[key[0]][key[1]], *members.get(key, nobody)
            )
            for key in keys
        ]

    def has_members(self, group: str) -> bool:
        """Whether a consumer is in the group now."""
        if not self._groups_are_kept():
            return False
        return self._description(group).state not in (
            ConsumerGroupState.EMPTY,
            ConsumerGroupState.DEAD,
        )

    def _metadata(self, name: str | None = None):
        try:
            return self._client.list_topics(name, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise self._unreachable(error) from error

    def _leaders(self, name: str) -> int:
        # Asked for all topics: a question for one could create it, where brokers are set so.
        topic = self._metadata().topics.get(name)
        return sum(info.leader >= 0 for info in topic.partitions.values()) if topic else 0

    def _groups_are_kept(self) -> bool:
        """Whether the topic of all groups' offsets exists; returns when it can be asked.

        It is made when the first group appears. librdkafka 2.16 waits for ever on closing where
        a question about a group timed out because that topic was not there yet.
        """
        topic = self._metadata().topics.get(OFFSETS_TOPIC)
        if topic is None:
            return False
        wait_for(
            lambda: self._leaders(OFFSETS_TOPIC) == len(topic.partitions),
            f"leaders of {OFFSETS_TOPIC}",
        )
        return True

    def _settings(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        entries = self._result(self._client.describe_configs([resource])[resource])
        own = (entry for entry in entries.values() if not _is_default(entry))
        return {entry.name: entry.value for entry in own}

    def _offsets(self, name: str, which: OffsetSpec) -> dict[int, int]:
        topic = self._metadata().topics.get(name)
        if topic is None:
            raise self._missing(name)
        request = {TopicPartition(name, partition): which for partition in sorted(topic.partitions)}
        return wait_for(
            lambda: self._offsets_if_led(request), f"leaders of {name} to answer",
            REQUEST_TIMEOUT_S, TopicError,
        )  # fmt: skip

    def _offsets_if_led(self, request: dict[TopicPartition, OffsetSpec]) -> dict[int, int] | None:
        """None while a broker that the metadata names as a leader does not know it yet."""
        try:
            futures = self._client.list_offsets(request)
            return {key.partition: self._result(future).offset for key, future in futures.items()}
        except KafkaException as error:
            if error.args[0].code() in _NOT_YET_LED:
                return None
            raise

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        request = [ConsumerGroupTopicPartitions(group)]
        answer = self._result(self._client.list_consumer_group_offsets(request)[group])
        return {(p.topic, p.partition): p.offset for p in answer.topic_partitions if p.offset >= 0}

    def _members(self, group: str) -> dict[tuple[str, int], tuple[str, str, str]]:
        description = self._description(group)
        return {
            (p.topic, p.partition): (member.member_id, member.host, member.client_id)
            for member in description.members
            for p in (member.assignment.topic_partitions if member.assignment else [])
        }

    def _description(self, group: str):
        """Once the group's coordinator has loaded it."""
        return wait_for(
            lambda: self._description_if_loaded(group), f"the coordinator of group {group}",
            REQUEST_TIMEOUT_S, BrokerError,
        )  # fmt: skip

    def _description_if_loaded(self, group: str):
        try:
            return self._result(self._client.describe_consumer_groups([group])[group])
        except KafkaException as error:
            if error.args[0].code() in _NOT_YET_LOADED:
                return None
            raise

    def _result(self, future):
        try:
            return future.result(timeout=REQUEST_TIMEOUT_S)
        except TimeoutError as error:
            raise self._unreachable(error) from error
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT):
                raise self._unreachable(error) from error
            raise

    def _unreachable(self, error: Exception) -> BrokerError:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        return BrokerError(
            f"no Kafka broker answers at {self.bootstrap_servers} ({reason}): "
            f"start one, or name the right address"
        )

    def _missing(self, name: str) -> TopicError:
        return TopicError(f"there is no topic {name} on {self.bootstrap_servers}: create it first")

    def _exists(self, name: str) -> TopicError:
        return TopicError(
            f"topic {name} exists already on {self.bootstrap_servers}, with "
            f"{len(self.describe_topic(name).partitions)} partitions and "
            f"{self.record_count(name):,} records"
        )


def format_topic(topic: Topic) -> str:
    """A topic as `kafka-topics --describe` of Kafka 2.7 prints it."""
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
    "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID",
    "HOST", "CLIENT-ID",
)  # fmt: skip


def format_group(rows: list[GroupPartition]) -> str:
    """A group as `kafka-consumer-groups --describe` prints it."""
    table = [GROUP_COLUMNS]
    for row in rows:
        cells = (
            row.group, row.topic, row.partition, row.committed, row.end, row.lag,
            row.consumer_id, row.host, row.client_id,
        )  # fmt: skip
        table.append(tuple("-" if cell is None else str(cell) for cell in cells))
    widths = [max(len(line[column]) for line in table) for column in range(len(GROUP_COLUMNS))]
    return "\n".join(
        " ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def _is_default(entry) -> bool:
    return entry.is_default or entry.source == ConfigSource.DEFAULT_CONFIG.value


def _join(brokers: tuple[int, ...]) -> str:
    return ",".join(map(str, brokers))
