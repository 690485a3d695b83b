"""What Keras' logs say about a stream."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tfkafka._util import arguments
from tfkafka.data.groups import GroupDataset, KafkaGroupDataset, KafkaMiniBatchDataset
from tfkafka.decoding.bad_records import Counts
from tfkafka.reading.lag import PATIENCE_S

if TYPE_CHECKING:
    # Typed by types-tensorflow; Keras itself has no types.
    from tensorflow.keras.callbacks import Callback
else:
    from keras.callbacks import Callback

EVERY_S = 1.0
Logs = dict[str, object] | None


class MetricsCallback(Callback):  # type: ignore[misc]  # Keras has no types
    """Adds what a stream does to Keras' logs, so that `History` and TensorBoard have it.

    - `lag`: offsets between what is committed and the ends of this member's partitions; nan where
      Kafka does not answer.
    - `records_per_second`: records that were read; at the end of an epoch those since its begin, of
      mini datasets those since the end of the one before.
    - `bad_records`: records of this iteration that could not be decoded.

    They are in the logs of each epoch and each batch; for batches they are measured once a second.
    It is for `fit`, `evaluate` and `predict`; the steps of `fit`'s own validation have none. In a
    list of callbacks it belongs after `CommitCallback` and before `TensorBoard`. It needs no
    `metrics_port`.

    Args:
        dataset: the group dataset that the model's data comes from.

    Example:
        stream = tfkafka.KafkaGroupDataset(
            "susy-train",
            "watched-training",
            servers="localhost:9092",
            configuration={"auto.offset.reset": "earliest"},
            decode=tfkafka.CsvDecoder(18, label="key"),
            batch_size=64,
        )
        callbacks = [tfkafka.CommitCallback(stream), tfkafka.MetricsCallback(stream)]
        history = model.fit(stream, callbacks=callbacks)
        print(history.history["lag"])
    """

    def __init__(self, dataset: KafkaGroupDataset | KafkaMiniBatchDataset):
        super().__init__()
        what = "the group dataset itself, not a dataset that was made from it"
        arguments.instance("dataset", dataset, GroupDataset, what)
        self._dataset = dataset
        self._is_training = False
        self._epoch = self._batch = _Look(dataset)
        self._values: dict[str, float] = {}

    def set_params(self, params: dict[str, object] | None) -> None:
        # `fit`, `evaluate` and `predict` call this first; `fit`'s own validation does not.
        super().set_params(params)
        self._is_training = False
        self._begin()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._is_training = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._begin()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._batch.age_s() >= EVERY_S:
            # Training does not wait for Kafka.
            self._values = self._measure(self._batch, 0.0)
            self._batch = _Look(self._dataset)
        if logs is not None:
            logs.update(self._values)

    on_predict_batch_end = on_train_batch_end

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._is_training:
            self.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs.update(self._measure(self._epoch, PATIENCE_S))
        self._look()

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._is_training:
            self.on_epoch_end(0, logs)

    def _begin(self) -> None:
        # A mini dataset was read before `fit` is called with it.
        if not isinstance(self._dataset, KafkaMiniBatchDataset):
            self._look()

    def _look(self) -> None:
        self._epoch = self._batch = _Look(self._dataset)
        self._values = {}

    def _measure(self, since: _Look, patience_s: float) -> dict[str, float]:
        counts = self._dataset._stream.counts
        lag = self._dataset._membership.lag(patience_s)
        return {
            "lag": math.nan if lag is None else float(sum(lag.values())),
            "records_per_second": since.records_per_second(counts),
            "bad_records": float(counts.skipped + counts.dead_lettered),
        }


class _Look:
    """How many records an iteration had read at a time."""

    def __init__(self, dataset: GroupDataset):
        self._counts = dataset._stream.counts
        self._read = self._counts.read
        self._begun_s = time.monotonic()

    def age_s(self) -> float:
        return time.monotonic() - self._begun_s

    def records_per_second(self, counts: Counts) -> float:
        """Return the rate since then; `counts` may be of an iteration that began later."""
        before = self._read if counts is self._counts else 0
        return (counts.read - before) / max(1e-9, self.age_s())
