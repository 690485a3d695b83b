"""Calls that mypy --strict must refuse, each for the reason in its `type: ignore`.

mypy reports an ignore that it does not need (warn_unused_ignores, a part of --strict). So `make
lint` fails as soon as one of these calls passes, or is refused for another reason. Nothing here is
run.

TensorFlow has no types, so mypy takes a dataset, whose base is of TensorFlow, for anything: that
`CommitCallback` wants one of a group it cannot tell.
"""

from __future__ import annotations

from datetime import datetime

import keras
import numpy as np
from numpy.typing import NDArray

import tfkafka
from tfkafka import (
    Admin,
    CsvDecoder,
    KafkaDataset,
    KafkaGroupDataset,
    KafkaMiniBatchDataset,
    read,
    write,
)
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import ArraySpec
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob
from tfkafka.online import Stream, learn

DECODE = CsvDecoder(18, label="key")


class NoSpec:
    """Not a decoder: it has no element_spec, and returns arrays alone."""

    def decode(self, chunk: Chunk) -> tuple[NDArray[np.float32], ...]:
        return (np.zeros((len(chunk), 18), np.float32),)


class ReturnsArrays:
    """Not a decoder either: `decode` must return `Decoded`."""

    element_spec: tuple[ArraySpec, ...] = ()

    def decode(self, chunk: Chunk) -> tuple[NDArray[np.float32], ...]:
        return (np.zeros((len(chunk), 18), np.float32),)


def bounded_reading() -> None:
    KafkaDataset()  # type: ignore[call-arg]
    KafkaDataset(["susy-train"])  # type: ignore[arg-type]
    KafkaDataset("susy-train", "0")  # type: ignore[arg-type]
    KafkaDataset("susy-train", 0, 5)  # type: ignore[call-arg]
    KafkaDataset("susy-train", start="beginning")  # type: ignore[arg-type]
    KafkaDataset("susy-train", stop=1.5)  # type: ignore[arg-type]
    KafkaDataset("susy-train", start={"0": 5})  # type: ignore[dict-item]
    KafkaDataset("susy-train", last=datetime.now())  # type: ignore[arg-type]
    KafkaDataset("susy-train", servers=9092)  # type: ignore[arg-type]
    KafkaDataset("susy-train", configuration=9092)  # type: ignore[arg-type]
    KafkaDataset("susy-train", decode=NoSpec())  # type: ignore[arg-type]
    KafkaDataset("susy-train", decode=ReturnsArrays())  # type: ignore[arg-type]
    KafkaDataset("susy-train", on_bad_record="fail")  # type: ignore[arg-type]
    KafkaDataset("susy-train", on_poison="skip")  # type: ignore[call-arg]
    KafkaDataset("susy-train").ranges = []  # type: ignore[misc]
    KafkaDataset("susy-train", shard=3)  # type: ignore[arg-type]
    read("susy-train", shard="torch")  # type: ignore[arg-type]
    read("susy-train", batch_size="64")  # type: ignore[arg-type]


def groups() -> None:
    KafkaGroupDataset("susy-test")  # type: ignore[call-arg]
    KafkaGroupDataset("susy-test", "g", stream_timeout="10 s")  # type: ignore[arg-type]
    KafkaGroupDataset("susy-test", "g", None, 0, None, False)  # type: ignore[call-arg]
    KafkaGroupDataset("susy-test", "g", on_bad_record="quarantine")  # type: ignore[arg-type]
    KafkaGroupDataset("susy-test", "g", records=1000)  # type: ignore[call-arg]
    KafkaMiniBatchDataset("susy-test", "g", records="all")  # type: ignore[arg-type]
    KafkaMiniBatchDataset("susy-test", "g", batch_size=64)  # type: ignore[call-arg]
    KafkaMiniBatchDataset("susy-test", "g").commit(5)  # type: ignore[call-arg]
    KafkaGroupDataset("susy-test", "g").commit("all")  # type: ignore[arg-type]
    tfkafka.KafkaBatchDataset("susy-test", "g")  # type: ignore[attr-defined]


def writing_and_topics() -> None:
    write("h:9092", "susy-train", [1, 2])  # type: ignore[list-item]
    write("h:9092", "susy-train", np.zeros(3), encoder=DECODE)  # type: ignore[arg-type]
    write("h:9092", "susy-train", ["1"], ["k"], 0)  # type: ignore[call-arg, arg-type]
    write(["h:9092"], "susy-train", ["1"])  # type: ignore[arg-type]
    CsvDecoder(18.0)  # type: ignore[arg-type]
    CsvDecoder(18, missing="skip")  # type: ignore[arg-type]
    CsvDecoder(18, label="value")  # type: ignore[arg-type]
    Admin("h:9092").create_topic("susy-train", settings={"retention.ms": 5})  # type: ignore[dict-item]


def exactly_once() -> None:
    def of_text(rows: str) -> NDArray[np.float32]:
        return np.zeros(len(rows), np.float32)

    def of_numpy(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows[:, 0]

    InferenceJob(of_text, DECODE, ["t"], "p", "g")  # type: ignore[arg-type]
    InferenceJob(of_numpy, DECODE, ["t"], "p")  # type: ignore[call-arg]
    InferenceJob(of_numpy, DECODE, ["t"], "p", "g", on_bad_record="drop")  # type: ignore[arg-type]
    InferenceJob(of_numpy, DECODE, ["t"], "p", "g", encoder=DECODE)  # type: ignore[arg-type]
    job = InferenceJob(of_numpy, DECODE, ["t"], "p", "g")
    ExactlyOnceInference(job, "h:9092", 1000)  # type: ignore[call-arg]
    ExactlyOnceInference("job")  # type: ignore[arg-type]
    job.worker = "2"  # type: ignore[misc]


def online() -> None:
    def build() -> keras.Model:
        return keras.Sequential()

    def train(model: keras.Model, features: NDArray[np.float32]) -> None:
        model.fit(features)

    def train_with_labels(
        model: keras.Model, features: NDArray[np.float32], labels: NDArray[np.float32]
    ) -> None:
        model.fit(features, labels)

    stream = Stream("susy-train", DECODE)
    learn("state", stream, build, train, seed=7)  # type: ignore[arg-type]
    learn("state", stream, build, train_with_labels)  # type: ignore[call-overload]
    learn("state", "susy-train", build, train_with_labels, seed=7)  # type: ignore[call-overload]
    Stream("susy-train", DECODE, on_bad_record="fail")  # type: ignore[arg-type]
