"""Datasets over chunks of records: what all Kafka datasets have in common."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Generator
from contextlib import closing
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol

import tensorflow as tf

from tfkafka._util import interrupts
from tfkafka.chunk import Chunk
from tfkafka.data.elements import Signature, signature
from tfkafka.data.iteration import Audible, audible
from tfkafka.decoding.bad_records import BadRecords, Counts
from tfkafka.errors import ReadError, TfkafkaError
from tfkafka.reading.elements import Columns, Elements
from tfkafka.reading.prefetch import Prepared

_log = logging.getLogger(__name__)


class ChunkedDataset(Audible):
    """A dataset over a Python generator of chunks; the base class of all datasets here.

    Attributes:
        error: the exception that ended the last iteration, or None. TensorFlow raises a
            `tf.errors.OpError` with its text instead.
        counts: numbers of records of the last iteration: read, used, skipped, dead_lettered.
    """

    def __init__(self, pipeline: tf.data.Dataset[Any], records_each: int | None = None):
        self._pipeline = pipeline
        self._sources, self._records_each = pipeline._sources, records_each
        interrupts.listen(self)
        super().__init__(pipeline._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset[Any]]:
        return [self._pipeline]

    @property
    def element_spec(self) -> tf.TypeSpec[Any] | Signature:
        return self._pipeline.element_spec


class Deliveries(Protocol):
    """What one iteration has delivered, as its dataset notes it."""

    def deliver(self, chunk: Chunk, kept: Chunk) -> None:
        """Note a chunk, just before TensorFlow receives its elements, the records `kept`."""

    def end(self) -> None:
        """Note that the iteration reached its end."""


class Unnoted:
    """Deliveries that nobody needs to know."""

    def deliver(self, chunk: Chunk, kept: Chunk) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Commits(Protocol):
    """What commits the records that were delivered: see `Source` for its methods."""

    def begin(self, is_held: bool) -> None: ...

    def release(self) -> None: ...


@dataclass(eq=False)
class _Iteration:
    """One iteration that is under way.

    Attributes:
        records: how many TensorFlow has received.
        to_end: why it has to end as silence would end it.
        is_left: whether an exception has ended the loop over it, or over another one.
    """

    records: int = 0
    to_end: str | None = None
    is_left: bool = False


class ChunkStream:
    """Turns the chunks of a dataset into columns for TensorFlow, and keeps the error.

    Args:
        name: the topic or the group, for warnings.
        elements: how chunks become elements.
        chunks: begins an iteration.
        bad_records: the policy for records that cannot be decoded; None: BadRecordError.
        begin: makes the notes of an iteration; called before `chunks`.
        why_empty: says why an iteration that reached its end had no record, and what to do; ""
            where that was to be expected.
        end_early: makes `chunks` end soon, as silence would; None: that is an error.
        commits: what commits the records that were delivered; None: nobody does.

    Attributes:
        counts: of the iteration that began last.
        skip: the number of elements to leave out at the beginning of each iteration.
    """

    def __init__(
        self,
        name: str,
        elements: Elements,
        chunks: Callable[[], Generator[Prepared, None, None]],
        bad_records: BadRecords | None = None,
        begin: Callable[[], Deliveries] = Unnoted,
        why_empty: Callable[[], str] = lambda: "there is none at these offsets",
        end_early: Callable[[], None] | None = None,
        commits: Commits | None = None,
    ):
        self.skip = 0
        self.elements = elements
        self.bad_records = bad_records or BadRecords()
        self.error: Exception | None = None
        self._name = name
        self._chunks = chunks
        self._why_empty = why_empty
        self._begin = begin
        self._end_early = end_early
        self._commits = commits
        self._iterations: set[_Iteration] = set()
        self._summary = ""
        self.counts = Counts()

    def dataset(self) -> tf.data.Dataset[Any]:
        """Return a dataset of whole chunks, some of which are empty."""
        # TensorFlow keeps the function forever, and so all that it refers to
        # (https://github.com/tensorflow/tensorflow/issues/57690).
        weak = weakref.ref(self)

        def columns() -> Generator[Columns, None, None]:
            stream = weak()
            if stream is None:
                raise ReadError("the dataset was deleted: keep it while TensorFlow uses it")
            return stream._columns_for_tensorflow()

        specs = signature(self.elements)
        return audible(tf.data.Dataset.from_generator(columns, output_signature=specs), [self])

    def columns(self) -> Generator[Columns, None, None]:
        """Yield the columns of one chunk after another."""
        self.error = None
        # Several iterations may be under way at the same time.
        bad_records = replace(self.bad_records, counts=Counts())
        self.counts = bad_records.counts
        deliveries, skip = self._begin(), self.skip
        iteration = _Iteration()
        self._iterations.add(iteration)
        try:
            # Closed here: whatever keeps an error also keeps its frames, and so an open consumer.
            with closing(self._chunks()) as chunks:
                for prepared in chunks:
                    if iteration.is_left and len(self._iterations) == 1:
                        return  # without an error, which TensorFlow would log
                    self._heed(iteration)
                    columns, kept = self.elements.columns(prepared, bad_records)
                    deliveries.deliver(prepared.chunk, kept)
                    iteration.records += len(kept) - min(skip, len(kept))
                    yield _without_first(skip, columns) if skip else columns
                    skip -= min(skip, len(kept))
            deliveries.end()
            if not bad_records.counts.read and (reason := self._why_empty()):
                _log.warning("%s: this iteration had no record: %s", self._name, reason)
        except Exception as error:
            self.error = error
            raise
        finally:
            self._sum_up(bad_records.counts.summary())
            self._iterations.discard(iteration)

    def _sum_up(self, summary: str) -> None:
        """Log what is odd about an iteration, unless the one before it had the same."""
        if summary and summary != self._summary:
            _log.warning("%s: %s", self._name, summary)
        self._summary = summary

    def end(self, reason: str) -> None:
        """End the iterations that are under way, as silence would."""
        for iteration in list(self._iterations):
            iteration.to_end = reason

    def leave(self) -> None:
        """End the iterations that are under way: an exception has ended the loop over one."""
        for iteration in list(self._iterations):
            iteration.is_left = True

    def begin(self, is_held: bool) -> None:
        """See `Source`."""
        if self._commits is not None:
            self._commits.begin(is_held)

    def release(self) -> None:
        """See `Source`."""
        if self._commits is not None:
            self._commits.release()

    def records_of_only_iteration(self) -> Callable[[], int] | None:
        """Return what counts the records that TensorFlow has of the iteration that is under way.

        None where that is not exactly one.
        """
        iterations = list(self._iterations)
        if len(iterations) != 1:
            return None
        return lambda: iterations[0].records

    def _heed(self, iteration: _Iteration) -> None:
        """End the iteration where a signal, or the loop over it, wants that."""
        if iteration.is_left:
            raise ReadError("an exception has ended another iteration over the same dataset")
        reason = iteration.to_end or interrupts.unheard()
        if reason is None:
            return
        if self._end_early is None:
            raise ReadError(f"reading was interrupted by {reason}")
        _log.warning("%s: the stream ends, as if it had timed out, by %s", self._name, reason)
        self._end_early()

    def _columns_for_tensorflow(self) -> Generator[Columns, None, None]:
        """Do the same, and raise errors that have no traceback and no cause.

        TensorFlow would put those around the message, in some 50 lines.
        """
        try:
            yield from self.columns()
        except TfkafkaError as error:
            raise copy(error) from None


def _without_first(count: int, columns: Columns) -> Columns:
    left: Columns = tf.nest.map_structure(lambda column: column[count:], columns)
    return left


def shaped(
    chunks: tf.data.Dataset[Any], elements: Elements, batch_size: int | None, whole: bool
) -> tf.data.Dataset[Any]:
    """Return the chunks whole, cut into batches, or cut into single records."""
    if whole:
        chunks = chunks.filter(lambda *columns: tf.size(tf.nest.flatten(columns)[-1]) > 0)
    elif batch_size is None:
        chunks = chunks.unbatch()
    else:
        chunks = chunks.rebatch(batch_size)
    return chunks.map(lambda column: column) if len(signature(elements)) == 1 else chunks


def source_options() -> tf.data.Options:
    """Return options for a source that may be silent for long.

    They apply to all datasets that are built on it.
    """
    options = tf.data.Options()
    # Prefetching would commit records that are not used yet.
    options.experimental_optimization.inject_prefetch = False
    # In about half of the cases the end of an iterator waits for the autotune thread. That sleeps
    # 5.12 s after an iterator of 3.4 s, and 20 s after one of 10 s (seen with TensorFlow 2.16).
    # Autotune also makes maps parallel, which then wait for a record that nobody wants any more.
    options.autotune.enabled = False
    return options
