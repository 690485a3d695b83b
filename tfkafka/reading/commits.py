"""Which records were delivered, which of them were acknowledged, and which were committed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Chunk, Positions, TopicPartition
from tfkafka.client.consumer import Consumer, may_be_sent_again
from tfkafka.errors import CommitError


@dataclass
class _Delivered:
    """A chunk that was delivered, without its records, to save memory.

    Attributes:
        first: the number of its first element in the iteration.
        sources, source, offsets: those of its elements, as in `Chunk`.
        ends: each partition's next offset after the chunk; a partition that was lost is removed.
        acknowledged: bool [n], whether each element is acknowledged.
    """

    first: int
    sources: tuple[TopicPartition, ...]
    source: NDArray[np.int32]
    offsets: NDArray[np.int64]
    ends: dict[TopicPartition, int]
    acknowledged: NDArray[np.bool_]

    def of(self, partition: TopicPartition) -> NDArray[np.bool_]:
        """Return bool [n]: which elements are of this partition."""
        if partition not in self.sources:
            return np.zeros(len(self.source), np.bool_)
        mine: NDArray[np.bool_] = self.source == self.sources.index(partition)
        return mine


class OffsetTracker:
    """The elements of one iteration, in the order in which they were delivered.

    A record that became no element (a bad one that was skipped) counts as acknowledged.

    Attributes:
        has_ended: whether all elements of the iteration are delivered.
        following: the tracker of the dataset's next iteration, once that has begun.
    """

    def __init__(self) -> None:
        self.has_ended: bool = False
        self.following: OffsetTracker | None = None
        self._lock = threading.Lock()
        self._delivered: deque[_Delivered] = deque()
        self._settled: dict[TopicPartition, int] = {}
        self._elements = 0

    @property
    def elements(self) -> int:
        """The number of elements that were delivered so far."""
        return self._elements

    def deliver(self, chunk: Chunk, kept: Chunk) -> None:
        """Note that a chunk is delivered; `kept` has those of its records that are elements."""
        if not len(chunk):
            return
        with self._lock:
            self._delivered.append(
                _Delivered(
                    self._elements,
                    kept.sources,
                    kept.source,
                    kept.offsets,
                    dict(chunk.next_offsets),
                    np.zeros(len(kept), np.bool_),
                )
            )
            self._elements += len(kept)

    def acknowledge_all(self) -> None:
        """Acknowledge all delivered elements."""
        with self._lock:
            for each in self._delivered:
                each.acknowledged[:] = True

    def acknowledge_first(self, elements: int) -> None:
        """Acknowledge the first `elements` elements of the iteration."""
        with self._lock:
            for each in self._delivered:
                each.acknowledged[: max(0, elements - each.first)] = True

    def refuse_more_than_delivered(self, name: str, elements: int) -> None:
        """Raise ValueError where fewer elements were delivered than the argument `name` says."""
        if elements > self._elements:
            raise ValueError(
                f"{name} is {elements:,}, and {self._elements:,} were delivered in this iteration"
            )

    def acknowledge(
        self,
        topics: Sequence[str] | NDArray[np.str_],
        partitions: NDArray[np.int32],
        offsets: NDArray[np.int64],
    ) -> None:
        """Acknowledge the records at these positions, in any order."""
        names = np.asarray(topics)
        with self._lock:
            for each in self._delivered:
                for partition in each.ends:
                    wanted = offsets[
                        (names == partition.topic) & (partitions == partition.partition)
                    ]
                    each.acknowledged |= each.of(partition) & np.isin(each.offsets, wanted)

    def committable(self) -> dict[TopicPartition, int]:
        """Return for each partition the offset of its first unacknowledged record."""
        with self._lock:
            while self._delivered and self._delivered[0].acknowledged.all():
                self._settled |= self._delivered.popleft().ends
            positions = dict(self._settled)
            blocked: set[TopicPartition] = set()
            for each in self._delivered:
                for partition in each.ends.keys() - blocked:
                    missing = each.of(partition) & ~each.acknowledged
                    if missing.any():
                        blocked.add(partition)
                        positions[partition] = int(each.offsets[missing.argmax()])
                    else:
                        positions[partition] = each.ends[partition]
            return positions

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions that belong to another member now: commit nothing of them."""
        with self._lock:
            for partition in partitions:
                self._settled.pop(partition, None)
                for each in self._delivered:
                    if each.ends.pop(partition, None) is not None:
                        # Otherwise the entry would never count as acknowledged.
                        each.acknowledged |= each.of(partition)


@dataclass
class _Sent:
    """A commit under way, and the futures that wait for its answer."""

    positions: dict[TopicPartition, int]
    answers: list[Future[None]]


@dataclass
class _Held(_Sent):
    """A commit that waits for the check of its topics."""

    check: Future[None]


