"""Committing the records that a Keras model has used."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.data.groups import KafkaGroupDataset
from tfkafka.reading.commits import OffsetTracker
from tfkafka.reading.elements import Metadata

if TYPE_CHECKING:
    # Typed by types-tensorflow; Keras itself has no types.
    from tensorflow.keras.callbacks import Callback
else:
    from keras.callbacks import Callback

_log = logging.getLogger(__name__)

COMMIT_EVERY_S = 1.0
Logs = Mapping[str, object] | None
# A batch that left the pipeline: the iteration; its topics, partitions and offsets.
_Batch = tuple[OffsetTracker, NDArray[np.str_], NDArray[np.int32], NDArray[np.int64]]


class CommitCallback(Callback):  # type: ignore[misc]  # Keras has no types
    """Commits the records of a group dataset that finished steps of a model have used.

    It is for `fit`, `evaluate` and `predict`. A crash repeats records, and loses none. The dataset
    no longer commits records that it merely delivered. Offsets are sent at most once a second, and
    at the end of each epoch, where the callback waits for the broker's answer. The steps of `fit`'s
    own validation are not counted.

    With `steps_per_execution` above 1 Keras does not say how many steps its last execution ran
    before the data ended. By counting, an execution is committed when the next one is finished, or
    when the stream has ended; where neither comes, as after `take`, a warning names the steps that
    are not committed. `watch` commits them exactly. docs/reading-kafka.md says where counting is
    wrong: with `prefetch` before `take`, `drop_remainder` or a strategy of `tf.distribute`.

    There are two ways to know which records a step has used:

    - By counting, where batches have the order of the records and nothing is filtered. The
      batch size is the dataset's own, or `batch_size` given here if the pipeline has
      `.batch(batch_size)`.
    - Exactly, after any shuffle: create the dataset with `metadata=True`, keep the metadata as the
      last part of the elements, and end the pipeline with `watch`. A partition is then committed up
      to its oldest unused record, which may still be in the shuffle's buffer. Filter with `filter`
      of this class: a record that the dataset's own filter drops is never used, and nothing after
      it is committed.

    Args:
        dataset: the group dataset that the model's data comes from.
        batch_size: records of a batch, where the dataset does not make the batches.

    Raises CommitError, from the model's call, where the broker refuses the offsets.

    Example:
        stream = tfkafka.KafkaGroupDataset(
            "susy-train",
            "training",
            servers="localhost:9092",
            configuration={"auto.offset.reset": "earliest"},
            decode=tfkafka.CsvDecoder(18, label="key"),
            metadata=True,
        )
        commits = tfkafka.CommitCallback(stream)
        model.fit(commits.watch(stream.shuffle(64).batch(64)), callbacks=[commits])
    """

    def __init__(self, dataset: KafkaGroupDataset, batch_size: int | None = None):
        super().__init__()
        arguments.instance(
            "dataset",
            dataset,
            KafkaGroupDataset,
            "the KafkaGroupDataset itself, not a dataset that was made from it",
        )
        self._dataset = dataset
        self._batch_size = (
            arguments.optional(arguments.whole_number, "batch_size", batch_size, 1)
            or dataset.batch_size
        )
        self._watches = False
        self._watched: deque[_Batch] = deque()
        self._tracker = dataset._membership.tracker
        self._expect_iteration()
        # Steps that Keras does between two reports.
        self._executed = 1
        self._is_training = False
        self._sent = 0.0
        dataset._membership.auto_commit = False

    def watch(self, pipeline: tf.data.Dataset[Any]) -> tf.data.Dataset[Any]:
        """Return the pipeline without the metadata; the callback keeps each batch's records."""
        _refuse_without_metadata("watch", pipeline)
        self._watches = True
        self._watched = deque()

        def note(
            topics: NDArray[np.object_], partitions: NDArray[np.int32], offsets: NDArray[np.int64]
        ) -> np.bool_:
            tracker = self._dataset._membership.tracker
            self._watched.append((tracker, topics.astype(np.str_), partitions, offsets))
            return np.True_

        def strip(*element: tf.Tensor | Metadata) -> tf.Tensor | tuple[tf.Tensor, ...]:
            *rest, where = element
            noted = tf.numpy_function(
                note, [where.topic, where.partition, where.offset], tf.bool, stateful=True
            )
            with tf.control_dependencies([noted]):
                rest = tf.nest.map_structure(tf.identity, rest)
            return tuple(rest) if len(rest) > 1 else rest[0]

        return pipeline.map(strip)

    def filter(
        self, pipeline: tf.data.Dataset[Any], predicate: Callable[..., tf.Tensor]
    ) -> tf.data.Dataset[Any]:
        """Return `pipeline.filter(predicate)` of single records; dropped ones count as used."""
        _refuse_without_metadata("filter", pipeline)
        arguments.function("predicate", predicate)

        def use(topic: bytes, partition: np.int32, offset: np.int64) -> np.bool_:
            self._dataset._membership.tracker.acknowledge(
                [topic.decode()], np.array([partition]), np.array([offset])
            )
            return np.False_

        def keep(*element: tf.Tensor | Metadata) -> tf.Tensor:
            where = element[-1]
            kept = tf.cond(
                predicate(*element),
                lambda: True,
                lambda: tf.numpy_function(
                    use, [where.topic, where.partition, where.offset], tf.bool, stateful=True
                ),
            )
            return tf.ensure_shape(kept, [])

        return pipeline.filter(keep)

    def _expect_iteration(self) -> None:
        """Count no step before the next iteration of the dataset begins.

        Keras may have begun it: it looks at the first batches of a Python generator. Or it has
        begun one for the shapes of a batch, and goes on with another one.
        """
        known, self._tracker = self._tracker, self._dataset._membership.tracker
        self._is_begun = self._tracker is not known
        self._is_first = True
        self._is_counting = False
        # Steps of the iteration that Keras reported, and those of them that surely had data.
        self._steps = self._proven = 0
        # Its steps before the epoch; less the epoch's steps before it, where `repeat` began it.
        self._before = 0
        begun = self._tracker if self._is_begun else None
        self._watched = deque(batch for batch in self._watched if batch[0] is begun)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # Not at each step: with JAX, `self.model` copies the state of the training into the model.
        self._executed = getattr(model, "steps_per_execution", 1)

    def set_params(self, params: Mapping[str, object] | None) -> None:
        # `fit`, `evaluate` and `predict` call this first; `fit`'s own validation does not.
        super().set_params(params)
        self._is_training = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._is_training = True
        self._expect_iteration()

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._expect_iteration()

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._is_training:
            self._expect_iteration()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        # With steps_per_epoch, Keras runs several epochs in one iteration.
        self._before = self._steps

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._finished(batch + 1)

    on_predict_batch_end = on_train_batch_end

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._is_training:
            self._finished(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        params = self.params or {}
        if "steps" not in params or params["steps"] is not None:
            self._commit()
            return
        # Keras begins another iteration for each epoch.
        self._end()
        self._expect_iteration()

    def on_train_end(self, logs: Logs = None) -> None:
        self._end()

    on_predict_end = on_train_end

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._is_training:
            self._end()

    def _finished(self, steps: int) -> None:
        """Acknowledge what the first `steps` steps of the epoch have used."""
        self._follow()
        if self._watches:
            self._use_watched()
        elif self._batch_size is None:
            raise ValueError("CommitCallback: give batch_size, or end the pipeline with watch()")
        elif self._is_counting:
            self._steps = steps + self._before
            # Keras 3.15 reports as many where the data ended within the execution.
            self._prove(self._steps - self._executed if self._executed > 1 else self._steps)
        if time.monotonic() - self._sent > COMMIT_EVERY_S:
            self._sent = time.monotonic()
            self._dataset._membership.commit(wait=False)

    def _follow(self) -> None:
        """Go on to the dataset's present iteration: `repeat` begins several in one of Keras.

        tf.data may begin one long before the model has used the batches of the last. How many it
        has read ahead is known only where the last was read to its end.
        """
        if self._is_begun:
            self._is_begun = False
            self._is_counting = self._tracker.following is None
            if not self._is_counting:
                others = (batch for batch in self._watched if batch[0] is not self._tracker)
                self._watched = deque(others)
        is_first, self._is_first = self._is_first and not self._is_counting, False
        while (following := self._tracker.following) is not None:
            if self._is_counting and self._tracker.has_ended:
                self._before = min(0, self._before - self._batches_of(self._tracker))
            elif self._is_counting and not self._watches:
                _log.warning(
                    "%s: CommitCallback commits no more: the pipeline began again before the end "
                    "of the stream, by repeat or for an epoch, and may have read ahead; end it "
                    "with watch()",
                    self._dataset._membership.name,
                )
            self._is_counting = is_first or (self._is_counting and self._tracker.has_ended)
            is_first, self._tracker = False, following

    def _batches_of(self, tracker: OffsetTracker) -> int:
        return -(-tracker.elements // (self._batch_size or 1))

    def _prove(self, steps: int) -> None:
        self._proven = steps
        self._tracker.acknowledge_first(steps * (self._batch_size or 1))

    def _use_watched(self) -> None:
        """Acknowledge the batches of an execution; fewer left the pipeline where the data ended."""
        for _ in range(min(self._executed, len(self._watched))):
            tracker, topics, partitions, offsets = self._watched.popleft()
            tracker.acknowledge(topics, partitions, offsets)

    def _commit(self) -> None:
        """Commit, and wait for the answer; after the end of the stream, leave the group."""
        membership = self._dataset._membership
        batches = self._batches_of(self._tracker)
        if self._is_counting and self._proven < batches <= self._steps and self._tracker.has_ended:
            self._prove(self._steps)
        membership.commit(wait=True)
        if membership.has_ended:
            membership.leave()

    def _end(self) -> None:
        self._commit()
        if (unproven := self._steps - max(0, self._proven)) > 0:
            _log.warning(
                "%s: CommitCallback did not commit the last %d steps: with steps_per_execution=%d "
                "Keras does not say whether they all had data; end the pipeline with watch()",
                self._dataset._membership.name,
                unproven,
                self._executed,
            )
        self._tracker = self._dataset._membership.tracker


def _refuse_without_metadata(what: str, pipeline: tf.data.Dataset[Any]) -> None:
    arguments.instance("pipeline", pipeline, tf.data.Dataset, "a tf.data.Dataset")
    last = pipeline.element_spec[-1] if isinstance(pipeline.element_spec, tuple) else None
    if not isinstance(last, Metadata):
        raise ValueError(
            f"CommitCallback.{what}: the elements of pipeline don't end with their Metadata; "
            f"make the dataset with metadata=True and keep it as the last part of each element"
        )
