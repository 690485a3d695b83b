"""Kafka as a scenario sees it: filled and observed by confluent_kafka, not by the product."""

from __future__ import annotations

import itertools
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.histories.waiting import ScriptError, wait_for

ANSWER_S = 30.0
# With librdkafka's default recovery some calls hang after a broker has died and come back (2.16).
QUIET = {
    "log_level": 0,
    "error_cb": lambda _error: None,
    "metadata.recovery.strategy": "none",
    "reconnect.backoff.max.ms": 1000,
}
LOOK_S = 5.0
# Values tell the partition that a record is of, for readers that do not say it.
PARTITION_STEP = 100_000
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "60000",
    "segment.jitter.ms": "0",
    "min.cleanable.dirty.ratio": "0.0",
    "max.compaction.lag.ms": "100",
    "delete.retention.ms": "0",
    "file.delete.delay.ms": "0",
}
_COMPACTED_LEFT = [0, 300, 597, 598, 599, 600]
_HOUR_MS = 3_600_000
# What a client calls a missing connection depends on when it looks.
_NO_CONNECTION = re.compile(
    r"Local: (?:All broker connections are down|Broker transport failure|Timed out)"
)
_ADDRESS = re.compile(r"(?:ipv4#)?(?:127\.0\.0\.1|localhost):\d+")
_TOPIC_IDS = re.compile(r"\(its id is [^,]+, was [^)]+\)")
_REASON = re.compile(r"(no answer from Kafka at HOST:PORT for \d+ ms) \(.*\)$", re.DOTALL)
_FINDING = {
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}