class Committer:
    """Sends offsets without waiting; the answers arrive while the consumer polls.

    A commit names its topics, so it is held until a check has confirmed that they are the same.

    Use it only from the thread that polls. In confluent-kafka 2.16 a commit from another thread
    waits for the poll, at times forever. A synchronous commit waits as long as the broker is away.

    Args:
        note: called with the positions that the broker has accepted.
        ask_again: called with positions and futures of a commit that no coordinator has got: they
            are to be confirmed and sent again.
        patience_s: how long a group may be without a coordinator before that is an error.
    """

    def __init__(
        self,
        note: Callable[[Positions], None] = lambda _positions: None,
        ask_again: Callable[[Positions, list[Future[None]]], None] = lambda *_: None,
        patience_s: float = 0.0,
    ) -> None:
        self._note = note
        self._ask_again = ask_again
        self._patience_s = patience_s
        self._without_coordinator_s: float | None = None
        self._accepted: dict[TopicPartition, int] = {}
        self._under_way: deque[_Sent] = deque()
        self._held: deque[_Held] = deque()
        self._is_over = False

    def hold(self, positions: Positions, answers: list[Future[None]], check: Future[None]) -> None:
        """Commit these positions once `check` is done: see `send_confirmed`."""
        self._held.append(_Held(dict(positions), answers, check))

    def send_confirmed(self, consumer: Consumer) -> None:
        """Send the commits whose check is done. Raises the error of a check."""
        while self._held and self._held[0].check.done():
            self._held[0].check.result()
            held = self._held.popleft()
            self.send(consumer, held.positions, held.answers)

    def send(self, consumer: Consumer, positions: Positions, answers: list[Future[None]]) -> None:
        """Commit what is not committed yet; `answers` are set when the broker has answered."""
        news = self._news(positions)
        if not news and self._under_way:
            self._under_way[-1].answers += answers
        elif not news:
            _settle(answers, None)
        else:
            consumer.commit_soon(news)
            self._under_way.append(_Sent(news, list(answers)))

    def send_and_wait(
        self, consumer: Consumer, positions: Positions, answers: list[Future[None]]
    ) -> None:
        """Commit, with all that is under way, and wait without polling: a poll takes records."""
        earlier: dict[TopicPartition, int] = {}
        for sent in self._unanswered():
            earlier |= sent.positions
            answers, sent.answers = [*answers, *sent.answers], []
        self._held.clear()
        news = self._news(earlier | dict(positions))
        try:
            consumer.commit(news)
        except CommitError as failure:
            if self._may_ask_again(failure):
                self._ask_again(news, answers)
            else:
                _settle(answers, failure)
        else:
            self._without_coordinator_s = None
            self.accept(news)
            _settle(answers, None)

    def on_commit(self, failure: CommitError | None, accepted: Positions) -> None:
        """Note an answer. The consumer calls this in the order of the commits."""
        if self._is_over:
            return
        sent = self._under_way.popleft() if self._under_way else _Sent({}, [])
        self.accept({key: o for key, o in accepted.items() if key in sent.positions})
        if self._may_ask_again(failure):
            self._ask_again(self._latest(sent.positions), sent.answers)
            return
        _settle(sent.answers, failure)
        if failure and not sent.answers:
            raise failure

    def is_waiting(self) -> bool:
        return bool(self._under_way)

    def is_holding(self) -> bool:
        return bool(self._held)

    def is_awaited(self) -> bool:
        """Return whether a caller waits for an answer."""
        return any(sent.answers for sent in self._unanswered())

    def accept(self, positions: Positions) -> None:
        """Note what the broker has accepted: nothing earlier is sent again."""
        self._accepted |= positions
        self._note(positions)

    def lacks_coordinator(self) -> bool:
        """Return whether the last commit that was answered has found no coordinator."""
        return self._without_coordinator_s is not None

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget lost partitions: another member may commit now, so nothing is sent again.

        Who waits for a commit still gets its answer.
        """
        for partition in partitions:
            self._accepted.pop(partition, None)
            for sent in self._unanswered():
                sent.positions.pop(partition, None)

    def give_up(self, answers: list[Future[None]], reason: Exception | None = None) -> None:
        """Stop waiting: fail these futures and those of the commits under way.

        Args:
            reason: what ended the reading; None: the group was left.
        """
        self._is_over = True
        awaited = [*answers, *(answer for sent in self._unanswered() for answer in sent.answers)]
        _settle(
            awaited, CommitError(f"offsets were not committed: {reason or 'the group was left'}")
        )
        self._under_way.clear()
        self._held.clear()

    def _may_ask_again(self, failure: CommitError | None) -> bool:
        """Return whether a commit failed for want of a coordinator, and not for too long."""
        if failure is None or not may_be_sent_again(failure):
            self._without_coordinator_s = None
            return False
        now_s = time.monotonic()
        self._without_coordinator_s = self._without_coordinator_s or now_s
        return now_s - self._without_coordinator_s < self._patience_s

    def _latest(self, positions: Positions) -> Positions:
        """Return those after which nothing later was sent: offsets must not go back."""
        later: dict[TopicPartition, int] = dict(self._accepted)
        for sent in self._unanswered():
            later |= sent.positions
        return {key: offset for key, offset in positions.items() if offset > later.get(key, -1)}

    def _unanswered(self) -> list[_Sent]:
        return [*self._under_way, *self._held]

    def _news(self, positions: Positions) -> dict[TopicPartition, int]:
        return {key: o for key, o in positions.items() if self._accepted.get(key) != o}


def _settle(answers: Iterable[Future[None]], failure: CommitError | None) -> None:
    for answer in answers:
        answer.set_exception(failure) if failure else answer.set_result(None)
