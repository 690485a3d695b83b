"""The job of an exactly-once inference worker: from a batch to the records of a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.client.cluster import Cluster
from tfkafka.client.producer import dead_letters
from tfkafka.client.transactions import Outgoing
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import Policy, check_policy, refuse, refuse_loop
from tfkafka.decoding.base import Decoder, Fault, check_decoder, decode_checked, only_finite
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once import predictions
from tfkafka.exactly_once.predictions import Predict


@dataclass(frozen=True)
class InferenceJob:
    """What to predict, from which topics, and where the predictions go.

    Args:
        predict: the model, float32 [n, columns] -> float32 [n]; `keras_predict` returns one for a
            Keras model. It is called in a separate thread.
        decode: the decoder of the records. A `CsvDecoder` that leaves `finite` open refuses values
            that are not finite.
        topics: the topic to read, or a list of topics.
        predictions_topic: the topic to write predictions to; not one of those that are read.
        group_id: the consumer group that reads; only printable ASCII characters.
        worker: the worker's name, of printable ASCII characters, unique in the group, and the same
            after a restart: the new process gets the partitions of the old one at once, and the old
            one is refused.
        model_id: the model's name, a header of each prediction.
        on_bad_record: what to do with a record that `decode` refuses: "error", "skip", or
            "dead_letter", which writes it to `dead_letter_topic` once, in the same transaction.
        dead_letter_topic: the topic that bad records are written to.

    Example:
        from tfkafka.exactly_once import InferenceJob, keras_predict

        job = InferenceJob(
            predict=keras_predict(model),
            decode=tfkafka.CsvDecoder(18, label="key"),
            topics=["susy-test"],
            predictions_topic="predictions",
            group_id="inference",
        )
    """

    predict: Predict
    decode: Decoder
    topics: str | Sequence[str]
    predictions_topic: str
    group_id: str
    worker: str = "1"
    model_id: str = "model"
    on_bad_record: Policy = "error"
    dead_letter_topic: str | None = None

    def __post_init__(self) -> None:
        arguments.function("predict", self.predict)
        check_decoder(self.decode)
        topics = arguments.texts("topics", self.topics)
        object.__setattr__(self, "topics", topics)
        for name in ("predictions_topic", "model_id"):
            arguments.text(name, getattr(self, name))
        for name in ("group_id", "worker"):
            why = "Kafka's client takes no other in a transaction"
            arguments.printable_ascii(name, getattr(self, name), why)
        refuse_loop("predictions_topic", self.predictions_topic, topics)
        check_policy(self.on_bad_record, self.dead_letter_topic, topics)
        if self.dead_letter_topic == self.predictions_topic:
            raise ValueError(
                f"dead_letter_topic is {self.dead_letter_topic!r}, which is predictions_topic too: "
                f"a reader of predictions cannot read bad records"
            )

    @property
    def transactional_id(self) -> str:
        """The prefix of the worker's two transactional ids, which end with -0 and -1.

        The last "-" is before the worker's name, in which "-" is escaped: groups and workers that
        differ have different ids.
        """
        worker = self.worker.replace("%", "%25").replace("-", "%2D")
        return f"{self.group_id}-{worker}"


@dataclass(frozen=True)
class Predicted:
    """A batch of records, and the predictions for those that could be decoded."""

    job: InferenceJob
    chunk: Chunk
    kept: Chunk
    probabilities: NDArray[np.float32]
    faults: Sequence[Fault]

    def outgoing(self) -> Outgoing:
        """Return the records to write in the batch's transaction."""
        job = self.job
        outgoing = {
            job.predictions_topic: predictions.records(self.kept, self.probabilities, job.model_id)
        }
        if job.dead_letter_topic is not None and self.faults:
            outgoing[job.dead_letter_topic] = dead_letters(self.chunk, self.faults)
        return outgoing


def predict(job: InferenceJob, chunk: Chunk) -> Predicted:
    """Decode a batch and predict.

    Raises BadRecordError as the job's `on_bad_record` says, and PredictionsError where the model
    predicts a number that is not finite.
    """
    decoded = decode_checked(only_finite(job.decode), chunk)
    refuse(job.on_bad_record, chunk, decoded.faults)
    kept = decoded.records(chunk)
    rows = len(kept)
    probabilities = np.zeros(0, np.float32)
    if rows:
        model: Callable[..., object] = job.predict
        probabilities = np.asarray(model(decoded.arrays[0]), np.float32)
    if probabilities.shape != (rows,):
        raise ValueError(
            f"the model returned {probabilities.shape} for {rows:,} records, must be ({rows},)"
        )
    _refuse_not_finite(kept, probabilities)
    return Predicted(job, chunk, kept, probabilities, decoded.faults)


def _refuse_not_finite(chunk: Chunk, probabilities: NDArray[np.float32]) -> None:
    wrong = np.flatnonzero(~np.isfinite(probabilities))
    if len(wrong):
        where = chunk.position(int(wrong[0]))
        raise PredictionsError(
            f"{where}: the model predicts {probabilities[wrong[0]]}, one of {len(wrong):,} "
            f"predictions that are not finite among {len(probabilities):,}: none of these is "
            f"written; start again with a model that predicts finite numbers",
            **where._asdict(),
        )


def refuse_missing_topics(
    job: InferenceJob, settings: Mapping[str, object], limits: Limits
) -> None:
    """Raise TopicError where a topic of the job is missing, ReadError where no broker answers."""
    cluster = Cluster(settings, limits.broker_timeout)
    wanted = [*job.topics, job.predictions_topic]
    for topic in [*wanted, job.dead_letter_topic] if job.dead_letter_topic else wanted:
        cluster.partitions(topic)
