"""Inference in which every record has exactly one prediction, whatever is killed and when.

Predictions and input offsets are committed in one Kafka transaction. Three things go on at a time:
the thread that calls `run` reads the next batch and keeps the membership, one predicts the batch
before it, one commits the batch before that. Batches are committed in their order; one that fails
takes all behind it with it, and reading begins again at the committed offsets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tfkafka import config, poison, predictions
from tfkafka.batches import BatchReader, Extent
from tfkafka.decode import CsvDecoder, Fault
from tfkafka.errors import OffsetError, PoisonedRecordError, ReadError, TopicError
from tfkafka.intake import Limits
from tfkafka.predictions import Predict
from tfkafka.records import Chunk
from tfkafka.transactions import (
    PROGRESS_S,
    AbortedError,
    FencedError,
    TransactionError,
    Turns,
    UnusableError,
)

TRANSACTION_RECORDS = 10_000
TRANSACTION_WAIT_MS = 1000
TRANSACTION_TIMEOUT_MS = 10_000
BROKER_TIMEOUT_MS = 60_000
_DEFAULTS = {"session.timeout.ms": 10_000}
# One being predicted, one being committed.
_IN_WORK = 2
_PATIENCE_S = 0.5
_STOP_S = 10.0
_ASK_S = 5.0
# begin, produce, offsets, commit: each ends within PROGRESS_S; and the broker looks only every 10 s
# for transactions that are over time.
_TRANSACTION_S = 4 * PROGRESS_S
_BROKER_LOOKS_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is predicted, from where, to where.

    Args:
        predict: the model, float32 [n, columns] -> float32 [n]; `predictions.keras_predict`
            makes one of a Keras model. Called from a thread of its own.
        decode: of the records' values.
        topics: read from, by the group `group_id`.
        predictions_topic: written to.
        worker: unlike that of all other workers of the group, and the same after a restart: the
            new process has the partitions of the old one at once, and the old one is refused.
        model_id: a header of each prediction.
        on_poison: what to do with a record that `decode` refuses: "fail", "skip", or "quarantine":
            write it to `quarantine_topic`, in the same transaction, so once.
    """

    predict: Predict
    decode: CsvDecoder
    topics: Sequence[str]
    predictions_topic: str
    group_id: str
    worker: str = "1"
    model_id: str = "model"
    on_poison: str = "fail"
    quarantine_topic: str | None = None

    @property
    def transactional_id(self) -> str:
        return f"{self.group_id}-{self.worker}"


