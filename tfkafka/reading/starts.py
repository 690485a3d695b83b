"""The offsets at which a member of a group begins to read its partitions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from tfkafka import config
from tfkafka.chunk import Positions, TopicPartition
from tfkafka.errors import OffsetError
from tfkafka.reading.missing import missing, truncated

# What to do where a committed or current offset no longer exists.
OnMissingOffsets = Literal["error", "earliest"]
ON_MISSING_OFFSETS: tuple[OnMissingOffsets, ...] = get_args(OnMissingOffsets)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reset:
    """Where to begin without an offset that exists.

    Args:
        new_group: where a group without committed offsets of the topic begins: "earliest",
            "latest" or "error".
        on_missing: what to do where an offset no longer exists: "error", or continue at the
            "earliest" record that the partition has.
    """

    new_group: Literal["earliest", "latest", "error"]
    on_missing: OnMissingOffsets = "error"

    @classmethod
    def of(cls, settings: Mapping[str, object], on_missing: OnMissingOffsets) -> Reset:
        """Return what a group's `auto.offset.reset` says."""
        if settings.get("auto.offset.reset") == "error":
            return cls("error", on_missing)
        return cls("latest" if config.begins_at_end(settings) else "earliest", on_missing)


@dataclass(frozen=True)
class Ends:
    """Where partitions begin and end.

    Attributes:
        first: the first offset.
        readable: the end that a consumer reaches.
        written: the end with the records of open transactions.
        epochs: the epochs of their leaders; None where it is unknown.
    """

    first: Positions
    readable: Positions
    written: Positions
    epochs: Mapping[TopicPartition, int | None]


class Start(NamedTuple):
    """The offset at which to begin, and the number of records that are gone before it."""

    offset: int
    missing: int = 0


def starting_offsets(
    partitions: Iterable[TopicPartition], committed: Positions, ends: Ends, reset: Reset
) -> dict[TopicPartition, Start]:
    """Return where to begin each of these partitions.

    A partition without a committed offset is new where the group has one for another partition of
    the topic, and is read from its first record. Otherwise the group is new.

    Args:
        committed: the group's committed offsets, for all partitions of the topics. Those of these
            partitions are enough where `reset` lets a new group begin at the earliest record.
        ends: the ends of these partitions.

    Raises OffsetError where a committed offset no longer exists, or where a new group may not
    choose one.
    """
    known = {source.topic for source in committed}
    return {
        source: existing(source, committed[source], ends, reset)
        if source in committed
        else Start(_first_start(source, source.topic in known, ends, reset))
        for source in partitions
    }


def existing(source: TopicPartition, offset: int, ends: Ends, reset: Reset) -> Start:
    """Return where to continue instead of an offset, which may exist.

    Raises OffsetError where it does not exist, unless `reset` allows to continue elsewhere.
    """
    first, end = ends.first[source], ends.written[source]
    if first <= offset <= end:
        return Start(offset)
    error = missing(source, offset, first, end)
    if reset.on_missing == "error":
        raise error
    _log.warning("%s; continuing at offset %d", error, first)
    return Start(first, max(first - offset, offset - end))


def continued(
    source: TopicPartition, offset: int, diverged: int, ends: Ends, reset: Reset
) -> Start:
    """Return where to continue where the leader has other records before an offset.

    Raises OffsetError, unless `reset` allows to continue where the records begin to differ.
    """
    if offset <= diverged:
        return Start(offset)
    error = truncated(source, offset, diverged)
    if reset.on_missing == "error":
        raise error
    start = max(diverged, ends.first[source])
    _log.warning("%s; continuing at offset %d", error, start)
    return Start(start, offset - diverged)


def _first_start(source: TopicPartition, is_known: bool, ends: Ends, reset: Reset) -> int:
    if is_known or reset.new_group == "earliest":
        return ends.first[source]
    if reset.new_group == "latest":
        return ends.readable[source]
    raise OffsetError(
        f"{source}: the group has no committed offset, and auto.offset.reset is error: "
        f"commit one, or set it to earliest or latest",
        **source._asdict(),
    )
