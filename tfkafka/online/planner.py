"""Which records the next mini dataset has: decided from offsets alone, before any is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from tfkafka import config
from tfkafka.client import create
from tfkafka.errors import OffsetError, ReadError, TopicError
from tfkafka.intake import FOR_EVER
from tfkafka.read import Span

REQUEST_S = 2.0
POLL_S = 0.1
# As with KafkaBatchDataset: so long without a new record, and what there is will do.
QUIET_S = 1.0
REPORT_S = 5.0
RECONNECT_MS = 1000


class Tail:
    """The ends of a topic's partitions, and what a group is told of how far one is.

    Args:
        settings: of a consumer; where the cluster is and who asks are taken from them.
        broker_timeout: ms without an answer after which there is an error.
    """

    def __init__(self, settings: Mapping[str, object], topic: str, broker_timeout: int):
        self.topic = topic
        self._settings = settings
        self._broker_timeout = broker_timeout
        # A broker that comes back is to be noticed soon: the client's default is 10 s.
        chosen = {"log_level": 0, "reconnect.backoff.max.ms": RECONNECT_MS}
        self._client = create.make_client(
            AdminClient, {**chosen, **config.connection_settings(settings)}
        )
        committed = settings.get("isolation.level", "read_committed") == "read_committed"
        self._isolation = (
            IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        )
        self._was_seen = False
        self._failing_since: float | None = None
        self._report: Future | None = None

    def begins(self) -> dict[int, int]:
        """For each partition its first offset; waits for a broker that is away.

        Raises TopicError where there is no such topic, ReadError as `ends` does.
        """
        while (offsets := self._ask(OffsetSpec.earliest())) is None:
            time.sleep(POLL_S)
        return offsets

    def ends(self) -> dict[int, int] | None:
        """For each partition the offset behind the last record that can be read now.

        None where no broker answers at the moment; ReadError where none has for `broker_timeout`.
        """
        return self._ask(OffsetSpec.latest())

    def report(self, group: str, positions: Mapping[int, int]) -> None:
        """Set a group's offsets, for monitoring; does not wait, and leaves out what is too much."""
        if self._report is not None and not self._report.done():
            return
        offsets = [TopicPartition(self.topic, *position) for position in positions.items()]
        [self._report] = self._client.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, offsets)], request_timeout=REPORT_S
        ).values()

    def last_report(self) -> str | None:
        """Wait for the answer to the last report: None, or why it was not taken."""
        if self._report is None:
            return None
        try:
            answer = self._report.result(2 * REPORT_S)
        except KafkaException as error:
            return error.args[0].str()
        except TimeoutError:
            return "no answer"
        refused = [p.error.str() for p in answer.topic_partitions if p.error is not None]
        return refused[0] if refused else None

    def _ask(self, spec: OffsetSpec) -> dict[int, int] | None:
        try:
            offsets = self._offsets(spec)
        except KafkaException as error:
            return self._no_answer(error.args[0].str())
        if offsets is None:
            return self._no_answer("the topic is not there any more")
        self._was_seen, self._failing_since = True, None
        return offsets

    def _offsets(self, spec: OffsetSpec) -> dict[int, int] | None:
        # Asked for all topics: a question for one could create it, where brokers are set so.
        found = self._client.list_topics(timeout=REQUEST_S).topics.get(self.topic)
        if found is None:
            if self._was_seen:
                return None
            raise TopicError(
                f"there is no topic {self.topic} on {self._settings['bootstrap.servers']}: "
                f"create it first"
            )
        futures = self._client.list_offsets(
            {TopicPartition(self.topic, partition): spec for partition in found.partitions},
            isolation_level=self._isolation, request_timeout=REQUEST_S,
        )  # fmt: skip
        return {key.partition: future.result().offset for key, future in futures.items()}

    def _no_answer(self, reason: str) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if (now - self._failing_since) * 1000 > self._broker_timeout:
            raise ReadError(
                f"topic {self.topic}: no answer from Kafka at "
                f"{self._settings['bootstrap.servers']} for {self._broker_timeout} ms ({reason})"
            )


def next_plan(
    tail: Tail,
    positions: Mapping[int, int],
    records: int,
    stream_timeout: int,
    is_stopped: Callable[[], bool],
) -> list[Span] | None:
    """Wait for the next `records` offsets, or for what there is when nothing came for 1 s.

    From a topic that nobody writes to, the plans are the same each time: equal parts of the
    partitions, as far as they have them.

    Args:
        positions: for each partition the next offset; 0 where none is given.
        records: offsets of a plan at most; those without a record (gaps, markers) count.
        stream_timeout: ms without anything new after which None is returned; -1: never.
        is_stopped: asked every 0.1 s; None is returned once it says so.

    Raises:
        ReadError: no broker answers. OffsetError: the topic is shorter than it was.
    """
    known, since = None, time.monotonic()
    while not is_stopped():
        ends, now = tail.ends(), time.monotonic()
        if ends is None:
            since = now  # silence of a broker that is away is no end of the stream
        elif ends != known:
            known, since = ends, now
        if ends is not None:
            available = _available(tail.topic, positions, ends)
            total, quiet_s = sum(available.values()), now - since
            if total >= records or (total and quiet_s >= QUIET_S):
                shares = share(available, records)
                starts = {partition: positions.get(partition, 0) for partition in shares}
                return [
                    Span(tail.topic, partition, starts[partition], starts[partition] + count)
                    for partition, count in shares.items()
                    if count
                ]
            if not total and stream_timeout != FOR_EVER and quiet_s * 1000 >= stream_timeout:
                return None
        time.sleep(POLL_S)
    return None


def share(available: Mapping[int, int], count: int) -> dict[int, int]:
    """Equal parts of `count`; what a partition cannot give, the others do, as far as they can."""
    shares = dict.fromkeys(sorted(available), 0)
    while count and (able := [p for p in shares if shares[p] < available[p]]):
        part, rest = divmod(count, len(able))
        for index, partition in enumerate(able):
            more = min(available[partition] - shares[partition], part + (index < rest))
            shares[partition] += more
            count -= more
    return shares


def _available(topic: str, positions: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
    for partition, end in ends.items():
        if positions.get(partition, 0) > end:
            raise OffsetError(
                f"topic {topic}, partition {partition}: offset {positions[partition]} comes next, "
                f"but the partition ends at {end}: records were lost, or the topic was made anew"
            )
    return {partition: end - positions.get(partition, 0) for partition, end in ends.items()}
