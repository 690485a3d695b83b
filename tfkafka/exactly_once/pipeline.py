"""Reading, predicting and committing at the same time, with one set of clients.

Three threads work at the same time. The one that calls `run` reads the next batch and keeps the
membership, another predicts the batch before it, and a third commits the batch before that. Batches
are committed in their order. Where one fails, all later ones are dropped, and reading begins again
at the committed offsets. Where partitions are lost, their records alone are dropped.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import NamedTuple, Protocol

from tfkafka import config
from tfkafka._util.background import BackgroundThread
from tfkafka.chunk import Chunk
from tfkafka.client.identity import Identities
from tfkafka.client.transactions import (
    PROGRESS_S,
    TRANSACTION_S,
    AlternatingProducers,
    is_outdated,
)
from tfkafka.config import Limits
from tfkafka.decoding.base import Fault, needs_headers
from tfkafka.errors import (
    AbortedError,
    BadRecordError,
    CommitError,
    FencedError,
    OffsetError,
    PredictionsError,
    ReadError,
    UnusableError,
)
from tfkafka.exactly_once.batches import BatchLimits, BatchReader
from tfkafka.exactly_once.job import InferenceJob, Predicted, predict
from tfkafka.metrics.meter import Meter
from tfkafka.reading.starts import OnMissingOffsets

# One being predicted, one being committed.
_IN_WORK = 2
_PATIENCE_S = 0.5
_LOOK_S = 0.1
_STOP_S = 10.0
# How long clients that cannot be used are kept for the answer to a commit that is under way.
_LAST_ANSWER_S = 0.5
# The broker looks for transactions that have timed out only every 10 s.
_BROKER_LOOKS_S = 10.0


class _Checked(NamedTuple):
    """A batch with its predictions, and the answer whether its topics are still the same."""

    predicted: Predicted
    confirmed: Future[None]


class Events(Protocol):
    """What a pipeline reports to its caller and asks of it."""

    def joined(self, member_id: str) -> None:
        """Note the member's id, "" until the broker has sent it."""

    def committed(self, records: int, faults: Sequence[Fault], absent: frozenset[str]) -> None:
        """Note a committed transaction of `records` records.

        Args:
            faults: those that could not be decoded.
            absent: the fields that none of the others has.
        """

    def idle(self) -> None:
        """Note that there is nothing to commit."""

    def failed(self, error: Exception) -> None:
        """Note that a transaction was aborted; raises where transactions fail for too long."""

    def is_stopped(self) -> bool:
        """Return whether the work must end."""


