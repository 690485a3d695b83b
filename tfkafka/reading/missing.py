"""Offsets that a partition does not have, or no longer has."""

from __future__ import annotations

from tfkafka.chunk import TopicPartition
from tfkafka.errors import OffsetError


def missing(source: TopicPartition, offset: int, first: int, end: int) -> OffsetError:
    """Return the error to raise where a partition with the offsets [first, end) has no `offset`."""
    if offset < first:
        reason = (
            f"offset {offset} comes next, but all before {first} have been deleted: "
            f"{first - offset:,} records are gone"
        )
    else:
        reason = (
            f"offset {offset} comes next, but the partition ends at {end}: {offset - end:,} "
            f"records were lost, for example when a broker without them became the leader"
        )
    return OffsetError(f"{source}: {reason}", **source._asdict(), offset=offset)
