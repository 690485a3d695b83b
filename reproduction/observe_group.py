"""What 07_evaluate.py observes of the consumer group that the model reads as a member of."""

from __future__ import annotations

import contextlib
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import keras
from confluent_kafka import KafkaException

from reproduction.observe import note
from tfkafka import Admin, format_group
from tfkafka.config import Configuration
from tfkafka.errors import TfkafkaError

LOOK_EVERY_S = 0.2


class GroupWatch(keras.callbacks.Callback):
    """A callback that looks at a consumer group while `evaluate` reads."""

    def __init__(
        self,
        servers: str,
        topic: str,
        group_id: str,
        batch_size: int,
        configuration: Configuration = None,
    ) -> None:
        super().__init__()
        self.batches = 0
        self._admin = Admin(servers, configuration)
        self._group_id = group_id
        self._batch_size = batch_size
        self._records = self._admin.record_count(topic)
        self._ends = self._admin.end_offsets(topic)
        read = [row for row in self._admin.describe_group(group_id) if row.lag == 0]
        self._had_read_all = len(read) == len(self._ends)
        self._members: set[str] = set()
        self._over = threading.Event()
        self._lag: dict[str, Any] = {
            "seconds": [],
            "unseen": [],
            "partitions": {partition: [] for partition in self._ends},
        }

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._began = time.monotonic()
        self._watcher = threading.Thread(target=self._watch_lag, daemon=True)
        self._watcher.start()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.batches += 1
        if self.batches == 1:
            rows = self._admin.describe_group(self._group_id)
            self._members = {row.consumer_id for row in rows}

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._seconds = time.monotonic() - self._began
        self._over.set()
        self._watcher.join()
        self._group = self._admin.describe_group(self._group_id)

    def report(self, arguments: Namespace, result: Sequence[float]) -> None:
        """Print how far the group has read. Note that, its lag and the result of `evaluate`."""
        print(format_group(self._group))
        if self._had_read_all:
            print(f"Group {self._group_id} had read everything before: {self.batches} batches now.")
            note(arguments, {"group.second_read": self.batches})
        elif not self.batches:
            print(f"Group {self._group_id} got no records: is another member of it reading?")
        else:
            note(arguments, self._observed(result))

    def _observed(self, result: Sequence[float]) -> dict[str, Any]:
        return {
            "evaluate.steps": self.batches,
            "evaluate.loss": result[0],
            "evaluate.accuracy": result[1],
            "evaluate.seconds": round(self._seconds, 1),
            "evaluate.ms_per_step": round(1000 * self._seconds / self.batches, 1),
            "evaluate.lag_over_time": self._lag,
            "group.lag": [row.lag for row in self._group],
            "group.offsets": sorted((row.committed or 0 for row in self._group), reverse=True),
            "group.member": min(self._members, default="")[: len("rdkafka-")],
        }

    def _watch_lag(self) -> None:
        """Keep the lag of each partition, and how many records the model has not seen yet."""
        while not self._over.wait(LOOK_EVERY_S):
            # A look that fails is a point less.
            with contextlib.suppress(TfkafkaError, KafkaException):
                rows = self._admin.describe_group(self._group_id)
                committed = {row.partition: row.committed or 0 for row in rows}
                unseen = max(0, self._records - self._batch_size * self.batches)
                self._lag["seconds"].append(round(time.monotonic() - self._began, 2))
                self._lag["unseen"].append(unseen)
                for partition, end in self._ends.items():
                    self._lag["partitions"][partition].append(end - committed.get(partition, 0))
