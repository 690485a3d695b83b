"""What a worker of exactly-once inference predicts: a batch in, records of a transaction out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tfkafka import config
from tfkafka.client import create
from tfkafka.decoding import bad_records
from tfkafka.decoding.csv import CsvDecoder, Fault
from tfkafka.errors import PoisonedRecordError, ReadError, TopicError
from tfkafka.exactly_once import predictions
from tfkafka.exactly_once.predictions import Predict
from tfkafka.records import Chunk

_ASK_S = 5.0


@dataclass(frozen=True)
class Job:
    """What is predicted, from where, to where.

    Args:
        predict: the model, float32 [n, columns] -> float32 [n]; `predictions.keras_predict`
            makes one of a Keras model. Called from a thread of its own.
        decode: of the records' values.
        topics: read from, by the group `group_id`.
        predictions_topic: written to.
        worker: unlike that of all other workers of the group, and the same after a restart: the
            new process has the partitions of the old one at once, and the old one is refused.
        model_id: a header of each prediction.
        on_poison: what to do with a record that `decode` refuses: "fail", "skip", or "quarantine":
            write it to `quarantine_topic`, in the same transaction, so once.
    """

    predict: Predict
    decode: CsvDecoder
    topics: Sequence[str]
    predictions_topic: str
    group_id: str
    worker: str = "1"
    model_id: str = "model"
    on_poison: str = "fail"
    quarantine_topic: str | None = None

    @property
    def transactional_id(self) -> str:
        """What both transactional ids of a worker begin with; they end with -0 and -1."""
        return f"{self.group_id}-{self.worker}"


@dataclass(frozen=True)
class Predicted:
    job: Job
    chunk: Chunk
    kept: Chunk
    probabilities: np.ndarray
    faults: Sequence[Fault]

    def produce(self, producer: Producer) -> None:
        predictions.produce(
            producer, self.job.predictions_topic, self.kept, self.probabilities, self.job.model_id
        )
        if self.job.on_poison == "quarantine":
            for fault in self.faults:
                bad_records.produce(producer, self.job.quarantine_topic, self.chunk, fault)


def predict(job: Job, chunk: Chunk) -> Predicted:
    decoded = job.decode.decode(chunk)
    if decoded.faults and job.on_poison == "fail":
        first = decoded.faults[0]
        raise PoisonedRecordError(f"{chunk.position(first.index)}: {first.reason}")
    kept = chunk.select(decoded.kept) if decoded.faults else chunk
    rows = len(kept)
    probabilities = np.zeros(0, np.float32)
    if rows:
        probabilities = np.asarray(job.predict(decoded.features), np.float32)
    if probabilities.shape != (rows,):
        raise ValueError(
            f"the model gave {probabilities.shape} for {rows:,} records, must be ({rows},)"
        )
    return Predicted(job, chunk, kept, probabilities, decoded.faults)


def refuse_missing_topics(job: Job, settings: config.Settings) -> None:
    client = create.make_client(
        AdminClient, {"log_level": 0, **config.connection_settings(settings)}
    )
    wanted = [*job.topics, job.predictions_topic]
    wanted += [job.quarantine_topic] if job.quarantine_topic else []
    try:
        there = client.list_topics(timeout=_ASK_S).topics
    except KafkaException as error:
        raise ReadError(
            f"no answer from Kafka at {settings['bootstrap.servers']} ({error.args[0].str()})"
        ) from error
    for topic in wanted:
        if topic not in there:
            raise TopicError(
                f"there is no topic {topic} on {settings['bootstrap.servers']}: create it first"
            )
