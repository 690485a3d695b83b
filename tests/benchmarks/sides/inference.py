"""Inference from a topic into another, with and without transactions, and from memory.

The first two are the same worker, with the same batches and the same threads, the tutorial's model,
and a new group in each round. Measured from the first commit to the last, so without joining the
group.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.benchmarks.meter import Sample
from tests.benchmarks.sides.models import Window, seeded_model
from tests.benchmarks.worker import Round
from tfkafka import CsvDecoder
from tfkafka.chunk import TopicPartition
from tfkafka.client.record_writer import RecordWriter
from tfkafka.client.transactions import TransactionalProducer
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, keras_predict, pipeline
from tfkafka.exactly_once.batches import BatchReader

COLUMNS = 18
FLUSH_S = 60.0


class PlainProducer(TransactionalProducer):
    """At least once: predictions first, and when all are acknowledged the offsets."""

    def __init__(self, settings, _transactional_id, _timeout_ms):
        batching = {"linger.ms": 5, "batch.size": 1_000_000, "enable.idempotence": True}
        self._writer = RecordWriter(
            {"queue.buffering.max.messages": 1_000_000, **batching, "log_level": 0, **settings}
        )
        self._producer = self._writer.producer

    def connect(self) -> None:
        pass

    def refuse_hang(self) -> None:
        pass

    def transact(self, records, places, prove) -> None:
        for topic, each in records.items():
            self._writer.put(topic, each)
        assert self._producer.flush(FLUSH_S) == 0
        prove().commit_soon({TopicPartition(p.topic, p.partition): p.offset for p in places})


class CommittingReader(BatchReader):
    """Lets the producer commit the offsets by the consumer."""

    def prove(self, chunk):
        super().prove(chunk)
        return self._group.consumer


def transactions(**place) -> Round:
    """Exactly once."""
    return _rounds(**place)


def plain(**place) -> Round:
    """At least once; for a process of its own."""
    pipeline.AlternatingProducers = PlainProducer
    pipeline.BatchReader = CommittingReader
    return _rounds(**place)


def memory(features: np.ndarray, transactions: int) -> Round:
    """The predictions alone: one batch of decoded rows, as often as there are transactions."""
    predict = keras_predict(seeded_model())

    def once(_number: int) -> Sample:
        window = Window(transactions)
        for _ in range(transactions):
            predict(features)
            window.count()
        return _without_steps(window)

    once(-1)  # warm-up: TensorFlow traces
    return once


def _rounds(
    servers: str, topic: str, predictions: str, group: str, records: int, per_transaction: int
) -> Round:
    predict = keras_predict(seeded_model())

    def once(number: int) -> Sample:
        window = Window(records // per_transaction)
        job = InferenceJob(predict, CsvDecoder(COLUMNS), [topic], predictions, f"{group}-{number}")
        worker = ExactlyOnceInference(
            job,
            servers,
            transaction_records=per_transaction,
            stream_timeout=0,
            on_commit=lambda _counts: window.count(),
        )
        counts = worker.run()
        assert counts.used == records and worker.restarts == 0
        assert window.sample is not None, "there were more or fewer transactions"
        return _without_steps(window)

    once(-1)  # warm-up: TensorFlow traces
    return once


def _without_steps(window: Window) -> Sample:
    """A transaction is no training step."""
    return dataclasses.replace(window.sample, steps=0)
