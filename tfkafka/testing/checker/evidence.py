"""The evidence of all operations on one topic, a row for each record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfkafka.testing.checker.operations import UNKNOWN, Kind, OperationsFile, Outcome
from tfkafka.testing.checker.sparse import BLOCK, Indices, Rows, Sparse
from tfkafka.testing.checker.verdict import LISTED, Finding, Verdict

# An array of `operations.ENTRY`.
Entries = NDArray[np.void]
NEVER = np.iinfo(np.int64).max
# A row for each record number; partition and offset are those of its first place.
_NUMBERS: dict[str, ArrayLike] = {
    "sent": np.int32(0),
    "failed": np.int32(0),
    "unplaced": False,
    "partition": np.int32(UNKNOWN),
    "offset": UNKNOWN,
}
# A row for each offset of a partition; first_use in ns of the monotonic clock.
_RECORDS: dict[str, ArrayLike] = {
    "acknowledged": False,
    "number": UNKNOWN,
    "uses": np.int32(0),
    "first_use": NEVER,
    "copy": False,
    "late": False,
    "phantom": np.uint8(0),
}
NEVER_SENT, IN_VAIN, ANOTHER, UNEXPLAINED = 1, 2, 3, 4
_PHANTOMS = {
    NEVER_SENT: "was never sent",
    IN_VAIN: "was sent in vain: the broker refused it, or its transaction was aborted",
    ANOTHER: "is not the record that was acknowledged there",
    UNEXPLAINED: "was never acknowledged, and no record is without an answer",
}


class Evidence:
    """The evidence on one topic: first `learn`, then `follow` each file, then `conclude`.

    Args:
        topic: the name of the topic.
        use: what counts as use of a record, DELIVERED or PREDICTED.
    """

    def __init__(self, topic: str, use: Kind):
        self.topic = topic
        self._kind = use
        self._numbers = Sparse(_NUMBERS)
        self._partitions: dict[int, Sparse] = {}
        self._commits: dict[int, tuple[Indices, Indices]] = {}
        self._unanswered = 0  # counts records without a number

    def learn(self, entries: Entries) -> None:
        """Add what was sent, and what the broker answered."""
        sent = entries[entries["kind"] == Kind.SENT]["number"]
        self._unanswered += int(np.sum(sent < 0))
        self._numbers.count("sent", sent[sent >= 0])
        answers = entries[entries["kind"] == Kind.ACKNOWLEDGED]
        failed = answers[answers["outcome"] == Outcome.FAILED]["number"]
        self._numbers.count("failed", failed[failed >= 0])
        taken = answers[answers["outcome"] == Outcome.OK]
        self._unanswered -= int(np.sum(failed < 0) + np.sum(taken["number"] < 0))
        for partition, group in _by_partition(taken):
            records = self._records(partition)
            records.set("acknowledged", group["offset"], True)
            named = group[group["number"] >= 0]
            records.set("number", named["offset"], named["number"])
            self._place(partition, named["offset"], named["number"])

    def follow(self, file: OperationsFile) -> None:
        """Add what one reader used and committed, in its order."""
        seen: dict[int, Sparse] = {}
        highest: dict[int, int] = {}
        for entries in file.chunks():
            done = entries[entries["outcome"] == Outcome.OK]
            for partition, group in _by_partition(done[done["kind"] == Kind.COMMITTED]):
                self._commit(partition, group)
            for partition, group in _by_partition(self._placed(done[done["kind"] == self._kind])):
                self._identify(partition, group)
                self._use(partition, group)
                session = seen.setdefault(partition, Sparse({"seen": False}))
                late, top = _late(group["offset"], session, highest.get(partition, UNKNOWN))
                highest[partition] = top
                self._records(partition).set("late", late, True)

    def conclude(self, verdict: Verdict) -> None:
        """Add to a verdict what is wrong with the records of this topic."""
        self._judge_numbers(verdict)
        for partition in sorted(self._partitions):
            for first, rows in self._partitions[partition].blocks():
                self._judge_block(verdict, partition, first, rows)

    def _judge_numbers(self, verdict: Verdict) -> None:
        for first, rows in self._numbers.blocks():
            placeless = rows["offset"] == UNKNOWN
            failed = (rows["failed"] > 0) & (rows["failed"] >= rows["sent"])
            self._unanswered += int(np.sum(placeless & ~failed & (rows["sent"] > 0)))
            wrong = rows["unplaced"] & ((rows["sent"] == 0) | failed)
            found = np.flatnonzero(wrong)
            self._unanswered -= int(np.sum(rows["unplaced"] & ~wrong))
            findings = [
                Finding(
                    self.topic,
                    UNKNOWN,
                    UNKNOWN,
                    first + row,
                    _PHANTOMS[IN_VAIN if failed[row] else NEVER_SENT],
                )
                for row in found[:LISTED].tolist()
            ]
            verdict.add("phantom", findings, len(found))
        verdict.unanswered += self._unanswered

    def _judge_block(self, verdict: Verdict, partition: int, first: int, rows: Rows) -> None:
        used = rows["uses"] > 0
        verdict.acknowledged += int(np.sum(rows["acknowledged"]))
        verdict.used += int(np.sum(used))
        phantom = rows["phantom"] > 0
        if self._unanswered > 0:
            phantom &= rows["phantom"] != UNEXPLAINED
        passed = rows["first_use"] > self._commit_times(partition, first)
        cases: dict[str, tuple[NDArray[np.bool_], Callable[[int], str]]] = {
            "lost": (rows["acknowledged"] & ~used, lambda row: "was acknowledged and never used"),
            "duplicated": (
                (rows["uses"] > 1) | rows["copy"],
                lambda row: self._why_duplicated(rows, row),
            ),
            "reordered": (rows["late"], lambda row: "was used after a later one"),
            "skipped": (
                passed & (rows["acknowledged"] | used),
                lambda row: "the committed offset went past it before it was used",
            ),
            "phantom": (phantom, lambda row: _PHANTOMS[int(rows["phantom"][row])]),
        }
        for anomaly, (wrong, reason) in cases.items():
            found = np.flatnonzero(wrong)
            findings = [
                Finding(self.topic, partition, first + row, int(rows["number"][row]), reason(row))
                for row in found[:LISTED].tolist()
            ]
            verdict.add(anomaly, findings, len(found))

    def _why_duplicated(self, rows: Rows, row: int) -> str:
        if not rows["copy"][row]:
            return f"was used {rows['uses'][row]} times"
        number = rows["number"][row : row + 1]
        partition, offset = (self._numbers.get(c, number)[0] for c in ("partition", "offset"))
        return f"is in the log also in partition {partition}, offset {offset}"

    def _records(self, partition: int) -> Sparse:
        if partition not in self._partitions:
            self._partitions[partition] = Sparse(_RECORDS)
        return self._partitions[partition]

    def _place(self, partition: int, offsets: Indices, numbers: Indices) -> None:
        """Note where numbers are; those that already have another place are copies."""
        for block, rows, chosen in self._numbers.parts(numbers):
            # Backwards: for a number that occurs twice the first place counts.
            new = chosen[::-1][block["offset"][rows[::-1]] == UNKNOWN]
            at = numbers[new] & (BLOCK - 1)
            block["offset"][at], block["partition"][at] = offsets[new], partition
            known = block["offset"][rows] == offsets[chosen]
            copies = chosen[~(known & (block["partition"][rows] == partition))]
            self._records(partition).set("copy", offsets[copies], True)

    def _placed(self, uses: Entries) -> Entries:
        """Return uses with their positions, looked up where only the number was known."""
        if (uses["offset"] >= 0).all():
            return uses
        uses = uses.copy()
        bare = np.flatnonzero(uses["offset"] < 0)
        for column in ("partition", "offset"):
            uses[column][bare] = self._numbers.get(column, uses["number"][bare])
        nowhere = uses["offset"] < 0
        self._numbers.set("unplaced", uses["number"][nowhere], True)
        return uses[~nowhere]

    def _identify(self, partition: int, uses: Entries) -> None:
        """Find uses that are not what was sent, and the places of unanswered records."""
        records = self._records(partition)
        offsets, numbers = uses["offset"], uses["number"]
        known = records.get("number", offsets)
        acknowledged = records.get("acknowledged", offsets)
        fault = np.zeros(len(uses), np.uint8)
        fault[(numbers < 0) & ~acknowledged & (known < 0)] = UNEXPLAINED
        fault[(numbers >= 0) & (known >= 0) & (known != numbers)] = ANOTHER
        new = np.flatnonzero((numbers >= 0) & (known < 0) & ~acknowledged)
        sent, failed, place = (
            self._numbers.get(column, numbers[new]) for column in ("sent", "failed", "offset")
        )
        elsewhere = place != UNKNOWN
        fault[new[(sent == 0) & ~elsewhere]] = NEVER_SENT
        fault[new[(failed > 0) & (failed >= sent) & ~elsewhere]] = IN_VAIN
        wrong = fault > 0
        records.set("phantom", offsets[wrong], fault[wrong])
        found = new[fault[new] == 0]
        records.set("number", offsets[found], numbers[found])
        self._place(partition, offsets[found], numbers[found])

    def _use(self, partition: int, uses: Entries) -> None:
        records = self._records(partition)
        records.count("uses", uses["offset"])
        if self._kind == Kind.PREDICTED:
            # Predictions are read after the run: their time means nothing.
            records.set("first_use", uses["offset"], 0)
            return
        for block, rows, chosen in records.parts(uses["offset"]):
            np.minimum.at(block["first_use"], rows, uses["time"][chosen])

    def _commit(self, partition: int, commits: Entries) -> None:
        """Keep, for each committed offset, the first time that it or a later one was committed."""
        before = self._commits.get(partition, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
        offsets = np.concatenate([before[0], commits["offset"]])
        times = np.concatenate([before[1], commits["time"]])
        order = np.lexsort((times, offsets))
        offsets, times = offsets[order], times[order]
        first = np.minimum.accumulate(times[::-1])[::-1]
        keep = times == first
        self._commits[partition] = offsets[keep], times[keep]

    def _commit_times(self, partition: int, first: int) -> NDArray[np.int64]:
        """Return int64 [BLOCK]: when a commit first passed each of the offsets from `first`."""
        if partition not in self._commits:
            return np.full(BLOCK, NEVER)
        offsets, times = self._commits[partition]
        behind = np.searchsorted(offsets, np.arange(first, first + BLOCK), side="right")
        return np.append(times, NEVER)[behind]


def _by_partition(entries: Entries) -> list[tuple[int, Entries]]:
    partitions = np.unique(entries["partition"]).tolist()
    if len(partitions) == 1:
        return [(partitions[0], entries)]
    return [(number, entries[entries["partition"] == number]) for number in partitions]


def _late(offsets: Indices, session: Sparse, highest: int) -> tuple[Indices, int]:
    """Return the offsets first used after a higher one, and the highest offset used so far."""
    before = np.maximum.accumulate(np.concatenate([[highest], offsets]))
    suspects = np.flatnonzero(offsets < before[:-1])
    if len(suspects):
        _, firsts = np.unique(offsets, return_index=True)
        suspects = np.intersect1d(suspects, firsts)
        suspects = suspects[~session.get("seen", offsets[suspects])]
    session.set("seen", offsets, True)
    return offsets[suspects], int(before[-1])
