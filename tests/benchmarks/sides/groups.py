"""Evaluation, prediction and online training by a consumer group, a new one in each round.

Measured from the end of the first batch to the end of the last but one full one, so without joining
the group, without TensorFlow's tracing and without stream_timeout, which are measured apart.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tests.benchmarks.meter import Meter, Sample
from tests.benchmarks.sides.models import (
    DECODER,
    EARLIEST,
    Enough,
    Window,
    in_memory,
    seeded_model,
)
from tests.benchmarks.worker import Round
from tests.integration.tutorial.steps import STREAM_TIMEOUT_MS, decode, group_dataset
from tests.tutorial import (
    BATCH_SIZE,
    MINI_DATASET_ROWS,
    ONLINE_BATCH_SIZE,
    ONLINE_EPOCHS,
    PATIENT_GROUP_CONFIGURATION,
)
from tfkafka import KafkaGroupDataset, KafkaMiniBatchDataset

# Puts a dataset through the model, and tells the window of each batch.
Use = Callable[[tf.keras.Model, tf.data.Dataset, Window], None]


def evaluate(model: tf.keras.Model, dataset: tf.data.Dataset, window: Window) -> None:
    model.evaluate(dataset, verbose=0, callbacks=[window])


def predict(model: tf.keras.Model, dataset: tf.data.Dataset, window: Window) -> None:
    """The tutorial's loop over batches."""
    for features, _ in dataset:
        model.predict_on_batch(features)
        window.count()


USES: dict[str, Use] = {"evaluate": evaluate, "predict": predict}


def memory(use: str, features: np.ndarray, labels: np.ndarray) -> Round:
    """Decoded tensors in memory."""
    dataset = in_memory(features, labels).batch(BATCH_SIZE)
    return _rounds(use, len(labels), lambda _number: dataset)


def tfkafka(use: str, servers: str, topic: str, records: int, group: str) -> Round:
    """Batches that tfkafka decodes, to the present end of the topic."""

    def made(number: int) -> tf.data.Dataset:
        return KafkaGroupDataset(
            topic,
            f"{group}-tfkafka-{number}",
            servers,
            0,
            EARLIEST,
            decode=DECODER,
            batch_size=BATCH_SIZE,
        )

    return _rounds(use, records, made)


def tutorial(use: str, reader: str, servers: str, topic: str, records: int, group: str) -> Round:
    """The tutorial's own code; broken off before its stream's timeout."""
    name = f"{group}-{reader}"

    def made(number: int) -> tf.data.Dataset:
        dataset = group_dataset(reader, servers, topic, f"{name}-{number}")
        return dataset.map(decode).batch(BATCH_SIZE)

    return _rounds(use, records, made, cut=True)


def tail(reader: str, servers: str, topic: str, group: str) -> Round:
    """Seconds from a stream's last record to its end, by the tutorial's stream_timeout."""

    def once(number: int) -> Sample:
        dataset = group_dataset(reader, servers, topic, f"{group}-{reader}-tail-{number}")
        last = meter = Meter()
        for _ in dataset.batch(BATCH_SIZE):
            last = meter
            meter = Meter()
        # The last batch, if not full, is there only at the end: count from the one before it.
        return last.stop()

    return once


def online_memory(features: np.ndarray, labels: np.ndarray) -> Round:
    """Training on a mini dataset of decoded tensors in memory."""
    model = _online_model(features, labels)
    rows = in_memory(features[:MINI_DATASET_ROWS], labels[:MINI_DATASET_ROWS])
    return lambda _number: _train_online(model, lambda: _shuffled(rows))


def online_tfkafka(
    servers: str, topic: str, group: str, features: np.ndarray, labels: np.ndarray
) -> Round:
    """The second mini dataset of a new group, decoded by tfkafka: read it, train on it."""
    model = _online_model(features, labels)

    def once(number: int) -> Sample:
        online = KafkaMiniBatchDataset(
            topic,
            f"{group}-tfkafka-{number}",
            servers,
            STREAM_TIMEOUT_MS,
            EARLIEST,
            decode=DECODER,
        )
        return _second_mini_dataset(model, online, _shuffled)

    return once


def online_tutorial(
    reader: str, servers: str, topic: str, group: str, features: np.ndarray, labels: np.ndarray
) -> Round:
    """The second mini dataset of a new group, with the tutorial's own code."""
    model = _online_model(features, labels)
    streaming = importlib.import_module(reader).experimental.streaming

    def once(number: int) -> Sample:
        online = streaming.KafkaBatchIODataset(
            topics=[topic],
            group_id=f"{group}-{reader}-{number}",
            servers=servers,
            stream_timeout=STREAM_TIMEOUT_MS,
            configuration=PATIENT_GROUP_CONFIGURATION,
        )
        return _second_mini_dataset(
            model, online, lambda rows: rows.shuffle(32).map(decode).batch(ONLINE_BATCH_SIZE)
        )

    return once


def _rounds(
    use: str, records: int, made: Callable[[int], tf.data.Dataset], cut: bool = False
) -> Round:
    model = seeded_model()
    warm = np.zeros((2 * BATCH_SIZE, 18), np.float32), np.zeros(2 * BATCH_SIZE, np.float32)
    USES[use](model, in_memory(*warm).batch(BATCH_SIZE), Window(2))

    def once(number: int) -> Sample:
        window = Window(records // BATCH_SIZE - 1, cut)
        with contextlib.suppress(Enough):
            USES[use](model, made(number), window)
        assert window.sample is not None, "the stream ended before its last full batch"
        return window.sample

    return once


def _online_model(features: np.ndarray, labels: np.ndarray) -> tf.keras.Model:
    model = seeded_model()
    rows = in_memory(features[:ONLINE_BATCH_SIZE], labels[:ONLINE_BATCH_SIZE])
    model.fit(rows.batch(ONLINE_BATCH_SIZE), verbose=0)
    return model


def _second_mini_dataset(model, online, shaped) -> Sample:
    began = time.monotonic()
    mini_datasets = iter(online)
    next(mini_datasets)
    first_s = time.monotonic() - began
    return _train_online(model, lambda: shaped(next(mini_datasets)), first_s)


def _shuffled(rows: tf.data.Dataset) -> tf.data.Dataset:
    return rows.shuffle(32).batch(ONLINE_BATCH_SIZE)


def _train_online(model, batches: Callable[[], tf.data.Dataset], first_s: float = 0.0) -> Sample:
    meter = Meter()
    dataset = batches()
    steps = len(dataset)
    assert steps == -(-MINI_DATASET_ROWS // ONLINE_BATCH_SIZE)
    model.fit(dataset, epochs=ONLINE_EPOCHS, verbose=0)
    apart = {"to_the_first_mini_dataset": first_s} if first_s else {}
    return meter.stop(ONLINE_EPOCHS * steps, **apart)
