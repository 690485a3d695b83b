"""Offsets of a consumer group: sent to the broker, and its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tfkafka.client import create
from tfkafka.errors import CommitError
from tfkafka.ledger import Positions

# Commits are this library's business: librdkafka's own would go by what it delivered, used or not.
FIXED = {"enable.auto.commit": False, "enable.auto.offset.store": False}
# The records come again, to whoever has the partition now: nothing is lost.
_LOST_MEMBERSHIP = {
    KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_MEMBER_EPOCH, KafkaError.STALE_MEMBER_EPOCH, KafkaError._ASSIGNMENT_LOST,
    KafkaError.FENCED_INSTANCE_ID,
}  # fmt: skip


@dataclass
class _Sent:
    """A commit under way, and who waits for its answer."""

    positions: Positions
    answers: list[Future[None]]


class Committer:
    """Sends offsets without waiting; the answers come while the consumer is polled.

    Only for the thread that polls: in confluent-kafka 2.16 a commit waits for another thread's
    poll, at times for ever, and one that waits for its answer does so however long the broker is
    away.
    """

    def __init__(self) -> None:
        self.taken: Positions = {}
        self._under_way: deque[_Sent] = deque()
        self._is_over = False

    def send(self, consumer: Consumer, positions: Positions, answers: list[Future[None]]) -> None:
        """Commit what is not committed yet; `answers` are settled when the broker has answered."""
        news = self._news(positions)
        if not news and self._under_way:
            self._under_way[-1].answers += answers
        elif not news:
            for answer in answers:
                answer.set_result(None)
        else:
            consumer.commit(offsets=_partitions(news), asynchronous=True)
            self._under_way.append(_Sent(news, list(answers)))

    def send_and_wait(
        self, consumer: Consumer, positions: Positions, answers: list[Future[None]]
    ) -> None:
        """The same, and what is under way once more, without polling: that would take records."""
        earlier: Positions = {}
        for sent in self._under_way:
            earlier |= sent.positions
            answers, sent.answers = [*answers, *sent.answers], []
        news = self._news(earlier | positions)
        try:
            commit_and_wait(consumer, news)
        except CommitError as failure:
            for answer in answers:
                answer.set_exception(failure)
        else:
            self.taken |= news
            for answer in answers:
                answer.set_result(None)

    def _news(self, positions: Positions) -> Positions:
        return {key: o for key, o in positions.items() if self.taken.get(key) != o}

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Called by the consumer, in the order of the commits."""
        if self._is_over:
            return
        answers = self._under_way.popleft().answers if self._under_way else []
        failure = _failure(error, partitions)
        if failure is None:
            accepted = [] if error is not None else [p for p in partitions if p.error is None]
            self.taken |= {(p.topic, p.partition): p.offset for p in accepted}
        for answer in answers:
            answer.set_exception(failure) if failure else answer.set_result(None)
        if failure and not answers:
            raise failure

    def is_waiting(self) -> bool:
        return bool(self._under_way)

    def is_awaited(self) -> bool:
        """Whether somebody waits for an answer."""
        return any(sent.answers for sent in self._under_way)

    def give_up(self, answers: list[Future[None]]) -> None:
        """No answer counts any more: neither to these nor to those under way."""
        self._is_over = True
        for answer in [*answers, *(a for sent in self._under_way for a in sent.answers)]:
            answer.set_exception(CommitError("the broker did not take the offsets any more"))
        self._under_way.clear()


def commit_and_wait(consumer: Consumer, positions: Positions) -> None:
    """Commit and wait for the answer. Raises CommitError."""
    if not positions:
        return
    partitions = _partitions(positions)
    try:
        answers = consumer.commit(offsets=partitions, asynchronous=False)
    except KafkaException as error:
        failure = _failure(error.args[0], partitions)
    else:
        failure = _failure(None, answers)
    if failure is not None:
        raise failure


def commit_as_outsider(settings: Mapping[str, object], positions: Positions) -> None:
    """Commit for a group that one has left; Kafka takes it while the group has no member."""
    if not positions:
        return
    chosen = {name: value for name, value in settings.items() if name != "group.instance.id"}
    quiet = {"log_level": 0, "error_cb": lambda _error: None}
    consumer = create.make_client(Consumer, {**quiet, **chosen, **FIXED})
    try:
        commit_and_wait(consumer, positions)
    finally:
        consumer.close()


def _failure(error: KafkaError | None, partitions: list[TopicPartition]) -> CommitError | None:
    """What to raise, or None where all is well or only the membership was lost."""
    refused = [(p, error or p.error) for p in partitions if error or p.error]
    for partition, reason in refused:
        if reason.code() not in _LOST_MEMBERSHIP:
            return CommitError(
                f"topic {partition.topic}, partition {partition.partition}: offset "
                f"{partition.offset} could not be committed: {reason.str()}"
            )
    return None


def _partitions(positions: Positions) -> list[TopicPartition]:
    return [TopicPartition(*key, offset) for key, offset in positions.items()]
