"""Training the tutorial's model; TensorFlow traces it before the clock runs."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.meter import Sample, measured
from tests.benchmarks.sides.models import DECODER, Window, in_memory, seeded_model
from tests.benchmarks.worker import Round
from tests.tutorial import BATCH_SIZE

# An epoch's steps are counted for records/s; these many make the figure for a single step.
STEPS = 200


def memory(
    features: np.ndarray,
    labels: np.ndarray,
    steps_per_execution: int = 1,
    shuffle: bool = False,
    records: int | None = None,
    batch_size: int = BATCH_SIZE,
) -> Round:
    """An epoch over decoded tensors in memory; shuffled as the tutorial does, or not at all.

    `records`: this many, the same rows over and over; None: each row once.
    """
    model = seeded_model(steps_per_execution)
    rows = in_memory(features, labels)
    rows = rows.shuffle(BATCH_SIZE) if shuffle else rows
    rows = rows if records is None else rows.repeat().take(records)
    records = records or len(labels)
    return _epochs(model, rows.batch(batch_size), records, steps_per_execution, batch_size)


def tfkafka(
    servers: str,
    topic: str,
    records: int,
    steps_per_execution: int = 1,
    batch_size: int = BATCH_SIZE,
) -> Round:
    """An epoch over batches that tfkafka decodes."""
    from tfkafka import KafkaDataset

    model = seeded_model(steps_per_execution)
    dataset = KafkaDataset(
        topic, stop=records, servers=servers, decode=DECODER, batch_size=batch_size
    )
    return _epochs(model, dataset, records, steps_per_execution, batch_size)


def tutorial(
    reader: str, servers: str, topic: str, records: int, configuration: list[str] | None = None
) -> Round:
    """An epoch of the tutorial's own code; `reader` is the module that offers its names."""
    model = seeded_model()
    return _epochs(model, _tutorials(reader, servers, topic, configuration), records)


def tensors_step(features: np.ndarray, labels: np.ndarray) -> Round:
    """Steps on a batch that is there as a tensor: no pipeline at all."""
    import tensorflow as tf

    model = seeded_model()
    batch = tf.constant(features[:BATCH_SIZE]), tf.constant(labels[:BATCH_SIZE])
    model.train_on_batch(*batch)

    def work() -> None:
        for _ in range(STEPS):
            model.train_on_batch(*batch)

    return lambda _number: measured(work, STEPS)


def memory_step(features: np.ndarray, labels: np.ndarray) -> Round:
    """Steps on batches from tensors in memory."""
    model = seeded_model()
    return _steps(model, in_memory(features, labels).batch(BATCH_SIZE))


def tfkafka_step(servers: str, topic: str, records: int) -> Round:
    """Steps on batches that tfkafka decodes, between the first one and the last."""
    from tfkafka import KafkaDataset

    model = seeded_model()
    dataset = KafkaDataset(
        topic, stop=records, servers=servers, decode=DECODER, batch_size=BATCH_SIZE
    )
    return _steps(model, dataset)


def tutorial_step(
    reader: str, servers: str, topic: str, records: int, configuration: list[str] | None = None
) -> Round:
    """Steps of the tutorial's own code."""
    model = seeded_model()
    return _steps(model, _tutorials(reader, servers, topic, configuration))


def tracing(servers: str, topic: str, records: int) -> Round:
    """The first two steps of a model that has never been trained; a process can do it once."""
    from tfkafka import KafkaDataset

    model = seeded_model()
    dataset = KafkaDataset(
        topic, stop=records, servers=servers, decode=DECODER, batch_size=BATCH_SIZE
    )
    return lambda _number: measured(lambda: model.fit(dataset.take(2), verbose=0))


def _tutorials(reader: str, servers: str, topic: str, configuration: list[str] | None):
    from tests.integration.tutorial.steps import decode_item, partition_dataset

    dataset = partition_dataset(reader, servers, topic, configuration or [])
    return dataset.shuffle(BATCH_SIZE).map(decode_item).batch(BATCH_SIZE)


def _epochs(
    model, dataset, records: int, steps_per_execution: int = 1, batch_size: int = BATCH_SIZE
) -> Round:
    model.fit(dataset.take(2 * steps_per_execution), verbose=0)
    steps = -(-records // batch_size)
    return lambda _number: measured(lambda: model.fit(dataset, verbose=0), steps)


def _steps(model, dataset) -> Round:
    model.fit(dataset.take(2), verbose=0)

    def once(_number: int) -> Sample:
        window = Window(STEPS + 1)
        model.fit(dataset.take(STEPS + 1), verbose=0, callbacks=[window])
        return window.sample

    return once