class Pipeline:
    """The work of one set of clients, until the end or until they can no longer be used.

    Args:
        job: what to predict.
        batch_limits: when a batch is full, and when the stream ends.
        settings: the consumer's settings.
        transaction_timeout: ms after which the broker aborts a transaction that is still open.
        events: called with what happens, in the thread that calls `run` and `close`.
        on_missing: what to do where an offset no longer exists.
        known: the identities of topics that are known so far; new ones are added.
    """

    def __init__(
        self,
        job: InferenceJob,
        batch_limits: BatchLimits,
        settings: Mapping[str, object],
        transaction_timeout: int,
        events: Events,
        on_missing: OnMissingOffsets,
        known: Identities,
        meter: Meter,
    ):
        self._job, self._events, self._meter = job, events, meter
        self._work: deque[Future[None]] = deque()
        # Batches that the broker has confirmed, until they are reported.
        self._committed: deque[Predicted] = deque()
        # Held while a transaction is open. Records that were read in an earlier epoch, after a
        # batch that failed, or from a partition that was lost since, are never written.
        self._transaction = threading.Lock()
        self._begun_s: float | None = None
        self._proved: object = None
        self._epoch = 0
        self._broken = False
        self._ended = False
        self._is_usable = True
        self._predictor = BackgroundThread("tfkafka-predict")
        self._writer = BackgroundThread("tfkafka-commit")
        self._checker = BackgroundThread("tfkafka-confirm")
        self._producer = AlternatingProducers(
            config.connection_settings(settings), job.transactional_id, transaction_timeout
        )
        self._reader = BatchReader(
            job.topics,
            settings,
            batch_limits,
            Limits(broker_timeout=int(2000 * PROGRESS_S)),
            self._finish_transaction,
            patience_s=transaction_timeout / 1000 + 2 * _BROKER_LOOKS_S,
            metadata=job.dead_letter_topic is not None or needs_headers(job.decode),
            on_missing=on_missing,
            known=known,
            meter=meter,
        )

    def run(self) -> None:
        """Work until the stream ends. Raises the error that ends the work before."""
        try:
            self._run()
        except (FencedError, UnusableError, ReadError, CommitError) as error:
            self._is_usable = isinstance(error, OffsetError)
            raise

    def close(self) -> None:
        """Leave the group once no transaction is open; or drop clients that cannot be used.

        Reports what was committed since the last report.
        """
        if self._begun_s is not None:
            # The transaction may never end.
            self._predictor.close()
            self._checker.close()
        # The writer may need the others until then.
        self._writer.submit(self._predictor.close)
        self._writer.submit(self._checker.close)
        self._writer.close()
        if self._is_usable:
            with contextlib.suppress(UnusableError):
                self._forget()
            self._reader.leave()
        else:
            self._broken = True
            if self._transaction.acquire(timeout=_LAST_ANSWER_S):
                self._transaction.release()
            self._reader.discard()
        self._producer.discard()
        # Last, because what the caller does with it may raise.
        self._report()

    def _run(self) -> None:
        # Joining the group continues in the meantime. Committed offsets are requested only after
        # this: until now a previous process of this name could have moved them.
        self._producer.connect()
        while not self._events.is_stopped() and not (self._ended and not self._work):
            try:
                self._step()
            except AbortedError as error:
                self._events.failed(error)
                self._rewind()
        self._finish()

    @property
    def rebalances(self) -> int:
        return self._reader.rebalances

    @property
    def missing(self) -> int:
        return self._reader.missing

    def member_id(self) -> str:
        """Return the id that the broker sent last, which may be before any assignment."""
        return self._reader.membership_id()

    def is_assigned(self) -> bool:
        return self._reader.is_assigned()

    def _step(self) -> None:
        self._reap()
        self._events.joined(self._reader.member_id)
        if len(self._work) >= _IN_WORK or self._ended:
            self._wait_for_work()
            return
        with self._meter.stage("wait"):
            chunk = self._reader.next_batch()
        if chunk is None:
            self._ended = True
        elif not len(chunk):
            if not self._work and self._reader.is_idle():
                self._events.idle()
        else:
            self._meter.count("batches")
            predicted = self._predictor.submit(self._predict, chunk)
            self._work.append(self._writer.submit(self._write, chunk, predicted, self._epoch))

    def _wait_for_work(self) -> None:
        if self._work:
            wait([self._work[0]], _PATIENCE_S)
            if not self._work[0].done():
                assigned = self._reader.rebalances
                self._reader.idle()
                # A cooperative group adds partitions without revoking others.
                self._ended = self._ended and self._reader.rebalances == assigned

    def _reap(self) -> None:
        """Report what was committed. Raises what went wrong, or UnusableError on a hang."""
        self._refuse_hang()
        while self._work and self._work[0].done():
            done = self._work.popleft()
            self._report()
            done.result()

    def _report(self) -> None:
        while self._committed:
            batch = self._committed.popleft()
            self._events.committed(len(batch.chunk), batch.faults, batch.absent)

    def _refuse_hang(self) -> None:
        self._producer.refuse_hang()
        begun_s = self._begun_s
        if begun_s is not None and time.monotonic() - begun_s > TRANSACTION_S:
            raise UnusableError(f"a transaction does not end within {TRANSACTION_S:.0f} s")

    def _predict(self, chunk: Chunk) -> _Checked:
        """Predict a batch, and ask whether its topics are the same while others are committed."""
        predicted = predict(self._job, chunk, self._meter)
        topics = {source.topic for source in chunk.next_offsets}
        return _Checked(predicted, self._checker.submit(self._reader.confirm, topics))

    def _predicted(self, chunk: Chunk, predicted: Future[_Checked]) -> _Checked | None:
        """Return a batch with its predictions; None where all of its partitions were lost.

        What is wrong with a record of a lost partition is for its new owner to say.
        """
        while True:
            try:
                return predicted.result()
            except (BadRecordError, PredictionsError):
                kept = self._reader.current(chunk)
                if len(kept) == len(chunk):
                    raise
                if not len(kept):
                    return None
            chunk, predicted = kept, self._predictor.submit(self._predict, kept)

    def _write(self, chunk: Chunk, predicted: Future[_Checked], epoch: int) -> None:
        """Commit a batch, less the records of partitions that were lost."""
        try:
            checked = self._predicted(chunk, predicted)
            deadline_s = time.monotonic() + PROGRESS_S
            while checked is not None:
                batch = checked.predicted
                with self._transaction:
                    if self._broken or epoch != self._epoch:
                        return
                    chunk = self._reader.current(batch.chunk)
                    if not len(chunk):
                        return
                    is_whole = len(chunk) == len(batch.chunk)
                    aborted = self._commit(checked) if is_whole else None
                if not is_whole:
                    checked = self._predicted(chunk, self._predictor.submit(self._predict, chunk))
                elif aborted is None:
                    return
                elif not self._reader.membership_changes(self._proved, chunk, deadline_s):
                    raise aborted
        except BaseException:
            with self._transaction:
                if epoch != self._epoch:
                    return
                self._broken = True
            raise

    def _commit(self, checked: _Checked) -> AbortedError | None:
        """Commit a batch; return why it was aborted where the group has changed meanwhile."""
        batch = checked.predicted
        self._begun_s = time.monotonic()
        positions = batch.chunk.next_offsets
        try:
            with self._meter.stage("commit"):
                self._producer.transact(
                    batch.outgoing(),
                    self._reader.places(positions),
                    prove=lambda: self._prove(checked),
                )
        except AbortedError as error:
            is_lost = len(self._reader.current(batch.chunk)) < len(batch.chunk)
            if is_lost or is_outdated(error):
                return error
            raise
        finally:
            self._begun_s = None
        self._committed.append(batch)
        self._reader.note_committed(positions)
        return None

    def _prove(self, checked: _Checked) -> object:
        checked.confirmed.result()
        self._proved = self._reader.prove(checked.predicted.chunk)
        return self._proved

    def _finish_transaction(self) -> None:
        """Wait for the open transaction before partitions are lost."""
        with self._between_transactions():
            self._ended = False

    def _forget(self) -> None:
        """Wait for the open transaction, and drop all later work."""
        with self._between_transactions():
            self._ended = False
            self._epoch += 1

    @contextlib.contextmanager
    def _between_transactions(self) -> Iterator[None]:
        while not self._transaction.acquire(timeout=_LOOK_S):
            self._refuse_hang()
        try:
            yield
        finally:
            self._transaction.release()

    def _rewind(self) -> None:
        self._forget()
        self._work.clear()
        self._broken = False
        self._reader.rewind()

    def _finish(self) -> None:
        """Wait for the work in progress; drop what a slow model does not finish in time."""
        deadline = time.monotonic() + _STOP_S
        with contextlib.suppress(AbortedError):
            while self._work and time.monotonic() < deadline:
                self._wait_for_work()
                self._reap()
