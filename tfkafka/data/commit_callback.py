"""Committing what a Keras model has finished."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka.data.elements import Metadata
from tfkafka.data.groups import KafkaGroupDataset
from tfkafka.reading.commits import OffsetTracker

if TYPE_CHECKING:
    # Typed by types-tensorflow; Keras itself has no types.
    from tensorflow.keras.callbacks import Callback
else:
    from keras.callbacks import Callback

COMMIT_EVERY_S = 1.0
Logs = Mapping[str, object] | None
# Of a batch that left the pipeline: the iteration that it is of; topics, partitions and offsets.
_Batch = tuple[OffsetTracker, NDArray[np.str_], NDArray[np.int32], NDArray[np.int64]]


class CommitCallback(Callback):  # type: ignore[misc]  # Keras has no types
    """Commits the records of a group dataset that finished steps of a model have used.

    For `fit`, `evaluate` and `predict`. A crash repeats records, and loses none. The dataset no
    longer commits what it merely delivered. Offsets are sent once a second at most, and at the
    end of each epoch, when the broker's answer is waited for. The steps of `fit`'s own validation
    are not counted.

    Which records a step has used is known in one of two ways:
    - by counting, where batches come in the order of the records and nothing is filtered: from
      the dataset's own `batch_size`, or from `batch_size` given here if the pipeline says
      `.batch(batch_size)`.
    - exactly, after any shuffle: let the dataset have `metadata=True`, keep that in the elements
      as their last part, and end the pipeline with `watch`. A partition is then committed up to
      its oldest record that is not used yet, which may still be in the shuffle's buffer. Leave
      records out by `filter` of this class: one that a filter of the dataset's drops is never
      used, and nothing after it is committed.

    Args:
        dataset: the source of what the model is given.
        batch_size: records of a batch, where the dataset doesn't make the batches.

    Raises from the model's call: CommitError, where the broker refuses the offsets.

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
        self._dataset = dataset
        self._batch_size = batch_size or dataset.batch_size
        self._watches = False
        self._watched: deque[_Batch] = deque()
        self._tracker: OffsetTracker | None = None
        # Steps of this iteration, in all and before this epoch: with steps_per_epoch Keras has
        # several epochs of one iteration.
        self._steps = self._before = 0
        self._is_training = False
        self._sent = 0.0
        dataset._membership.auto_commit = False

    def watch(self, pipeline: tf.data.Dataset[Any]) -> tf.data.Dataset[Any]:
        """The same without the metadata, remembering which records each batch holds."""
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
        """`pipeline.filter(predicate)` of single records; those left out count as used."""
        _refuse_without_metadata("filter", pipeline)

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

    def set_params(self, params: Mapping[str, object] | None) -> None:
        # The first that `fit`, `evaluate` and `predict` say; `fit`'s own validation does not.
        super().set_params(params)
        self._is_training = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._is_training = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._before = self._steps

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._finished(batch + 1)

    on_predict_batch_end = on_train_batch_end

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._is_training:
            self._finished(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._end()

    def on_train_end(self, logs: Logs = None) -> None:
        self._end()

    on_predict_end = on_train_end

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._is_training:
            self._end()

    def _finished(self, steps: int) -> None:
        membership = self._dataset._membership
        tracker = membership.tracker
        if self._tracker is not tracker:
            self._tracker, self._steps, self._before = tracker, 0, 0
        steps += self._before
        if self._watches:
            self._use_watched(steps)
        elif self._batch_size is None:
            raise ValueError("CommitCallback: say batch_size, or end the pipeline with watch()")
        else:
            tracker.acknowledge_first(steps * self._batch_size)
            self._steps = steps
        if time.monotonic() - self._sent > COMMIT_EVERY_S:
            self._sent = time.monotonic()
            membership.commit(wait=False)

    def _use_watched(self, steps: int) -> None:
        """Of this iteration so many batches are used; what is left of an earlier one is not."""
        while self._steps < steps and self._watched:
            tracker, topics, partitions, offsets = self._watched.popleft()
            if tracker is self._tracker:
                tracker.acknowledge(topics, partitions, offsets)
                self._steps += 1

    def _end(self) -> None:
        membership = self._dataset._membership
        membership.commit(wait=True)
        if membership.has_ended:
            membership.leave()


def _refuse_without_metadata(what: str, pipeline: tf.data.Dataset[Any]) -> None:
    last = pipeline.element_spec[-1] if isinstance(pipeline.element_spec, tuple) else None
    if not isinstance(last, Metadata):
        raise ValueError(
            f"CommitCallback.{what}: the elements don't end with their Metadata; make the dataset "
            f"with metadata=True and keep it as the last part of each element"
        )