class ExactlyOnceInference:
    """A worker: reads, predicts and writes in transactions.

    Args:
        job: what is predicted.
        servers: `HOST:PORT[,HOST:PORT]`.
        transaction_records: predictions of a transaction at most.
        transaction_wait: ms that a record waits for others of its transaction at most.
        stream_timeout: ms of silence after which `run` returns; 0: it returns when all is
            predicted that was there when partitions were assigned; -1: it goes on until `stop`.
        transaction_timeout: ms after which the broker aborts what a dead worker left open, unless
            that worker is started again before. Readers of predictions wait for it.
        broker_timeout: ms for which nothing can be committed before `run` fails.
        configuration: librdkafka's settings of the consumer; those of the connection also of the
            producer.
        on_commit: called with the counts after each transaction.

    Attributes:
        counts: records whose commit was confirmed to this worker.
        restarts: how often it began again with new clients, or from the committed offsets.
        rebalances: how often it was assigned partitions.
    """

    def __init__(
        self,
        job: Job,
        servers: str | None = None,
        *,
        transaction_records: int = TRANSACTION_RECORDS,
        transaction_wait: int = TRANSACTION_WAIT_MS,
        stream_timeout: int = 0,
        transaction_timeout: int = TRANSACTION_TIMEOUT_MS,
        broker_timeout: int = BROKER_TIMEOUT_MS,
        configuration: config.Configuration = None,
        on_commit: Callable[[poison.Counts], None] | None = None,
    ):
        self.job = job
        self.extent = Extent(transaction_records, transaction_wait, stream_timeout)
        self.settings = config.Settings({
            **_DEFAULTS, **config.consumer_settings(servers, configuration),
            "group.id": job.group_id, "group.instance.id": job.worker,
        })  # fmt: skip
        config.check(self.settings)
        self.transaction_timeout = transaction_timeout
        self.stopped = threading.Event()
        self.member_ids: set[str] = set()
        self.restarts = self.rebalances = 0
        self.counts = poison.Poison(job.on_poison, job.quarantine_topic, {}).counts
        self._on_commit = on_commit
        self.patience = _Patience(broker_timeout / 1000, self.stopped)

    def run(self) -> poison.Counts:
        """Work until the stream ends or `stop` is called, then leave the group.

        Raises:
            FencedError: another process with the same worker name has taken over.
            TransactionError: nothing could be committed for `broker_timeout`, or access is refused.
            PoisonedRecordError: see `Job`; what was before its batch is committed.
            OffsetError: records were deleted before they were read.
            TopicError: a topic is missing.
        """
        _refuse_missing_topics(self.job, self.settings)
        while True:
            attempt = _Attempt(self)
            try:
                attempt.run()
                return self.counts
            except FencedError as error:
                if self._is_replaced():
                    raise FencedError(
                        f"group {self.job.group_id}: another worker named {self.job.worker} has "
                        f"taken over, and this one stops: give each its own name"
                    ) from error
                self.failed(error)
            except OffsetError:
                raise
            except (UnusableError, ReadError) as error:
                self.failed(error)
            finally:
                self.rebalances += attempt.rebalances
                attempt.discard()

    def stop(self) -> None:
        """Let `run` finish what is in work, leave the group and return; for signal handlers."""
        self.stopped.set()

    def committed(self, read: int, faults: int) -> None:
        """Note a transaction."""
        self.patience.reset()
        self.counts.read += read
        self.counts.used += read - faults
        if self.job.on_poison == "quarantine":
            self.counts.quarantined += faults
        else:
            self.counts.skipped += faults
        if self._on_commit is not None:
            self._on_commit(self.counts)

    def failed(self, error: Exception) -> None:
        """Note a failure and wait a moment. Raises TransactionError where it is one too many."""
        self.restarts += 1
        _log.warning("group %s, worker %s: %s; going on from the committed offsets",
                     self.job.group_id, self.job.worker, error)  # fmt: skip
        self.patience.failed(error)

    def _is_replaced(self) -> bool:
        """Whether the group has a member of this worker's name that is not this process."""
        client = config.make_client(AdminClient, config.connection_settings(self.settings))
        try:
            answers = client.describe_consumer_groups([self.job.group_id], request_timeout=_ASK_S)
            members = answers[self.job.group_id].result(2 * _ASK_S).members
        except KafkaException:
            return False
        named = {m.member_id for m in members if m.group_instance_id == self.job.worker}
        return bool(named - self.member_ids)


