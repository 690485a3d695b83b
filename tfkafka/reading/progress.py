"""The progress of an iteration over ranges: the next offsets after a number of its elements."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfkafka.chunk import Chunk, Positions, TopicPartition
from tfkafka.errors import ManifestError, OffsetError

# Elements between two places that are kept. Resuming reads at most this many again, and an
# iteration over millions keeps a few dozen places.
SPACING = 65_536


@dataclass(frozen=True)
class Place:
    """A place within the records of a dataset.

    Attributes:
        next_offsets: the next offset of each partition; a partition that is missing is at the
            start of its range.
        read: the number of records before these offsets.
        skip: the number of elements after these offsets that were already used.
    """

    next_offsets: Positions = field(default_factory=dict)
    read: int = 0
    skip: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the place in a form that `json.dump` accepts and `of` reads."""
        offsets = [
            {"partition": source.partition, "offset": offset}
            for source, offset in self.next_offsets.items()
        ]
        return {"next_offsets": offsets, "read": self.read, "skip": self.skip}

    @classmethod
    def of(cls, topic: str, content: Mapping[str, Any]) -> Place:
        """Return the place described by what `to_json` returned. Raises KeyError or TypeError."""
        offsets = {
            TopicPartition(topic, each["partition"]): each["offset"]
            for each in content["next_offsets"]
        }
        return cls(offsets, content["read"], content["skip"])


@dataclass(frozen=True)
class Total:
    """What an iteration has when it reaches its end.

    Attributes:
        read: the number of records, with those before the place where it began.
        elements: the number of elements, without those; None: unknown.
    """

    read: int
    elements: int | None

    @classmethod
    def of(cls, counts: Mapping[str, Any], begin: Place) -> Total:
        """Return the total of an iteration from `begin`, from the counts of a whole one.

        Raises KeyError where the counts lack a number.
        """
        read, used = counts["read"], counts["used"]
        if not begin.read:
            return cls(read, used - begin.skip)
        # How many of the records before `begin` were used is known only where all were.
        return cls(read, used - begin.read - begin.skip if used == read else None)


class ReadLog:
    """The places that one iteration has passed.

    One thread may deliver while another calls `after`.

    Args:
        topic: the topic's name, for errors.
        begin: where the iteration begins.
        expected: what comes before the end of the ranges, as an earlier iteration found; None:
            there was none.
    """

    def __init__(self, topic: str, begin: Place, expected: Total | None = None):
        self._topic, self._begin, self._expected = topic, begin, expected
        self._elements = 0
        self._read = begin.read
        self._next_offsets = dict(begin.next_offsets)
        self._marks = [(0, Place(dict(begin.next_offsets), begin.read))]
        self.is_whole: bool = False

    @property
    def total(self) -> Total | None:
        """What the iteration had; None where its end was not reached."""
        return Total(self._read, self.elements) if self.is_whole else None

    @property
    def elements(self) -> int:
        """The number of elements delivered, without those that `begin` skips."""
        return max(0, self._elements - self._begin.skip)

    def deliver(self, chunk: Chunk, kept: Chunk) -> None:
        """Note that a chunk is delivered; `kept` has those of its records that are elements."""
        self._elements += len(kept)
        self._read += len(chunk)
        self._next_offsets |= chunk.next_offsets
        if self._elements - self._marks[-1][0] >= SPACING:
            self._marks.append((self._elements, Place(dict(self._next_offsets), self._read)))
        expected = self._expected
        if expected is not None and self._read >= expected.read:
            # Who knows the number of elements takes the last one and does not ask for the end.
            self._refuse_others(expected)
            self.is_whole = True

    def end(self) -> None:
        """Note that the iteration reached its end.

        Raises OffsetError where not as many records as expected were read.
        """
        if self._expected is not None:
            self._refuse_others(self._expected)
        self.is_whole = True

    def _refuse_others(self, expected: Total) -> None:
        if self._read != expected.read:
            raise OffsetError(
                f"topic {self._topic}: the ranges had {expected.read:,} records and have "
                f"{self._read:,} now: some were deleted by compaction, or it is another topic",
                topic=self._topic,
            )
        if expected.elements is not None and self.elements != expected.elements:
            raise ManifestError(
                f"topic {self._topic}: {self.elements:,} of the {self._read:,} records can be "
                f"decoded, and {expected.elements:,} could be before: read them with the same "
                f"decoder, of the same version",
                topic=self._topic,
            )

    def after(self, elements: int) -> Place:
        """Return the place after the first `elements` elements of the iteration.

        Raises ValueError where fewer were delivered.
        """
        if not 0 <= elements <= self.elements:
            raise ValueError(
                f"records is {elements:,}, and {self.elements:,} were delivered in this iteration"
            )
        wanted = self._begin.skip + elements
        number = bisect_right(self._marks, wanted, key=lambda mark: mark[0]) - 1
        before, place = self._marks[number]
        return Place(place.next_offsets, place.read, wanted - before)
