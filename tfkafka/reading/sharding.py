"""Shards: ranges of offsets in equal parts, one for each worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange
from tfkafka.reading.bounds import Bounds

# Which of the equal parts, from 0, and their number; "jax": as JAX numbers the processes.
Shard = tuple[int, int] | Literal["jax"]


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


def part_of(
    ranges: Sequence[OffsetRange], shard: tuple[int, int] | None
) -> tuple[OffsetRange, ...]:
    """Return the ranges of a shard, at least one, which may be empty; None: all of them."""
    if shard is None:
        return tuple(ranges)
    # Manifests and warnings name where a shard without offsets is, too.
    return tuple(shard_of(ranges, *shard)) or (ranges[-1].since(ranges[-1].stop),)


def most_offsets(ranges: Sequence[OffsetRange], shard: tuple[int, int] | None) -> int:
    """Return the number of offsets of the largest of the shards."""
    return -(-sum(map(len, ranges)) // (1 if shard is None else shard[1]))


def check_shard(name: str, shard: object) -> tuple[int, int]:
    """Return an index and a number of shards. Raises TypeError, ValueError where it is none."""
    what = '(index, count) with an index from 0 to count - 1, or "jax"'
    given = arguments.in_order(name, shard, what)
    try:
        index, count = given
        most = arguments.whole_number(name, count, 1) - 1
        return arguments.whole_number(name, index, 0, most), most + 1
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {arguments.shown(shard)}, must be {what}") from None


def refuse_moving_bounds(shard: tuple[int, int], start: Bounds, stop: Bounds) -> None:
    """Raise ValueError where a bound may stand for another offset in another process.

    Each process would cut other ranges: some records would be in two shards, others in none.
    """
    for name, bounds in (("start", start), ("stop", stop)):
        for bound in bounds.values() if isinstance(bounds, Mapping) else [bounds]:
            if shard[1] > 1 and not hasattr(bound, "__index__"):
                raise ValueError(
                    f"shard is {shard}, and {name} is {arguments.shown(bound)}, which may be "
                    f"another offset in another process: give offsets as start= and stop=, or "
                    f'KafkaDataset.from_manifest(manifest, shard={shard}), or shard="jax"'
                )