class _Attempt:
    """Work with one consumer and one producer, until the end or until they are of no use."""

    def __init__(self, worker: ExactlyOnceInference):
        self._worker, self._job = worker, worker.job
        self._work: deque[Future[_Predicted | None]] = deque()
        # Held while a transaction is open. What was read in an epoch that is over, or behind a
        # batch that failed, is never written.
        self._transaction = threading.Lock()
        self._epoch = 0
        self._broken = False
        self._ended = False
        self._is_over = False
        self._predictor = ThreadPoolExecutor(1, "tfkafka-predict")
        self._writer = ThreadPoolExecutor(1, "tfkafka-commit")
        self._producer = Turns(
            config.connection_settings(worker.settings), self._job.transactional_id,
            worker.transaction_timeout,
        )  # fmt: skip
        self._reader = BatchReader(
            self._job.topics, worker.settings, worker.extent,
            Limits(broker_timeout=int(2000 * PROGRESS_S)), self._forget,
            patience_s=worker.transaction_timeout / 1000 + 2 * _BROKER_LOOKS_S,
        )  # fmt: skip

    def run(self) -> None:
        # Joining the group goes on meanwhile. Committed offsets are asked for after this only:
        # until now a former process of this name could have moved them.
        self._producer.connect()
        while not self._worker.stopped.is_set() and not (self._ended and not self._work):
            try:
                self._step()
            except AbortedError as error:
                self._worker.failed(error)
                self._rewind()
        self._finish()
        self._reader.leave()
        self._is_over = True

    @property
    def rebalances(self) -> int:
        return self._reader.rebalances

    def discard(self) -> None:
        self._predictor.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._broken = True
        if not self._is_over:
            self._reader.discard()
        self._producer.discard()

    def _step(self) -> None:
        self._reap()
        self._worker.member_ids.add(self._reader.member_id)
        if len(self._work) >= _IN_WORK or self._ended:
            self._wait_for_work()
            return
        chunk = self._reader.next_batch()
        if chunk is None:
            self._ended = True
        elif not len(chunk):
            if not self._work and self._reader.is_idle():
                self._worker.patience.reset()
        else:
            predicted = self._predictor.submit(_predict, self._job, chunk)
            membership = self._reader.membership()
            self._work.append(self._writer.submit(self._write, predicted, self._epoch, membership))

    def _wait_for_work(self) -> None:
        if self._work:
            wait([self._work[0]], _PATIENCE_S)
            if not self._work[0].done():
                self._reader.idle()

    def _reap(self) -> None:
        """Note what is committed; raises what went wrong."""
        while self._work and self._work[0].done():
            done = self._work.popleft().result()
            if done is not None:
                self._worker.committed(len(done.chunk), len(done.faults))

    def _write(self, predicted: Future[_Predicted], epoch: int, membership) -> _Predicted | None:
        try:
            batch = predicted.result()
            with self._transaction:
                if self._broken or epoch != self._epoch:
                    return None
                positions = batch.chunk.next_offsets
                self._producer.transact(batch.produce, positions, membership)
                return batch
        except BaseException:
            self._broken = True
            raise

    def _forget(self) -> None:
        """Before partitions are lost: end the open transaction, drop what is not begun."""
        if not self._transaction.acquire(timeout=_TRANSACTION_S):
            raise UnusableError("partitions are revoked, and the open transaction does not end")
        self._epoch += 1
        self._ended = False
        self._transaction.release()

    def _rewind(self) -> None:
        self._forget()
        self._work.clear()
        self._broken = False
        self._reader.rewind()

    def _finish(self) -> None:
        """Wait for what is in work; what a slow model does not end in time is dropped."""
        deadline = time.monotonic() + _STOP_S
        while self._work and time.monotonic() < deadline:
            self._wait_for_work()
            self._reap()
        self._forget()


@dataclass(frozen=True)
class _Predicted:
    job: Job
    chunk: Chunk
    kept: Chunk
    probabilities: np.ndarray
    faults: Sequence[Fault]

    def produce(self, producer) -> None:
        predictions.produce(
            producer, self.job.predictions_topic, self.kept, self.probabilities, self.job.model_id
        )
        if self.job.on_poison == "quarantine":
            for fault in self.faults:
                poison.produce(producer, self.job.quarantine_topic, self.chunk, fault)


def _predict(job: Job, chunk: Chunk) -> _Predicted:
    decoded = job.decode.decode(chunk)
    if decoded.faults and job.on_poison == "fail":
        first = decoded.faults[0]
        raise PoisonedRecordError(f"{chunk.position(first.index)}: {first.reason}")
    kept = chunk.select(decoded.kept) if decoded.faults else chunk
    rows = len(kept)
    probabilities = np.zeros(0, np.float32)
    if rows:
        probabilities = np.asarray(job.predict(decoded.features), np.float32)
    if probabilities.shape != (rows,):
        raise ValueError(
            f"the model gave {probabilities.shape} for {rows:,} records, must be ({rows},)"
        )
    return _Predicted(job, chunk, kept, probabilities, decoded.faults)


class _Patience:
    """How long failures may follow each other without a commit."""

    def __init__(self, limit_s: float, stopped: threading.Event):
        self._limit_s = limit_s
        self._stopped = stopped
        self.reset()

    def reset(self) -> None:
        """A transaction was committed, or there is nothing to be committed."""
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


def _refuse_missing_topics(job: Job, settings: config.Settings) -> None:
    client = config.make_client(
        AdminClient, {"log_level": 0, **config.connection_settings(settings)}
    )
    wanted = [*job.topics, job.predictions_topic]
    wanted += [job.quarantine_topic] if job.quarantine_topic else []
    try:
        there = client.list_topics(timeout=_ASK_S).topics
    except KafkaException as error:
        raise ReadError(
            f"no answer from Kafka at {settings['bootstrap.servers']} ({error.args[0].str()})"
        ) from error
    for topic in wanted:
        if topic not in there:
            raise TopicError(
                f"there is no topic {topic} on {settings['bootstrap.servers']}: create it first"
            )