class Stage:
    """A cluster, and the topics and groups of one scenario.

    Attributes:
        servers: `HOST:PORT`.
        folder: an empty one, for this scenario alone.
        broker: what can be killed and restarted, or None.
    """

    def __init__(self, servers: str, name: str, folder: Path, broker=None):
        self.servers, self.folder, self.broker = servers, folder, broker
        self._name = name
        self._labels: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._admin = self._client()

    def normalise(self, text: str) -> str:
        """Replace what differs from run to run: addresses, names, ids, a reason for silence."""
        text = _ADDRESS.sub("HOST:PORT", text).replace(str(self.folder), "FOLDER")
        text = _NO_CONNECTION.sub("Local: NO CONNECTION", text)
        text = _TOPIC_IDS.sub("(its id is ID, was FORMER ID)", text)
        for name, label in self._labels.items():
            text = text.replace(name, label)
        return _REASON.sub(r"\1 (REASON)", text)

    def name(self, label: str) -> str:
        """Return a name that nobody has yet; histories have the label in its place."""
        name = f"{self._name}-{label}-{uuid.uuid4().hex[:8]}"
        self._labels[name] = label
        return name

    def know(self, name: str, label: str) -> str:
        """Have the label of a topic that another stage has made in its place too."""
        self._labels[name] = label
        return name

    def topic(
        self, label: str = "topic", partitions: int = 1, settings: dict[str, str] | None = None
    ) -> str:
        """Create a topic that can be written to at once."""
        name = self.name(label)
        self.create(name, partitions, settings)
        return name

    def create(
        self, name: str, partitions: int = 1, settings: dict[str, str] | None = None
    ) -> None:
        """Create a topic of this very name."""
        new = NewTopic(name, partitions, 1, config=settings or {})
        self._admin.create_topics([new])[name].result(ANSWER_S)
        wait_for(lambda: self._answers(name, partitions), f"topic {name} to be led")

    def delete(self, name: str) -> None:
        """Delete a topic."""
        self._admin.delete_topics([name])[name].result(ANSWER_S)
        wait_for(
            lambda: name not in self._admin.list_topics(timeout=ANSWER_S).topics,
            f"topic {name} to be deleted",
        )

    def numbers(
        self, topic: str, count: int, partition: int = 0, first: int = 0, width: int = 0
    ) -> None:
        """Write `count` records whose values count up from `first` in each partition.

        Args:
            width: digits of a value at least; zeros are put before it.
        """
        begin = PARTITION_STEP * partition + first
        values = [str(number).zfill(width) for number in range(begin, begin + count)]
        self.produce(topic, values, ["1"] * count, partition)

    def produce(
        self,
        topic: str,
        values: Iterable[str | None],
        keys: Iterable[str | None] = itertools.repeat("1"),
        partition: int = 0,
        timestamps: Iterable[int] = itertools.repeat(0),
    ) -> None:
        """Write records in one batch, if they are small, and wait for the acknowledgements."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 100, **QUIET})
        for value, key, timestamp in zip(values, keys, timestamps, strict=False):
            producer.produce(topic, value, key, partition, timestamp=timestamp)
        if producer.flush(ANSWER_S):
            raise ScriptError(f"records of {topic} were not acknowledged")

    def transaction(self, topic: str, values: Sequence[str]) -> Producer:
        """Write in a transaction that is left open; see `end`."""
        settings = {"bootstrap.servers": self.servers, "transactional.id": uuid.uuid4().hex}
        producer = Producer({**settings, **QUIET})
        producer.init_transactions(ANSWER_S)
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, "1", 0)
        if producer.flush(ANSWER_S):
            raise ScriptError(f"records of {topic} were not acknowledged")
        return producer

    def end(self, producer: Producer, topic: str, how: str) -> None:
        """Commit or abort a transaction, and wait until that can be seen."""
        getattr(producer, f"{how}_transaction")(ANSWER_S)
        self.settle(topic)

    def settle(self, topic: str, partitions: int = 1) -> None:
        """Wait until no transaction is open in a topic."""
        levels = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED

        def is_over() -> bool:
            committed, all_ = (self._ends(topic, partitions, level) for level in levels)
            return bool(all_) and committed == all_

        wait_for(is_over, f"transactions of {topic} to be over")

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """Delete the records of a partition that come before an offset."""
        place = TopicPartition(topic, partition, offset)
        for future in self._admin.delete_records([place]).values():
            future.result(ANSWER_S)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return a group's committed offsets, those of open transactions excepted."""
        # In this order: librdkafka 2.16 crashes on offsets of a group that is still being loaded.
        self._description(group)
        request = [ConsumerGroupTopicPartitions(group)]
        future = self._admin.list_consumer_group_offsets(request, require_stable=True)[group]
        found = future.result(ANSWER_S).topic_partitions
        return {p.partition: p.offset for p in found if p.topic == topic and p.offset >= 0}

    def wait_for_members(self, group: str, count: int) -> None:
        """Wait until a group has so many members, each with its share."""

        def is_so() -> bool:
            group_now = self._description(group)
            states = (
                (ConsumerGroupState.STABLE,)
                if count
                else (
                    ConsumerGroupState.EMPTY,
                    ConsumerGroupState.DEAD,
                )
            )
            return group_now.state in states and len(group_now.members) == count

        wait_for(is_so, f"group {group} to have {count} members")

    def messages(self, topic: str, partitions: int = 1) -> list[Message]:
        """Return all committed records of a topic, one partition after the other."""
        self.settle(topic, partitions)
        settings = {"bootstrap.servers": self.servers, "group.id": "histories", **QUIET}
        consumer = Consumer({**settings, "enable.partition.eof": True, "enable.auto.commit": False})
        try:
            return [m for p in range(partitions) for m in _all(consumer, topic, p)]
        finally:
            consumer.close()

    def first_group(self) -> None:
        """Let the cluster make its topic of offsets, about which it cannot be asked before."""
        settings = {"bootstrap.servers": self.servers, "group.id": f"histories-{uuid.uuid4().hex}"}
        consumer = Consumer({**settings, **QUIET})
        consumer.subscribe([self.topic("first")])
        try:
            wait_for(lambda: (consumer.poll(0.1), consumer.assignment())[1], "the first group")
        finally:
            consumer.close()

    def compacted(self) -> str:
        """Create a topic of 601 offsets and wait until 6 records are left of them."""
        name = self.topic("compacted", settings=COMPACTED)
        keys = {0: "7", 300: "8"}
        begin = int(time.time() * 1000) - 2 * _HOUR_MS
        self.produce(
            name,
            map(str, range(600)),
            [keys.get(n, str(n % 3)) for n in range(600)],
            timestamps=range(begin, begin + 600),
        )
        # A batch of its own that is so much later begins a segment, and so closes the first one.
        self.produce(name, ["600"], ["9"], timestamps=[begin + _HOUR_MS])
        wait_for(
            lambda: [m.offset() for m in self.messages(name)] == _COMPACTED_LEFT,
            f"topic {name} to be compacted",
            120,
        )
        return name

    def _answers(self, topic: str, partitions: int) -> bool:
        found = self._admin.list_topics(timeout=ANSWER_S).topics.get(topic)
        leaders = [p.leader for p in found.partitions.values()] if found else []
        return (
            len(leaders) == partitions and min(leaders) >= 0 and bool(self._ends(topic, partitions))
        )

    def _ends(
        self, topic: str, partitions: int, level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED
    ) -> list[int]:
        """Return where partitions end; nothing where that cannot be told yet."""
        asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(partitions)}
        futures = self._admin.list_offsets(asked, isolation_level=level, request_timeout=LOOK_S)
        try:
            return [future.result(2 * LOOK_S).offset for future in futures.values()]
        except (KafkaException, TimeoutError):
            # What this client knows of a new topic's leader may be wrong for as long as it lives.
            self._admin = self._client()
            return []

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, **QUIET})

    def _description(self, group: str):
        return wait_for(lambda: self._description_now(group), f"the coordinator of {group}")

    def _description_now(self, group: str):
        try:
            return self._admin.describe_consumer_groups([group], request_timeout=LOOK_S)[
                group
            ].result(2 * LOOK_S)
        except KafkaException as error:
            if error.args[0].code() in _FINDING:
                return None
            raise
        except TimeoutError:
            return None


class SharedTopic:
    """A topic that several scenarios read and none changes, made in the background."""

    def __init__(self) -> None:
        self._name: Future[str] = Future()

    def make(self, make: Callable[[], str]) -> None:
        """Begin to make it."""

        def run() -> None:
            try:
                self._name.set_result(make())
            except Exception as error:
                self._name.set_exception(error)

        threading.Thread(target=run, daemon=True).start()

    def get(self) -> str:
        """Return its name once it is there."""
        return self._name.result()


def _all(consumer: Consumer, topic: str, partition: int) -> list[Message]:
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[Message] = []
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error() is None:
            found.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            return found
        else:
            raise KafkaException(message.error())
    raise ScriptError(f"topic {topic}, partition {partition} was not read to its end")
