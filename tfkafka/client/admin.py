"""Topics (create, describe, delete) and consumer groups (committed offsets, lag)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import (
    ConsumerGroupState,
    KafkaError,
    KafkaException,
)
from confluent_kafka.admin import (
    ConfigEntry,
    ConfigSource,
    NewTopic,
)

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.waiting import wait_for
from tfkafka.chunk import TopicPartition
from tfkafka.client import codes, create
from tfkafka.client.change import change
from tfkafka.client.cluster import Cluster
from tfkafka.client.diagnosis import is_unauthorized, with_right
from tfkafka.client.members import description
from tfkafka.client.names import check_topic_name
from tfkafka.errors import BrokerError, TopicError

REQUEST_TIMEOUT_MS = 10_000
OFFSETS_TOPIC = "__consumer_offsets"
# What Kafka's protocol has room for.
LARGEST_COUNT, LARGEST_REPLICATION = 2**31 - 1, 2**15 - 1
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Partition:
    """One partition of a topic; brokers are given by their ids."""

    number: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True)
class Topic:
    """A topic, with those of its settings that are not Kafka's built-in defaults."""

    name: str
    partitions: tuple[Partition, ...]
    settings: Mapping[str, str]

    @property
    def replication_factor(self) -> int:
        """The number of brokers that have each partition."""
        return len(self.partitions[0].replicas)


