"""Inference in which every record has exactly one prediction, whatever is killed and when.

Predictions and input offsets are committed in one Kafka transaction. A worker that fails begins
again at the committed offsets, with new clients where the old ones cannot be used.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.background import in_background
from tfkafka.client.admin import Admin
from tfkafka.client.diagnosis import is_final
from tfkafka.client.identity import Identities
from tfkafka.client.transactions import TRANSACTION_S
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import Counts
from tfkafka.decoding.base import Fault
from tfkafka.errors import (
    CommitError,
    FencedError,
    OffsetError,
    ReadError,
    TfkafkaError,
    TransactionError,
    UnusableError,
)
from tfkafka.exactly_once.batches import BatchLimits
from tfkafka.exactly_once.job import InferenceJob, refuse_missing_topics
from tfkafka.exactly_once.pipeline import Pipeline
from tfkafka.metrics.metrics import Metrics
from tfkafka.reading.dead_letters import refuse_missing
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.starts import ON_MISSING_OFFSETS, OnMissingOffsets

TRANSACTION_RECORDS = 10_000
TRANSACTION_WAIT_MS = 1000
TRANSACTION_TIMEOUT_MS = 10_000
# Kafka's client takes no less.
LEAST_TRANSACTION_TIMEOUT_MS = 1000
BROKER_TIMEOUT_MS = 60_000
# A join is answered when all other members have joined too. They end a transaction first, and a
# group without members waits 3 s for more (group.initial.rebalance.delay.ms).
_JOIN_S = TRANSACTION_S + 5.0
_LOOK_S = 0.2

_log = logging.getLogger(__name__)


class ExactlyOnceInference:
    """A worker that reads, predicts and writes in transactions.

    Args:
        job: what to predict.
        servers: `HOST:PORT[,HOST:PORT]`.
        transaction_records: maximum number of records in a transaction.
        transaction_wait: maximum ms that a record waits for others of its transaction.
        stream_timeout: ms of silence after which `run` returns; 0: it returns when all records
            that existed when partitions were assigned are predicted; -1: it works until `stop`.
        transaction_timeout: ms after which the broker aborts the transaction that a dead worker
            left open, unless that worker is restarted before. Readers of predictions wait for it.
        broker_timeout: ms without a possible commit, or without an answer at the start, after
            which `run` fails.
        configuration: librdkafka's settings for the consumer; the producer uses those of the
            connection.
        on_missing_offsets: "error", or "earliest": what to do where records were deleted before
            they were read; "earliest" counts them in `counts.missing`, logs them, and continues at
            the first record that the partition has.
        on_commit: called with the counts after each transaction.
        metrics_port: a port of 127.0.0.1, or `HOST:PORT`, where Prometheus reads metrics at
            `/metrics` and a monitor the health at `/healthz`, from now until `run` ends; 0: a free
            port; None: nothing is counted.

    Raises:
        TypeError, ValueError: an argument is of a wrong type, or out of its range.
        ConfigurationError: a setting is unknown or refused.
        TopicError: the job's dead letter topic does not exist.
        ReadError: no broker answers, where the job has a dead letter topic.
        MetricsError: `metrics_port` is in use, or prometheus-client is not installed.

    Attributes:
        counts: numbers of records whose commit was confirmed to this worker.
        restarts: the number of times it began again, with new clients or at the committed offsets.
        rebalances: the number of times that partitions were assigned to it.
        metrics_port: the port that metrics are served on, or None.

    Example:
        from tfkafka.exactly_once import ExactlyOnceInference

        worker = ExactlyOnceInference(job, "localhost:9092")  # job: see InferenceJob
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        print(worker.run().used, "records have a prediction")
    """

    def __init__(
        self,
        job: InferenceJob,
        servers: str | None = None,
        *,
        transaction_records: int = TRANSACTION_RECORDS,
        transaction_wait: int = TRANSACTION_WAIT_MS,
        stream_timeout: int = 0,
        transaction_timeout: int = TRANSACTION_TIMEOUT_MS,
        broker_timeout: int = BROKER_TIMEOUT_MS,
        configuration: config.Configuration = None,
        on_missing_offsets: OnMissingOffsets = "error",
        on_commit: Callable[[Counts], None] | None = None,
        metrics_port: int | str | None = None,
    ):
        arguments.instance("job", job, InferenceJob, "an InferenceJob")
        self.job = job
        self._batch_limits = BatchLimits(transaction_records, transaction_wait, stream_timeout)
        self._transaction_timeout = arguments.milliseconds(
            "transaction_timeout", transaction_timeout, LEAST_TRANSACTION_TIMEOUT_MS
        )
        arguments.choice("on_missing_offsets", on_missing_offsets, ON_MISSING_OFFSETS)
        self._on_missing: OnMissingOffsets = on_missing_offsets
        self._known = Identities()
        self._limits = Limits(broker_timeout=broker_timeout)
        arguments.optional(arguments.function, "on_commit", on_commit)
        given = config.parse(configuration)
        self._settings = reader_settings(
            servers, given, {"group.id": job.group_id, **config.worker_name(given, job.worker)}
        )
        if job.dead_letter_topic is not None:
            refuse_missing(job.dead_letter_topic, self._settings, self._limits)
        self._stopped = threading.Event()
        self._member_ids: set[str] = set()
        self.restarts: int = 0
        self.rebalances: int = 0
        self._metrics = Metrics(metrics_port)
        self._meter = self._metrics.meter
        self.counts: Counts = self._meter.counts or Counts()
        self._on_commit = on_commit
        self._patience = _Patience(broker_timeout / 1000, self._stopped)
        self._metrics.open()
        self.metrics_port: int | None = self._metrics.port

    def run(self) -> Counts:
        """Work until the stream ends or `stop` is called, then leave the group.

        Raises:
            FencedError: another process with the same worker name has taken over.
            TransactionError: nothing could be committed for `broker_timeout`, or access is refused.
            BadRecordError: see `InferenceJob`; earlier batches are committed.
            PredictionsError: the model predicts a number that is not finite; likewise.
            OffsetError: records were deleted before they were read.
            TopicError: a topic is missing, or was deleted and created again.
            ReadError: no broker answers within `broker_timeout` at the start.
        """
        self._metrics.open()
        try:
            self._refuse_missing_topics()
            while not self.is_stopped() and (failure := self._attempt()) is not None:
                self.failed(failure)
        finally:
            if summary := self.counts.summary():
                _log.warning("group %s, worker %s: %s", self.job.group_id, self.job.worker, summary)
            self._metrics.close()
        return self.counts

    def stop(self) -> None:
        """Make `run` finish the work in progress within 10 s, leave the group and return.

        Signal handlers may call it.
        """
        self._stopped.set()

    def joined(self, member_id: str) -> None:
        """See `Events`."""
        self._member_ids.add(member_id)

    def committed(self, records: int, faults: Sequence[Fault], absent: frozenset[str]) -> None:
        """See `Events`."""
        self._patience.reset()
        self.counts.add(records, faults, self.job.on_bad_record, absent)
        self._meter.count("commits")
        self._meter.progressed()
        if self._on_commit is not None:
            self._on_commit(self.counts)

    def idle(self) -> None:
        """See `Events`."""
        self._patience.reset()
        self._meter.progressed()

    def failed(self, error: Exception) -> None:
        """See `Events`. Raises TransactionError where nothing can be committed for too long."""
        self.restarts += 1
        self._meter.count("restarts")
        self._meter.failed(str(error))
        _log.warning(
            "group %s, worker %s: %s; continuing at the committed offsets",
            self.job.group_id,
            self.job.worker,
            error,
        )
        self._patience.failed(error)

    def is_stopped(self) -> bool:
        """See `Events`."""
        return self._stopped.is_set()

    def _refuse_missing_topics(self) -> None:
        """Raise what `refuse_missing_topics` raises; return early where `stop` is called."""
        answer = in_background(
            lambda: refuse_missing_topics(self.job, self._settings, self._limits)
        )
        while not self.is_stopped():
            if wait([answer], _LOOK_S).done:
                return answer.result()

    def _attempt(self) -> Exception | None:
        """Work with new clients; return why others are needed, or None at the end."""
        attempt = Pipeline(
            self.job,
            self._batch_limits,
            self._settings,
            self._transaction_timeout,
            events=self,
            on_missing=self._on_missing,
            known=self._known,
            meter=self._meter,
        )
        try:
            attempt.run()
            return None
        except FencedError as error:
            if self._is_replaced(attempt):
                raise FencedError(
                    f"group {self.job.group_id}: another worker named {self.job.worker} has taken "
                    f"over, and this one stops: give each its own name"
                ) from error
            return error
        except OffsetError:
            raise
        except (UnusableError, ReadError, CommitError) as error:
            if is_final(error):
                raise TransactionError(f"group {self.job.group_id}: {error}") from error
            return error
        finally:
            self.rebalances += attempt.rebalances
            self.counts.missing += attempt.missing
            attempt.close()

    def _is_replaced(self, attempt: Pipeline) -> bool:
        """Return whether another process is in the group under this worker's name.

        Otherwise this process was only frozen or cut off for so long that the broker ended its
        transaction or its membership. While it joins again, the broker lists its new id before it
        sends the id to the member.
        """
        admin = Admin(
            str(self._settings["bootstrap.servers"]), config.connection_settings(self._settings)
        )
        deadline = time.monotonic() + _JOIN_S
        while self._named(admin) - self._member_ids - {attempt.member_id()}:
            if attempt.is_assigned() or time.monotonic() > deadline:
                return True
            if self._stopped.wait(_LOOK_S):
                return False
        return False

    def _named(self, admin: Admin) -> set[str]:
        """Return the ids of group members with this worker's name; none where Kafka fails."""
        try:
            return admin.member_ids(self.job.group_id, self.job.worker)
        except TfkafkaError:
            return set()


class _Patience:
    """A limit on the time of repeated failures without a commit."""

    def __init__(self, limit_s: float, stopped: threading.Event):
        self._limit_s = limit_s
        self._stopped = stopped
        self._first_s: float | None = None
        self.reset()

    def reset(self) -> None:
        """Note that a transaction was committed, or that there is nothing to commit."""
        self._first_s = None
        self._pause_s = 0.1

    def failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._first_s is None:
            self._first_s = now
        if now - self._first_s > self._limit_s:
            raise TransactionError(
                f"nothing could be committed for {self._limit_s:.0f} s: {error}"
            ) from error
        self._stopped.wait(self._pause_s)
        self._pause_s = min(2.0, 2 * self._pause_s)
