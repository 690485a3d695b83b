"""A second member of a consumer group, which takes partitions away and gives them back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import confluent_kafka
from confluent_kafka import TopicPartition

from tfkafka.testing import wait_for

# A member notices a rebalance at its next heartbeat, and the end of a partition at the end of a
# fetch.
FETCHES = {"fetch.wait.max.ms": 50}
QUICK = {"session.timeout.ms": 30_000, "heartbeat.interval.ms": 50, **FETCHES}
RIVAL_ID = "0-rival"
POLL_S = 0.02
TRICKLE_S = 0.0005
FLUSH_S = 30.0
DEADLINE_S = 120.0


class Rival:
    """A consumer that is polled only while one of its methods runs.

    Of all members its id sorts first, so the range assignor gives it the first partition of a
    topic, and so the only one. With `group.protocol=consumer` the group has its intervals on the
    broker: see `tests.groups`.

    Attributes:
        offsets: for each partition, the offsets of all records that it got, in their order.
    """

    def __init__(self, servers: str, topic: str, group: str, **settings: object):
        self.offsets: dict[int, list[int]] = {}
        self._topic = topic
        self._is_open = True
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "client.id": RIVAL_ID,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **(FETCHES if "group.protocol" in settings else QUICK),
                **settings,
            }
        )
        self._consumer.subscribe([topic])

    def poll(self) -> set[int]:
        """Take what is there; return the partitions that it has."""
        for message in self._consumer.consume(1000, POLL_S):
            assert message.error() is None, message.error()
            self.offsets.setdefault(message.partition(), []).append(message.offset())
        return {partition.partition for partition in self._consumer.assignment()}

    def wait_for_partitions(self, count: int = 1) -> set[int]:
        what = f"the rival to have {count} partitions"
        wait_for(lambda: len(self.poll()) == count, what, DEADLINE_S)
        return self.poll()

    def read_until(self, partition: int, stop: int) -> None:
        """Read a partition up to an offset, exclusive."""
        wait_for(
            lambda: self.poll() and self.offsets.get(partition, [-1])[-1] >= stop - 1,
            f"the rival to read partition {partition} up to offset {stop}",
            DEADLINE_S,
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


@dataclass
class Trickle:
    """What has been written: `end` is the offset of the next record."""

    end: int


@contextlib.contextmanager
def trickle(servers: str, topic: str, first: int, every_s: float = TRICKLE_S) -> Iterator[Trickle]:
    """Write records one by one into partition 0 while the block runs.

    A member is then nearly always in the middle of taking a chunk: it has some records in its
    hands, and waits a moment for others.

    Args:
        first: the offset of the first record. The value of each is its offset.
    """
    over = threading.Event()
    written = Trickle(first)
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "linger.ms": 0,
            "log_level": 0,
        }
    )

    def write_on() -> None:
        while not over.wait(every_s):
            producer.produce(topic, str(written.end), partition=0)
            producer.poll(0)
            written.end += 1

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        yield written
    finally:
        over.set()
        writer.join()
        assert producer.flush(FLUSH_S) == 0, f"records of {topic} were not acknowledged"
