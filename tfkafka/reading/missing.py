"""Offsets that a partition does not have, or no longer has, or has for other records."""

from __future__ import annotations

from tfkafka.chunk import OffsetRange, TopicPartition
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


def truncated(source: TopicPartition, offset: int, diverged: int) -> OffsetError:
    """Return the error to raise where a partition has other records in [diverged, offset)."""
    return OffsetError(
        f"{source}: offset {offset} comes next, but a broker without the records from {diverged} "
        f"on became the leader: {offset - diverged:,} records were lost, and others are there now",
        **source._asdict(),
        offset=offset,
    )


def replaced(offsets: OffsetRange) -> OffsetError:
    """Return the error to raise where other records were written in a range, or before it."""
    return OffsetError(
        f"{offsets}: records were lost, because a broker without them became the leader, and "
        f"others are there now: choose the offsets again to read those",
        **offsets.source._asdict(),
        offset=offsets.start,
    )
