"""Where ranges begin and end: what a caller may give, and which offsets that stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange, TopicPartition
from tfkafka.client.cluster import Cluster, End
from tfkafka.errors import OffsetError, TopicError
from tfkafka.reading.missing import missing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Last:
    """The place `records` offsets before a partition's end, or its first offset if it has fewer."""

    records: int


# Where a range begins or ends.
Bound = int | Literal["earliest", "latest"] | datetime | Last
Bounds = Bound | Mapping[int, Bound]


def refuse_wrong_bounds(start: Bounds, stop: Bounds) -> None:
    """Raise TypeError, ValueError or OffsetError where one cannot be a range's start or end."""
    for name, bounds in (("start", start), ("stop", stop)):
        if not isinstance(bounds, Mapping):
            refuse_wrong_bound(name, bounds)
            continue
        if not bounds:
            raise ValueError(f"{name} is an empty dict, must have a bound for each partition")
        for partition, bound in bounds.items():
            arguments.partition(f"a partition of {name}", partition)
            refuse_wrong_bound(name, bound)


def refuse_wrong_bound(name: str, bound: object) -> None:
    """Raise TypeError, ValueError or OffsetError where a value cannot be a range's start or end."""
    what = 'an offset, "earliest", "latest" or a datetime'
    if isinstance(bound, str):
        arguments.choice(name, bound, ("earliest", "latest"), what)
        return
    if isinstance(bound, datetime):
        if bound.tzinfo is None:
            raise ValueError(f"{name}={bound} has no time zone: give a datetime with tzinfo")
        return
    if isinstance(bound, Last):
        return
    offset = arguments.whole_number(name, bound, -arguments.LARGEST, what=what)
    if offset < 0:
        raise OffsetError(
            f'{name} is {offset}: offsets begin at 0; the end is "latest"', offset=offset
        )


def of_each(name: str, bounds: Bounds, partitions: Sequence[int]) -> Mapping[int, Bound]:
    """Return the bound of each partition."""
    if not isinstance(bounds, Mapping):
        return dict.fromkeys(partitions, bounds)
    if bounds.keys() != set(partitions):
        raise ValueError(
            f"{name} names the partitions {sorted(bounds)}, and {sorted(partitions)} are read: "
            f"give one for each"
        )
    return bounds


def offsets_of(
    cluster: Cluster,
    topic: str,
    bounds: Mapping[int, Bound],
    first: Mapping[int, int],
    ends: Mapping[int, int],
) -> dict[int, int]:
    """Return the offset that each partition's bound stands for."""
    at_times: dict[int, int] = {}
    for when in {bound for bound in bounds.values() if isinstance(bound, datetime)}:
        partitions = [partition for partition, bound in bounds.items() if bound == when]
        at_times |= cluster.offsets_at(topic, partitions, _milliseconds(when))
    return {
        p: _offset(bound, first[p], ends[p], at_times.get(p, -1)) for p, bound in bounds.items()
    }


def _offset(bound: Bound, first: int, end: int, at_time: int) -> int:
    if bound == "earliest":
        return first
    if bound == "latest":
        return end
    if isinstance(bound, Last):
        return max(first, end - bound.records)
    if isinstance(bound, datetime):
        return end if at_time < 0 else min(at_time, end)
    return int(bound)


def _milliseconds(time: datetime) -> int:
    """Return ms since 1970 (UTC), rounded up: a record has no fraction of a millisecond.

    No record is older; Kafka takes negative numbers for its first or last offset, or refuses them.
    """
    return max(0, -((EPOCH - time) // MILLISECOND))


def existing(
    cluster: Cluster, topic: str, there: Sequence[int], partitions: Sequence[int] | None
) -> Sequence[int]:
    """Return the partitions that are chosen, `there` where none are. Raises TopicError."""
    for partition in partitions or ():
        if partition not in there:
            raise TopicError(
                f"topic {topic} on {cluster.servers} has no partition {partition}, "
                f"it has 0 to {len(there) - 1}",
                topic=topic,
                partition=partition,
            )
    return there if partitions is None else partitions


def within(source: TopicPartition, start: int, stop: int, first: int, end: End) -> OffsetRange:
    """Return a range of a partition. Raises OffsetError where the partition does not have it."""
    if start < first:
        raise missing(source, start, first, end.offset)
    if not start <= stop <= end.offset:
        raise OffsetError(
            f"{source}: offsets {start}:{stop} are not within {first}:{end.offset}",
            **source._asdict(),
            offset=start if start > end.offset else stop,
        )
    return OffsetRange(*source, start, stop, end.leader_epoch)
