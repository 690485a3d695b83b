"""Which records the next mini dataset has: decided from offsets alone, before any is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tfkafka.chunk import OffsetRange
from tfkafka.client.cluster import Cluster
from tfkafka.config import FOREVER
from tfkafka.errors import OffsetError, ReadError, TopicError

REQUEST_MS = 2000
POLL_S = 0.1
# As with KafkaMiniBatchDataset: so long without a new record, and what there is will do.
QUIET_S = 1.0


class TopicEnds:
    """Where the partitions of a topic begin and end, as long as a broker answers.

    Args:
        settings: of a consumer; where the cluster is and who asks are taken from them.
        broker_timeout: ms without an answer after which there is an error.
    """

    def __init__(self, settings: Mapping[str, object], topic: str, broker_timeout: int):
        self.topic = topic
        self._cluster = Cluster(settings, REQUEST_MS)
        self._broker_timeout = broker_timeout
        self._was_seen = False
        self._failing_since: float | None = None

    def begins(self) -> dict[int, int]:
        """Return for each partition its first offset; waits for a broker that is away.

        Raises TopicError where there is no such topic, ReadError as `ends` does.
        """
        while (offsets := self._ask(self._cluster.first_offsets)) is None:
            time.sleep(POLL_S)
        return offsets

    def ends(self) -> dict[int, int] | None:
        """Return for each partition its end, the last readable offset plus 1.

        None where no broker answers at the moment; ReadError where none has for `broker_timeout`.
        """
        return self._ask(self._cluster.end_offsets)

    def _ask(self, question: Callable[[str, list[int]], dict[int, int]]) -> dict[int, int] | None:
        try:
            offsets = question(self.topic, self._cluster.partitions(self.topic))
        except TopicError:
            if not self._was_seen:
                raise
            self._no_answer("the topic is not there any more")
            return None
        except ReadError as error:
            self._no_answer(str(error))
            return None
        self._was_seen, self._failing_since = True, None
        return offsets

    def _no_answer(self, reason: str) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if (now - self._failing_since) * 1000 > self._broker_timeout:
            raise ReadError(
                f"topic {self.topic}: no answer from Kafka at {self._cluster.servers} for "
                f"{self._broker_timeout} ms ({reason})",
                topic=self.topic,
            )


def next_plan(
    topic_ends: TopicEnds,
    positions: Mapping[int, int],
    records: int,
    stream_timeout: int,
    is_stopped: Callable[[], bool],
) -> list[OffsetRange] | None:
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
        ends, now = topic_ends.ends(), time.monotonic()
        if ends is None:
            since = now  # silence of a broker that is away is no end of the stream
        elif ends != known:
            known, since = ends, now
        if ends is not None:
            available = _available(topic_ends.topic, positions, ends)
            total, quiet_s = sum(available.values()), now - since
            if total >= records or (total and quiet_s >= QUIET_S):
                shares = share(available, records)
                starts = {partition: positions.get(partition, 0) for partition in shares}
                ranges = [
                    OffsetRange(topic_ends.topic, p, starts[p], starts[p] + count)
                    for p, count in shares.items()
                ]
                return [each for each in ranges if len(each)]
            if not total and stream_timeout != FOREVER and quiet_s * 1000 >= stream_timeout:
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
                f"but the partition ends at {end}: records were lost, or the topic was made again",
                topic=topic,
                partition=partition,
                offset=positions[partition],
            )
    return {partition: end - positions.get(partition, 0) for partition, end in ends.items()}