@dataclass(frozen=True)
class GroupPartition:
    """A consumer group's progress in one partition, and the member that reads it.

    `committed` and `lag` are None where no offset was committed; `consumer_id`, `host` and
    `client_id` are None where no member reads the partition.

    Example:
        for row in tfkafka.Admin("localhost:9092").describe_group("my-group"):
            print(row.topic, row.partition, row.committed, row.end, row.lag)
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
        """The number of offsets that are not committed yet."""
        return None if self.committed is None else self.end - self.committed


class Admin:
    """An administration client for a Kafka cluster.

    Args:
        bootstrap_servers: `HOST:PORT[,HOST:PORT]`.
        configuration: librdkafka's settings, such as those of a secured cluster.

    Raises ConfigurationError where a setting is unknown or refused. Every method raises BrokerError
    where no broker answers within 10 s, or as soon as it is clear that none will.

    Example:
        admin = tfkafka.Admin("localhost:9092")
        admin.create_topic("new-topic", partitions=3)
        print(admin.topics(), admin.record_count("new-topic"))
    """

    def __init__(self, bootstrap_servers: str, configuration: config.Configuration = None):
        self.bootstrap_servers = arguments.text("bootstrap_servers", bootstrap_servers)
        settings = config.ADMIN_ISOLATION | config.parse(configuration)
        settings["bootstrap.servers"] = self.bootstrap_servers
        create.check(settings)
        self._cluster = Cluster(settings, REQUEST_TIMEOUT_MS, BrokerError)

    def topics(self) -> list[str]:
        """Return the names of all topics except Kafka's internal ones, sorted."""
        names = self._cluster.metadata().topics
        return sorted(name for name in names if not name.startswith("__"))

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        replication_factor: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic, and wait until each of its partitions has a leader.

        Raises TopicError where it already exists; the message has its partitions and records. Or
        where the user may not create it, or may not see what was created.
        """
        _check_name(name)
        arguments.optional(arguments.mapping, "settings", settings)
        partitions = arguments.whole_number("partitions", partitions, 1, LARGEST_COUNT)
        copies = arguments.whole_number(
            "replication_factor", replication_factor, 1, LARGEST_REPLICATION
        )
        chosen = dict(settings or {})
        for setting, value in chosen.items():
            arguments.text(f"settings[{setting!r}]", value)
        request = NewTopic(name, partitions, copies, config=chosen)
        wait_for(
            lambda: self._is_created(request),
            f"an earlier topic {name} to be gone",
            error=TopicError,
        )
        self._refuse_hidden(name)
        wait_for(
            lambda: self._leaders(name) == partitions,
            f"leaders of the new topic {name}",
            error=TopicError,
        )

    def _is_created(self, request: NewTopic) -> bool:
        """Create a topic; return False while an earlier one of that name is being deleted.

        Kafka 2.7.2 lists a deleted topic no longer, and knows its name a moment longer.
        """
        name = request.topic
        try:
            change(
                self._cluster,
                f"topic {name}",
                lambda: self._cluster.client.create_topics([request]).values(),
                KafkaError.TOPIC_ALREADY_EXISTS,
            )
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                reason = with_right(error.args[0], "CREATE", f"topic {name}")
                raise TopicError(f"cannot create topic {name}: {reason}", topic=name) from error
            if name in self.topics():
                raise self._exists(name) from None
            return False
        return True

    def _refuse_hidden(self, name: str) -> None:
        """Raise TopicError where the user may create a topic, but not see its leaders."""
        if not self._cluster.has_users:
            return
        try:
            self._cluster.partitions(name)
        except TopicError:
            pass  # brokers learn of it one after the other
        except BrokerError as error:
            raise TopicError(f"topic {name} was created: {error}", topic=name) from error

    def delete_topic(self, name: str) -> None:
        """Delete a topic and its records, and wait until it is gone.

        Raises TopicError where there is none.
        """
        _check_name(name)
        try:
            change(
                self._cluster,
                f"topic {name}",
                lambda: self._cluster.client.delete_topics([name]).values(),
                KafkaError.UNKNOWN_TOPIC_OR_PART,
            )
        except KafkaException as error:
            if error.args[0].code() in codes.MISSING:
                raise self._cluster.missing(name) from None
            reason = with_right(error.args[0], "DELETE", f"topic {name}")
            raise TopicError(f"cannot delete topic {name}: {reason}", topic=name) from error
        wait_for(lambda: name not in self.topics(), f"topic {name} to be gone", error=TopicError)

    def describe_topic(self, name: str) -> Topic:
        """Return the current description of a topic. Raises TopicError where there is none."""
        _check_name(name)
        found = self._cluster.metadata().topics.get(name)
        if found is None:
            self._cluster.describe(name)  # says whether it is missing, or hidden from this user
            found = wait_for(
                lambda: self._cluster.metadata().topics.get(name),
                f"all brokers to know topic {name}",
                error=TopicError,
            )
            assert found is not None
        partitions = tuple(
            Partition(number, info.leader, tuple(info.replicas), tuple(info.isrs))
            for number, info in sorted(found.partitions.items())
        )
        return Topic(name, partitions, self._settings(name))

    def end_offsets(self, name: str) -> dict[int, int]:
        """Return for each partition the offset that its next record will get."""
        partitions = self._cluster.partitions(arguments.text("name", name))
        return self._cluster.end_offsets(name, partitions)

    def record_count(self, name: str) -> int:
        """Return the number of offsets between the beginnings and ends of all partitions.

        It is the number of records unless compaction or transactions left offsets without one.
        """
        partitions = self._cluster.partitions(arguments.text("name", name))
        first = self._cluster.first_offsets(name, partitions)
        end = self._cluster.end_offsets(name, partitions)
        return sum(end[partition] - first[partition] for partition in end)

    def describe_group(self, group: str) -> list[GroupPartition]:
        """Return a group's progress, a row for each partition that it committed or reads.

        Empty for an unknown group.
        """
        arguments.text("group", group)
        if not self._groups_are_kept():
            return []
        # Members first: where the coordinator is still loading, its answer to a request for offsets
        # crashes librdkafka 2.16; its answer to a request for members does not.
        members = self._members(group)
        committed = self._committed(group)
        keys = sorted({*committed, *members})
        topics = {topic: self.end_offsets(topic) for topic in {key.topic for key in keys}}
        ends = {key: topics[key.topic][key.partition] for key in keys}
        nobody = (None, None, None)
        return [
            GroupPartition(
                group,
                *key,
                committed.get(key),
                ends[key],
                *members.get(key, nobody),
            )
            for key in keys
        ]

    def has_members(self, group: str) -> bool:
        """Return whether the group has a member now."""
        arguments.text("group", group)
        if not self._groups_are_kept():
            return False
        state = description(self._cluster, group).state
        return state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)

    def member_ids(self, group: str, name: str) -> set[str]:
        """Return the ids of the group's members of this name.

        It is the `group.instance.id`; of a member that has none, the `client.id`.
        """
        arguments.text("group", group)
        arguments.text("name", name)
        members = description(self._cluster, group).members
        return {m.member_id for m in members if (m.group_instance_id or m.client_id) == name}

    def _leaders(self, name: str) -> int:
        topic = self._cluster.metadata().topics.get(name)
        return sum(info.leader >= 0 for info in topic.partitions.values()) if topic else 0

    def _groups_are_kept(self) -> bool:
        """Return whether the topic of all groups' offsets exists, once it has its leaders.

        It is created with the first group. librdkafka 2.16 waits forever on closing where a
        request about a group timed out because that topic did not exist yet.
        """
        try:
            partitions = self._cluster.partitions(OFFSETS_TOPIC)
        except TopicError:
            return False
        except BrokerError as error:
            if is_unauthorized(error):
                return True  # a user may see a group without the right to see this topic
            raise
        wait_for(
            lambda: self._leaders(OFFSETS_TOPIC) == len(partitions), f"leaders of {OFFSETS_TOPIC}"
        )
        return True

    def _settings(self, name: str) -> dict[str, str]:
        entries = self._cluster.topic_settings(name).values()
        return {entry.name: entry.value or "" for entry in entries if not _is_default(entry)}

    def _committed(self, group: str) -> dict[TopicPartition, int]:
        answer = self._cluster.ask_coordinator(
            group, lambda each: each.committed(group), "DESCRIBE"
        )
        return {
            TopicPartition(p.topic, p.partition): p.offset
            for p in answer.topic_partitions or []
            if p.offset >= 0
        }

    def _members(self, group: str) -> dict[TopicPartition, tuple[str, str, str]]:
        return {
            TopicPartition(p.topic, p.partition): (member.member_id, member.host, member.client_id)
            for member in description(self._cluster, group).members
            for p in (member.assignment.topic_partitions if member.assignment else [])
        }

    def _exists(self, name: str) -> TopicError:
        return TopicError(
            f"topic {name} exists already on {self.bootstrap_servers}, with "
            f"{len(self._cluster.partitions(name))} partitions and "
            f"{self.record_count(name):,} records",
            topic=name,
        )


def _check_name(name: str) -> None:
    arguments.text("name", name)
    check_topic_name(name)


def _is_default(entry: ConfigEntry) -> bool:
    source: object = entry.source  # a number in confluent-kafka 2.16, whatever its type
    return entry.is_default or source == ConfigSource.DEFAULT_CONFIG.value
