"""A second member of a consumer group, which takes partitions away and gives them back."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from tfkafka.testing import wait_for

# A member notices a rebalance at its next heartbeat, and the end of a partition at the end of a
# fetch.
QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 50, "fetch.wait.max.ms": 50}
RIVAL_ID = "0-rival"
POLL_S = 0.02


class Rival:
    """A consumer that is polled only while one of its methods runs.

    Of all members its id sorts first, so the range assignor gives it the first partition of a
    topic, and so the only one.

    Attributes:
        offsets: for each partition, the offsets of all records that it got, in their order.
    """

    def __init__(self, servers: str, topic: str, group: str, **settings: object):
        self.offsets: dict[int, list[int]] = {}
        self._topic = topic
        self._is_open = True
        self._consumer = Consumer({
            "bootstrap.servers": servers, "group.id": group, "client.id": RIVAL_ID,
            "auto.offset.reset": "earliest", "enable.auto.commit": False, **QUICK, **settings,
        })  # fmt: skip
        self._consumer.subscribe([topic])

    def poll(self) -> set[int]:
        """Take what is there; return the partitions that it has."""
        for message in self._consumer.consume(1000, POLL_S):
            assert message.error() is None, message.error()
            self.offsets.setdefault(message.partition(), []).append(message.offset())
        return {partition.partition for partition in self._consumer.assignment()}

    def wait_for_partitions(self, count: int = 1) -> set[int]:
        wait_for(lambda: len(self.poll()) == count, f"the rival to have {count} partitions")
        return self.poll()

    def read_until(self, partition: int, stop: int) -> None:
        """Read a partition up to an offset, exclusive."""
        wait_for(
            lambda: self.poll() and self.offsets.get(partition, [-1])[-1] >= stop - 1,
            f"the rival to read partition {partition} up to offset {stop}",
        )

    def commit(self) -> None:
        """Commit all that it got."""
        ends = [TopicPartition(self._topic, p, got[-1] + 1) for p, got in self.offsets.items()]
        self._consumer.commit(offsets=ends, asynchronous=False)

    def leave(self) -> None:
        """Leave the group. Safe to call twice."""
        if self._is_open:
            self._is_open = False
            self._consumer.close()
