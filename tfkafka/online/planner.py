"""The records of the next mini dataset: planned by offsets alone, before any is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import asdict
from typing import Any, TypeVar

from tfkafka._util.background import in_background
from tfkafka._util.silence import Silence
from tfkafka.chunk import OffsetRange, TopicPartition
from tfkafka.client.cluster import Cluster, End
from tfkafka.client.diagnosis import is_final
from tfkafka.client.identity import TopicGuard
from tfkafka.config import FOREVER
from tfkafka.errors import ReadError, TopicError
from tfkafka.metrics.meter import UNMETERED, Meter
from tfkafka.reading.missing import missing
from tfkafka.reading.ranges import Identity

# After this time without an answer the caller looks whether it shall stop.
REQUEST_S = 2.0
POLL_S = 0.1
# As with KafkaMiniBatchDataset: after this time without a new record, fewer records are enough.
QUIET_S = 1.0
# After this time without an answer there is no progress.
SILENT_S = 3.0
Answer = TypeVar("Answer")
Question = Callable[[str, list[int]], dict[int, Answer]]


class TopicEnds:
    """The beginnings and ends of a topic's partitions, while a broker answers.

    Args:
        settings: a consumer's settings; only the address of the cluster and the credentials are
            used.
        identity: the topic.
        broker_timeout: ms without an answer after which ReadError is raised.
        meter: notes that Kafka answers.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        identity: Identity,
        broker_timeout: int,
        meter: Meter = UNMETERED,
    ):
        self.topic = identity.topic
        self._cluster = Cluster(settings, broker_timeout)
        self._guard = TopicGuard(self._cluster)
        self._guard.expect(**asdict(identity))
        self._broker_timeout = broker_timeout
        self._meter = meter
        self._unanswered_since: float | None = None
        self._asked: dict[object, Future[Any]] = {}

    def begins(self) -> dict[int, int]:
        """Return the first offset of each partition; wait while no broker answers.

        Raises what `ends` raises.
        """
        while (offsets := self._ask(self._cluster.first_offsets)) is None:
            time.sleep(POLL_S)
        return offsets

    def ends(self) -> dict[int, End] | None:
        """Return the end of each partition.

        Returns None where no broker answers now. Raises ReadError where none has for
        `broker_timeout`, and TopicError where the topic was deleted and created again.
        """
        return self._ask(self._cluster.ends)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where these partitions end. Any thread may ask; it raises what `ends` raises."""
        numbers = [source.partition for source in partitions]
        found = self._cluster.end_offsets(self.topic, numbers)
        return {TopicPartition(self.topic, number): end for number, end in found.items()}

    def trouble(self) -> str | None:
        """Return that Kafka does not answer, or None. Any thread may ask."""
        since = self._unanswered_since
        silent_s = 0.0 if since is None else time.monotonic() - since
        if silent_s < SILENT_S:
            return None
        return f"no answer from Kafka at {self._cluster.servers} for {silent_s:.0f} s"

    def _ask(self, question: Question[Answer]) -> dict[int, Answer] | None:
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        asked = self._asked.pop(question, None) or in_background(lambda: self._answer(question))
        if not wait([asked], REQUEST_S).done:
            self._asked[question] = asked
            return None
        try:
            offsets: dict[int, Answer] | None = asked.result()
        except ReadError as error:
            if is_final(error) or self._is_late():
                raise
            return None
        if offsets is not None:
            self._unanswered_since = None
            self._meter.progressed()
        elif self._is_late():
            raise ReadError(
                f"topic {self.topic}: no answer from Kafka at {self._cluster.servers} for "
                f"{self._broker_timeout} ms (the topic no longer exists)",
                topic=self.topic,
            )
        return offsets

    def _answer(self, question: Question[Answer]) -> dict[int, Answer] | None:
        """Return the answer; None where there is no such topic, which starting brokers say too."""
        try:
            found = self._cluster.describe(self.topic)
            offsets = question(self.topic, found.partitions)
        except TopicError:
            return None
        # Afterwards: they may be those of a topic that was created again meanwhile.
        self._guard.confirm()
        return offsets

    def _is_late(self) -> bool:
        since = self._unanswered_since
        return since is not None and (time.monotonic() - since) * 1000 >= self._broker_timeout


def next_plan(
    topic_ends: TopicEnds,
    positions: Mapping[int, int],
    records: int,
    stream_timeout: int,
    is_stopped: Callable[[], bool],
) -> list[OffsetRange] | None:
    """Wait for the next `records` offsets, or for fewer where none arrived for 1 s.

    The plans for a topic that nobody writes to are always the same: the partitions have equal
    shares, as long as they have offsets left.

    Args:
        topic_ends: the topic.
        positions: the next offset of each partition; 0 where none is given.
        records: maximum number of offsets of a plan; those without a record (gaps, markers) count.
        stream_timeout: ms without new offsets after which None is returned; -1: never.
        is_stopped: called every 0.1 s; None is returned once it is true.

    Raises:
        ReadError: no broker answers.
        OffsetError: a partition is shorter than it was.
    """
    known, looked_s, quiet = None, time.monotonic(), Silence()
    while not is_stopped():
        ends, now = topic_ends.ends(), time.monotonic()
        quiet.waited(now - looked_s)
        looked_s = now
        if ends is None:
            quiet.end()  # the silence of a broker that is away does not end the stream
        elif ends != known:
            known = ends
            quiet.end()
        if ends is not None:
            available = _available(topic_ends.topic, positions, ends)
            total = sum(available.values())
            if total >= records or (total and quiet.seconds >= QUIET_S):
                shares = share(available, records)
                starts = {partition: positions.get(partition, 0) for partition in shares}
                ranges = [
                    OffsetRange(
                        topic_ends.topic, p, starts[p], starts[p] + count, ends[p].leader_epoch
                    )
                    for p, count in shares.items()
                ]
                return [each for each in ranges if len(each)]
            if not total and stream_timeout != FOREVER and quiet.seconds * 1000 >= stream_timeout:
                return None
        time.sleep(POLL_S)
    return None


def share(available: Mapping[int, int], count: int) -> dict[int, int]:
    """Split `count` into equal shares; where a partition has less, the others make up for it."""
    shares = dict.fromkeys(sorted(available), 0)
    while count and (able := [p for p in shares if shares[p] < available[p]]):
        part, rest = divmod(count, len(able))
        for index, partition in enumerate(able):
            more = min(available[partition] - shares[partition], part + (index < rest))
            shares[partition] += more
            count -= more
    return shares


def _available(topic: str, positions: Mapping[int, int], ends: Mapping[int, End]) -> dict[int, int]:
    for partition, end in ends.items():
        if positions.get(partition, 0) > end.offset:
            raise missing(TopicPartition(topic, partition), positions[partition], 0, end.offset)
    return {partition: end.offset - positions.get(partition, 0) for partition, end in ends.items()}
