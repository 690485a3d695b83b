"""Kafka transactions: records and consumed offsets, committed as one or not at all.

Errors are told apart as librdkafka asks: retriable ones are tried again, abortable ones abort the
transaction, and after all others the producer cannot be used any more. Every call has a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka.chunk import Positions
from tfkafka.client import codes, create
from tfkafka.client.producer import Record, RecordWriter
from tfkafka.errors import (
    AbortedError,
    FencedError,
    TfkafkaError,
    TransactionError,
    UnusableError,
)

# A call that brought nothing for so long is taken for one that hangs. Seen after a broker had died
# and come back: some call never returned, while a new producer went on at once.
PROGRESS_S = 8.0
_CALL_S = 2.0
# So long for a whole transaction, all calls together: send_offsets_to_transaction was seen to wait
# forever, whatever its time-out, when the broker had gone away.
TRANSACTION_S = 10.0

Outgoing = Mapping[str, Iterable[Record]]


class TransactionalProducer:
    """A producer that does nothing outside of a transaction.

    Args:
        settings: of the connection.
        transactional_id: the same one after each restart: the broker then aborts what the former
            process left open, and refuses that process from then on.
        timeout_ms: after so long the broker aborts a transaction that nobody ends.
    """

    def __init__(self, settings: Mapping[str, object], transactional_id: str, timeout_ms: int):
        fixed = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
            "error_cb": self._note,
        }
        self._reason = "no answer"
        self._producer = create.make_client(
            Producer, {**config.TRANSACTIONS_DEFAULTS, **settings, **fixed}
        )

    def connect(self) -> None:
        """Abort what a former producer of this name left open, and fence it."""
        self._call("init_transactions", self._producer.init_transactions)

    def transact(self, records: Outgoing, positions: Positions, membership: object) -> None:
        """Commit records, and the offsets `positions` of the group, as one.

        Args:
            records: for each topic (value, key, headers) of what is written to it.
            membership: `Consumer.consumer_group_metadata()`: the broker takes the offsets only
                from the group's present member.

        Raises:
            AbortedError, UnusableError, FencedError, TransactionError. After the last three the
            broker may have committed: only the group's committed offsets tell.
        """
        offsets = [TopicPartition(*key, offset) for key, offset in positions.items()]
        try:
            self._call("begin_transaction", lambda _timeout: self._producer.begin_transaction())
            self._produce(records)
            self._call(
                "send_offsets_to_transaction",
                lambda timeout: self._producer.send_offsets_to_transaction(
                    offsets, membership, timeout
                ),
            )
            self._call("commit_transaction", self._producer.commit_transaction)
        except AbortedError:
            self._call("abort_transaction", self._producer.abort_transaction)
            raise

    def _produce(self, records: Outgoing) -> None:
        writer = RecordWriter(self._producer)
        try:
            for topic, each in records.items():
                writer.put(topic, each)
        except KafkaException as exception:
            failure = _judge("produce", exception.args[0])
            # To try again would write the first records twice.
            raise failure or AbortedError(f"produce: {exception.args[0].str()}") from exception

    def discard(self) -> None:
        """Let go of the producer; an open transaction is the broker's to abort."""
        producer = self._producer
        del self._producer
        in_background(producer.purge)

    def _call(self, what: str, function: Callable[[float], None]) -> None:
        deadline = time.monotonic() + PROGRESS_S
        while True:
            try:
                return function(_CALL_S)
            except KafkaException as exception:
                if failure := _judge(what, exception.args[0]):
                    raise failure from exception
                self._producer.poll(0)  # lets it tell what is wrong with the connection
                if time.monotonic() > deadline:
                    raise UnusableError(
                        f"{what} did nothing for {PROGRESS_S:.0f} s ({self._reason})"
                    ) from exception

    def _note(self, error: KafkaError) -> None:
        self._reason = error.str()


class AlternatingProducers:
    """Two transactional producers that take turns, each transaction after the one before it.

    A commit is answered before the broker has marked all partitions; until then it refuses the
    producer's next transaction, and librdkafka asks again every 20 ms. The other one need not wait.
    """

    def __init__(self, settings: Mapping[str, object], transactional_id: str, timeout_ms: int):
        names = (f"{transactional_id}-{turn}" for turn in (0, 1))
        self._producers = [TransactionalProducer(settings, name, timeout_ms) for name in names]
        self._next = 0

    def connect(self) -> None:
        """See `TransactionalProducer.connect`."""
        # At the same time; and librdkafka's calls do not all return after their time-out.
        answers = [in_background(producer.connect) for producer in self._producers]
        for answer in answers:
            try:
                answer.result(TRANSACTION_S)
            except TimeoutError:
                raise UnusableError("init_transactions does not return") from None

    def transact(self, records: Outgoing, positions: Positions, membership: object) -> None:
        """See `TransactionalProducer.transact`. Not before the former call has returned."""
        producer = self._producers[self._next]
        self._next = 1 - self._next
        producer.transact(records, positions, membership)

    def discard(self) -> None:
        for producer in self._producers:
            producer.discard()


def _judge(what: str, error: KafkaError) -> TfkafkaError | None:
    """What a failed call means, or None where the same call may be tried again."""
    reason = f"{what}: {error.str()}"
    if error.code() in codes.HOPELESS:
        return TransactionError(reason)
    if error.code() in codes.FENCED:
        return FencedError(reason)
    if error.txn_requires_abort():
        return AbortedError(reason)
    if error.fatal() or not error.retriable():
        return UnusableError(reason)
    return None
