"""Kafka transactions: records and consumed offsets, committed together or not at all.

Errors are classified as librdkafka requires: after a retriable error the call is retried, an
abortable one aborts the transaction, and after any other the producer can no longer be used. Every
call has a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException

from tfkafka import config
from tfkafka._util.background import in_background
from tfkafka.client import codes
from tfkafka.client.diagnosis import Connection, NoConnection, fatal_error, with_right
from tfkafka.client.lineage import Places
from tfkafka.client.record_writer import RecordWriter
from tfkafka.client.records import Batch
from tfkafka.errors import (
    AbortedError,
    FencedError,
    TfkafkaError,
    TopicError,
    TransactionError,
    UnusableError,
)

# A call without progress for this long is considered hung. Seen after a broker had died and come
# back: some call never returned, while a new producer continued at once.
PROGRESS_S = 8.0
_CALL_S = 2.0
# An attempt that ignores its time-out for so long will never return: send_offsets_to_transaction,
# where the group's coordinator has died and Kafka names another one (librdkafka issues 5456, 5511).
_OVERDUE_S = 1.0
# The time-out of a whole transaction.
TRANSACTION_S = 10.0

Outgoing = Mapping[str, Batch]


class TransactionalProducer:
    """A producer that writes only in transactions.

    Args:
        settings: settings of the connection.
        transactional_id: must be the same after each restart: the broker then aborts the
            transaction that the previous process left open, and refuses that process from then on.
        timeout_ms: after this time the broker aborts a transaction that is still open.
    """

    def __init__(self, settings: Mapping[str, object], transactional_id: str, timeout_ms: int):
        fixed = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": timeout_ms,
            "message.timeout.ms": timeout_ms,
        }
        chosen = {**config.TRANSACTIONS_DEFAULTS, **settings, **fixed}
        # The worker has asked for its topics before.
        self._connection = Connection(chosen, was_reached=True)
        self._writer = RecordWriter({**chosen, "error_cb": self._connection.note})
        self._producer = self._writer.producer
        self._transactional_id = transactional_id
        self._attempt: tuple[str, float] | None = None
        self._overdue: tuple[object, float] = (None, 0.0)

    def connect(self) -> None:
        """Abort the open transaction of a previous producer with this id, and fence it."""
        self._call("init_transactions", self._producer.init_transactions)

    def transact(
        self,
        records: Outgoing,
        places: Places,
        prove: Callable[[], object],
    ) -> None:
        """Commit records, and the group's offsets `places`, together.

        Args:
            records: for each topic, the records to write.
            places: see `Lineage.to_commit`.
            prove: called before the offsets are sent; returns `Consumer.group_metadata()`, with
                which the broker accepts them only from a current member of the group. The
                transaction is aborted where it raises AbortedError or TopicError.

        Raises:
            AbortedError, UnusableError, FencedError, TransactionError, or what `prove` raises.
            After the second to the fourth the broker may have committed: check the group's
            committed offsets.
        """
        try:
            self._call("begin_transaction", lambda _timeout: self._producer.begin_transaction())
            self._produce(records)
            membership = prove()
            self._call(
                "send_offsets_to_transaction",
                lambda timeout: self._producer.send_offsets_to_transaction(
                    places, membership, timeout
                ),
            )
            self._call("commit_transaction", self._producer.commit_transaction)
        except (AbortedError, TopicError):
            self._call("abort_transaction", self._producer.abort_transaction)
            raise

    def _produce(self, records: Outgoing) -> None:
        try:
            for topic, batch in records.items():
                self._writer.put(topic, batch)
        except KafkaException as exception:
            failure = self._judge("produce", exception.args[0])
            # A retry would write the first records twice.
            raise failure or AbortedError(f"produce: {exception.args[0].str()}") from exception

    def discard(self) -> None:
        """Drop the producer; the broker aborts an open transaction."""
        producer = self._producer
        del self._producer, self._writer
        in_background(producer.purge)

    def refuse_hang(self) -> None:
        """Raise UnusableError where a call of another thread will never return.

        Two looks must see it: a process that was frozen meanwhile has not waited.
        """
        attempt, now = self._attempt, time.monotonic()
        if attempt is None or now - attempt[1] <= _CALL_S:
            return
        seen, since_s = self._overdue
        if seen is not attempt:
            self._overdue = attempt, now
        elif now - since_s > _OVERDUE_S:
            raise UnusableError(f"{attempt[0]} does not return")

    def _call(self, what: str, function: Callable[[float], None]) -> None:
        deadline = time.monotonic() + PROGRESS_S
        while True:
            self._attempt = what, time.monotonic()
            try:
                return function(_CALL_S)
            except KafkaException as exception:
                if failure := self._judge(what, exception.args[0]):
                    raise failure from exception
                # This also notes what is wrong with the connection.
                fatal = fatal_error(self._producer, 0)
                if fatal is not None and (failure := self._judge(what, fatal)):
                    raise failure from exception
                self._refuse_no_connection(what)
                if time.monotonic() > deadline:
                    raise UnusableError(
                        f"{what} did nothing for {PROGRESS_S:.0f} s ({self._connection.reason()})"
                    ) from exception
            finally:
                self._attempt = None

    def _refuse_no_connection(self, what: str) -> None:
        try:
            self._connection.check()
        except NoConnection as failure:
            raise TransactionError(f"{what}: {failure}") from failure

    def _judge(self, what: str, error: KafkaError) -> TfkafkaError | None:
        """Return the error to raise for a failed call; None where the call may be retried."""
        operation, resource = "WRITE", "the topics that are written"
        if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            resource = f"transactional id {self._transactional_id}"
        elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            operation, resource = "READ", "the group"
        reason = f"{what}: {with_right(error, operation, resource)}"
        if error.code() in codes.HOPELESS:
            return TransactionError(reason)
        if error.code() in codes.FENCED:
            return FencedError(reason)
        if error.txn_requires_abort():
            return AbortedError(reason)
        if error.fatal() or not error.retriable():
            return UnusableError(reason)
        return None


def is_outdated(error: AbortedError) -> bool:
    """Return whether the group had moved on since the membership was proved: try again."""
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in codes.LOST_MEMBERSHIP


class AlternatingProducers:
    """Two transactional producers that take turns; transactions do not overlap.

    The broker answers a commit before it has marked all partitions. Until then it refuses the
    producer's next transaction, and librdkafka retries every 20 ms. The other producer need not
    wait.
    """

    def __init__(self, settings: Mapping[str, object], transactional_id: str, timeout_ms: int):
        names = (f"{transactional_id}-{turn}" for turn in (0, 1))
        self._producers = [TransactionalProducer(settings, name, timeout_ms) for name in names]
        self._next = 0

    def connect(self) -> None:
        """See `TransactionalProducer.connect`."""
        # In the background: both at the same time, and librdkafka's calls may outlast their
        # time-outs.
        answers = [in_background(producer.connect) for producer in self._producers]
        for answer in answers:
            try:
                answer.result(TRANSACTION_S)
            except TimeoutError:
                raise UnusableError("init_transactions does not return") from None

    def transact(
        self,
        records: Outgoing,
        places: Places,
        prove: Callable[[], object],
    ) -> None:
        """See `TransactionalProducer.transact`. Call it only after the previous call returned."""
        producer = self._producers[self._next]
        self._next = 1 - self._next
        producer.transact(records, places, prove)

    def refuse_hang(self) -> None:
        """See `TransactionalProducer.refuse_hang`."""
        for producer in self._producers:
            producer.refuse_hang()

    def discard(self) -> None:
        for producer in self._producers:
            producer.discard()
