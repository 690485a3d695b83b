"""What 09_train_online.py observes: the mini datasets, and what becomes of records that are late.

The tutorial says that records which arrive within `stream_timeout` resume the training.
"""

from __future__ import annotations

import contextlib
import threading
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer

from reproduction.kafka_python import kafka_python_arguments
from reproduction.observe import note
from reproduction.observe_records import manifest_of
from reproduction.observe_training import Epoch, TrainingLog
from tfkafka import Admin
from tfkafka.config import Settings
from tfkafka.errors import TfkafkaError
from tfkafka.testing import wait_for

if TYPE_CHECKING:
    import tensorflow as tf

LATE_BY_S = 6.0  # well within the 10 s of stream_timeout
COMMIT_DEADLINE_S = 15


class LateRecords:
    """Records that are sent to a topic once more, LATE_BY_S seconds from now."""

    def __init__(
        self,
        servers: str,
        topic: str,
        records: list[tuple[bytes, bytes]],
        settings: Settings | None = None,
    ) -> None:
        """Begin to wait. `records` are (value, key), which are sent as they are."""
        self.sent = 0
        self._security = kafka_python_arguments(settings)
        self._timer = threading.Timer(LATE_BY_S, self._send, [servers, topic, records])
        self._timer.start()

    def join(self) -> None:
        """Wait until they were sent."""
        self._timer.join()

    def _send(self, servers: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
        producer = KafkaProducer(bootstrap_servers=servers.split(","), **self._security)
        futures = [producer.send(topic, key=key, value=value) for value, key in records]
        producer.flush()
        self.sent = sum(future.succeeded() for future in futures)
        producer.close()


class OnlineLog(TrainingLog):
    """A callback that keeps the epochs of all mini datasets, and sends late records."""

    def __init__(
        self,
        servers: str,
        topic: str,
        group_id: str,
        late_rows: int,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        if late_rows:
            kafka_python_arguments(settings)  # refused now, not when the records are late
        self._admin, self._settings = Admin(servers, settings), settings
        self._servers, self._topic, self._group_id = servers, topic, group_id
        self._records = self._admin.record_count(topic)
        self._first = self._committed()
        self._late_rows = late_rows
        self._raw_records: list[tuple[bytes, bytes]] = []
        self._late: LateRecords | None = None
        self._sizes: list[int] = []
        self._punctual: tuple[list[int], list[Epoch]] = ([], [])

    def arrived(self, mini_ds: tf.data.Dataset) -> None:
        """Count a mini dataset of raw records. Those to send late are the last one's first."""
        size = len(mini_ds)
        if not size:
            return
        self._sizes.append(size)
        print(f"Mini dataset {len(self._sizes)}: {size:,} records", flush=True)
        if self._late_rows and self._late is None and sum(self._sizes) >= self._records:
            self._raw_records = list(mini_ds.take(self._late_rows).as_numpy_iterator())

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._late is None:
            self._punctual = (self._sizes[:], self.epochs[:])
            if self._raw_records:
                self._late = LateRecords(
                    self._servers, self._topic, self._raw_records, self._settings
                )

    def report(self, arguments: Namespace) -> None:
        """Print and note what was trained on, and what became of late records."""
        trained = sum(self._sizes)
        print(f"Trained online on {trained:,} records, in {len(self._sizes)} mini datasets.")
        if not trained:
            print(f"Group {self._group_id} had read everything before: nothing to train on.")
        else:
            self._note_training(arguments)
        if self._late:
            self._report_late(arguments, self._late, trained)

    def manifest(self) -> dict[str, Any]:
        """Return which records the mini datasets had."""
        return manifest_of(
            self._servers, self._topic, self._first, sum(self._sizes), self._settings
        )

    def _note_training(self, arguments: Namespace) -> None:
        sizes, epochs = self._punctual
        accuracies = [epoch.accuracy for epoch in epochs]
        losses = [epoch.loss for epoch in epochs]
        observed = {
            "online.mini_datasets": sizes,
            "online.steps": epochs[0].steps,
            "online.accuracy": [min(accuracies), max(accuracies)],
            "online.loss": [min(losses), max(losses)],
            "online.ms_per_step": self.ms_per_step(),
        }
        note(arguments, observed)

    def _report_late(self, arguments: Namespace, late: LateRecords, trained: int) -> None:
        late.join()
        print(
            f"{late.sent:,} records came {LATE_BY_S:.0f} s after the last one: "
            f"{trained - self._records:,} of them were trained on."
        )
        # tensorflow-io commits in the background; where it does not get to the end, that is a fact.
        total = self._records + late.sent
        with contextlib.suppress(TfkafkaError):
            wait_for(lambda: self._committed() == total, "all to be committed", COMMIT_DEADLINE_S)
        committed = self._committed()
        print(f"Group {self._group_id} committed {committed:,} of {total:,} records.")
        observed = {
            "online.late_records": trained - self._records,
            "online.committed_not_trained": max(0, committed - trained),
        }
        note(arguments, observed)

    def _committed(self) -> int:
        return sum(row.committed or 0 for row in self._admin.describe_group(self._group_id))
