"""Requests to the coordinator of a group, none of which times out in librdkafka.

librdkafka 2.16 aborts the process (in `rd_kafka_enq_once_del_source_return`) where such a request
times out before the coordinator is connected, and the coordinator is connected later:
https://github.com/confluentinc/librdkafka/issues/4605. Other requests of an administration client
may time out. So the time-out of these is the longest, and who does not wait for so long closes the
client: that ends its requests without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from tfkafka._util.background import in_background

# librdkafka takes no longer time-out.
LONGEST_S = 3600.0


class Coordinator:
    """Sends requests to the coordinators of groups. One caller at a time uses it.

    Nothing else may refer to its client: not even a traceback may keep it open.
    """

    def __init__(self, client: AdminClient):
        self._client = client
        self._answers: list[Future[Any]] = []

    def describe(self, group: str) -> Future[ConsumerGroupDescription]:
        """Ask for the state and the members of a group."""
        asked = self._client.describe_consumer_groups([group], request_timeout=LONGEST_S)
        return self._noted(asked[group])

    def committed(self, group: str) -> Future[ConsumerGroupTopicPartitions]:
        """Ask for all offsets of a group."""
        wanted = [ConsumerGroupTopicPartitions(group)]
        asked = self._client.list_consumer_group_offsets(wanted, request_timeout=LONGEST_S)
        return self._noted(asked[group])

    def commit(self, offsets: ConsumerGroupTopicPartitions) -> Future[ConsumerGroupTopicPartitions]:
        """Set offsets of a group without members."""
        asked = self._client.alter_consumer_group_offsets([offsets], request_timeout=LONGEST_S)
        return self._noted(asked[offsets.group_id])

    def poll(self, timeout_s: float) -> int:
        """Serve the client's callbacks."""
        return self._client.poll(timeout_s)

    def is_idle(self) -> bool:
        """Return whether every request has been answered."""
        return all(answer.done() for answer in self._answers)

    def close(self) -> None:
        """Close the client, in the background; requests without an answer never get one."""
        last = [self._client]
        del self._client
        in_background(last.clear)

    def _noted(self, answer: Future[Any]) -> Future[Any]:
        self._answers = [each for each in self._answers if not each.done()]
        self._answers.append(answer)
        return answer


class Coordinators:
    """Keeps idle `Coordinator`s for the next caller.

    Args:
        make: returns a new client.
    """

    def __init__(self, make: Callable[[], AdminClient]):
        self._make = make
        self._idle: list[Coordinator] = []

    @contextmanager
    def one(self) -> Iterator[Coordinator]:
        """Yield a `Coordinator` for the caller alone."""
        try:
            coordinator = self._idle.pop()
        except IndexError:
            coordinator = Coordinator(self._make())
        try:
            yield coordinator
        finally:
            if coordinator.is_idle():
                self._idle.append(coordinator)
            else:
                coordinator.close()
