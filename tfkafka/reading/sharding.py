"""Shards: ranges of offsets in equal parts, one for each worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange


def shards(ranges: Sequence[OffsetRange], count: int) -> list[list[OffsetRange]]:
    """Cut ranges of offsets into `count` equal parts, one for each worker.

    The ranges are laid end to end, in their order, and cut where a part is full, also within a
    partition. The sizes of the parts differ by at most one offset, whatever those of the partitions
    are. The numbers of records differ by more where offsets have no record.

    Args:
        ranges: for example the `ranges` of a `KafkaDataset`.
        count: the number of parts, at least 1.

    Returns:
        For each part its ranges, none of which is empty. Where there are fewer offsets than parts,
        some parts have none.

    Raises:
        TypeError, ValueError: an argument is of a wrong type, or out of its range.

    Example:
        dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092")
        first, second = tfkafka.shards(dataset.ranges, 2)
        print(sum(map(len, first)), sum(map(len, second)), "offsets")
    """
    each = arguments.in_order("ranges", ranges, "a list of OffsetRanges")
    for number, one in enumerate(each):
        arguments.instance(f"ranges[{number}]", one, OffsetRange, "an OffsetRange")
    count = arguments.whole_number("count", count, 1)
    return [shard_of(each, index, count) for index in range(count)]


def shard_of(ranges: Sequence[OffsetRange], index: int, count: int) -> list[OffsetRange]:
    """Return the part `index`, from 0, of `count` equal ones: see `shards`."""
    total, begin = sum(map(len, ranges)), 0
    found: list[OffsetRange] = []
    first, end = total * index // count, total * (index + 1) // count
    for each in ranges:
        # Where the part begins and ends within this range.
        start, stop = max(first - begin, 0), min(end - begin, len(each))
        if start < stop:
            found.append(replace(each, start=each.start + start, stop=each.start + stop))
        begin += len(each)
    return found
