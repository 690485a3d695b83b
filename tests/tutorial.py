"""What the tests expect of the tutorial: its messages, its settings, its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from kafka import KafkaProducer
from sklearn.model_selection import train_test_split

from reproduction.susy.schema import FEATURES, LABEL
from tests.client_settings import for_kafka_python

BATCH_SIZE = 64
EPOCHS = 10
ONLINE_BATCH_SIZE = 32
ONLINE_EPOCHS = 3
MINI_DATASET_ROWS = 10_000
GROUP_CONFIGURATION = [
    "session.timeout.ms=7000",
    "max.poll.interval.ms=8000",
    "auto.offset.reset=earliest",
]
# A machine that is slow for a while must not lose its membership while it trains.
PATIENT_GROUP_CONFIGURATION = [
    "session.timeout.ms=30000",
    "max.poll.interval.ms=120000",
    "auto.offset.reset=earliest",
]
# The same records in a quarter of the time: a seek no longer waits for half a second.
FAST_FETCH = ["fetch.wait.max.ms=5"]


@dataclass(frozen=True)
class Messages:
    """Rows of SUSY as the tutorial sends them: 18 numbers as CSV, and the label as the key.

    Written here in another way than in scripts/05_write_to_kafka.py, which it is there to judge.
    """

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def values(self) -> list[bytes]:
        rows = self.frame[list(FEATURES)].to_numpy().tolist()
        return [",".join(map(repr, row)).encode() for row in rows]

    @cached_property
    def keys(self) -> list[bytes]:
        return [repr(label).encode() for label in self.frame[LABEL].tolist()]

    @cached_property
    def features(self) -> np.ndarray:
        """Shape (rows, 18), float32."""
        return self.frame[list(FEATURES)].to_numpy(np.float32)

    @cached_property
    def labels(self) -> np.ndarray:
        """Shape (rows,), float32."""
        return self.frame[LABEL].to_numpy(np.float32)

    def steps(self, batch_size: int = BATCH_SIZE) -> int:
        return math.ceil(len(self) / batch_size)


@dataclass(frozen=True)
class SusyTopic:
    """A topic that was filled with messages; `acknowledged` records were confirmed one by one."""

    bootstrap_servers: str
    name: str
    partitions: int
    messages: Messages
    acknowledged: int


@dataclass(frozen=True)
class TrainedModel:
    """A model trained on susy-train through a reader, and how it went.

    `losses` and `accuracies` have a number an epoch, `steps` counts batches an epoch.
    """

    path: Path
    losses: list[float]
    accuracies: list[float]
    steps: int


def split(frame: pd.DataFrame, seed: int) -> tuple[Messages, Messages]:
    """The tutorial's split into 60 % and 40 %, seeded."""
    train, test = train_test_split(frame, test_size=0.4, shuffle=True, random_state=seed)
    return Messages(train), Messages(test)


def write(bootstrap_servers: str, topic: str, messages: Messages) -> int:
    """Send all messages as the tutorial does; returns how many were acknowledged."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, **for_kafka_python())
    futures = [
        producer.send(topic, key=key, value=value)
        for key, value in zip(messages.keys, messages.values, strict=True)
    ]
    producer.flush(timeout=60)
    acknowledged = sum(future.succeeded() for future in futures)
    producer.close()
    return acknowledged
