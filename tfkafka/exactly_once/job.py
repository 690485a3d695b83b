"""The job of an exactly-once inference worker: from a batch to the records of a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import RowError, as_array, named
from tfkafka.chunk import Chunk, Column
from tfkafka.client.cluster import Cluster
from tfkafka.client.encoded import encoded
from tfkafka.client.producer import dead_letters
from tfkafka.client.records import Batch, Records
from tfkafka.client.transactions import Outgoing
from tfkafka.config import Limits
from tfkafka.decoding.bad_records import Policy, check_policy, refuse, refuse_loop
from tfkafka.decoding.base import (
    Arrays,
    Decoder,
    Fault,
    check_decoder,
    decode_checked,
    only_finite,
)
from tfkafka.decoding.encoders.base import Encoder, check_encoder, refuse_not_finite
from tfkafka.decoding.encoders.probability import ProbabilityEncoder
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once.exported_models import ExportedModels, NewestModel
from tfkafka.exactly_once.origins import predictions
from tfkafka.exactly_once.specs import check_fit
from tfkafka.metrics.meter import UNMETERED, Meter

# From features, one array or several by their names, to predictions of the same kind.
Predict = Callable[[NDArray[Any]], Arrays] | Callable[[Mapping[str, NDArray[Any]]], Arrays]
MODEL_ID = "model"


@dataclass(frozen=True)
class InferenceJob:
    """What to predict, from which topics, and where the predictions go.

    Args:
        predict: the model, from the decoder's features, an array [n, ...] or a dict of them, to n
            predictions of the same kind; `keras_predict` returns one for a Keras model. It is
            called in a separate thread. `ExportedModels`: the newest model of a folder.
        decode: the decoder of the records. One that leaves `finite` open refuses values that are
            not finite.
        topics: the topic to read, or a list of topics.
        predictions_topic: the topic to write predictions to; not one of those that are read.
        group_id: the consumer group that reads; only printable ASCII characters.
        worker: the worker's name, of printable ASCII characters, unique in the group, and the same
            after a restart: the new process gets the partitions of the old one at once (with
            `group.protocol=consumer` after its session), and the old one is refused.
        model_id: the model's name, a header of each prediction. `ExportedModels` has other names.
        on_bad_record: what to do with a record that `decode` refuses: "error", "skip", or
            "dead_letter", which writes it to `dead_letter_topic` once, in the same transaction.
        dead_letter_topic: the topic that bad records are written to.
        encoder: what turns predictions into the values of records: one number as text by default;
            `JsonEncoder()` writes any.

    Raises:
        ValueError: an argument is wrong; or the decoder, a model of `keras_predict` and the encoder
            do not fit together.
        CheckpointError: `ExportedModels` has no model, or none that fits.

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

    predict: Predict | ExportedModels
    decode: Decoder
    topics: str | Sequence[str]
    predictions_topic: str
    group_id: str
    worker: str = "1"
    model_id: str = MODEL_ID
    on_bad_record: Policy = "error"
    dead_letter_topic: str | None = None
    encoder: Encoder = field(default_factory=ProbabilityEncoder)
    _newest: NewestModel | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.predict, ExportedModels):
            arguments.function("predict", self.predict)
        check_decoder(self.decode)
        check_encoder(self.encoder)
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
        if isinstance(self.predict, ExportedModels):
            self._begin(self.predict)
        else:
            check_fit(self.decode, self.predict, self.encoder)

    @property
    def transactional_id(self) -> str:
        """The prefix of the worker's two transactional ids, which end with -0 and -1.

        The last "-" is before the worker's name, in which "-" is escaped: groups and workers that
        differ have different ids.
        """
        worker = self.worker.replace("%", "%25").replace("-", "%2D")
        return f"{self.group_id}-{worker}"

    def _model(self, meter: Meter) -> tuple[Callable[..., object], str]:
        """Return the model for the next batch, and its name."""
        if self._newest is not None:
            return self._newest.current(meter)
        assert not isinstance(self.predict, ExportedModels)
        return self.predict, self.model_id

    def _begin(self, models: ExportedModels) -> None:
        if self.model_id != MODEL_ID:
            raise ValueError(
                f"model_id is {arguments.shown(self.model_id)}, must be left out: each of the "
                f"exported models has its own name"
            )
        newest = NewestModel(Path(models.folder), self.decode, self.encoder)
        object.__setattr__(self, "_newest", newest)


@dataclass(frozen=True)
class Predicted:
    """A batch of records, and what one model predicts for those that could be decoded."""

    job: InferenceJob
    chunk: Chunk
    model_id: str
    predictions: Records
    faults: Sequence[Fault]
    absent: frozenset[str]

    def outgoing(self) -> Outgoing:
        """Return the records to write in the batch's transaction."""
        job = self.job
        outgoing: dict[str, Batch] = {job.predictions_topic: self.predictions}
        if job.dead_letter_topic is not None and self.faults:
            outgoing[job.dead_letter_topic] = dead_letters(self.chunk, self.faults)
        return outgoing


def predict(job: InferenceJob, chunk: Chunk, meter: Meter = UNMETERED) -> Predicted:
    """Decode a batch, predict, and encode the predictions.

    Raises BadRecordError as the job's `on_bad_record` says, and PredictionsError where the model
    predicts a number that is not finite.
    """
    with meter.stage("decode"):
        decoded = decode_checked(only_finite(job.decode), chunk)
    refuse(job.on_bad_record, chunk, decoded.faults)
    kept = decoded.records(chunk)
    with meter.stage("model"):
        model, model_id = job._model(meter)
    values = Column.of((), 0)
    if len(kept):
        with meter.stage("model"):
            returned = model(decoded.arrays[0])
        with meter.stage("encode"):
            values = _encoded(job.encoder, returned, kept)
    outgoing = predictions(kept, values, model_id)
    return Predicted(job, chunk, model_id, outgoing, decoded.faults, decoded.absent)


def _encoded(encoder: Encoder, returned: object, chunk: Chunk) -> Column:
    """Return the values of the predictions that a model returned for the records of a chunk."""
    columns: Arrays = (
        {name: as_array(f"the model's {name!r}", array) for name, array in returned.items()}
        if isinstance(returned, Mapping)
        else as_array("what the model returned", returned)
    )
    shapes = {name: array.shape for name, array in named(columns).items()}
    what = f"the model returned {shapes.get('', shapes)} for {len(chunk):,} records"
    if not shapes or any(shape[:1] != (len(chunk),) for shape in shapes.values()):
        raise ValueError(f"{what}, must return one row for each: ({len(chunk)}, ...)")
    try:
        refuse_not_finite(columns, getattr(encoder, "allows_nan", False))
        return encoded(encoder, columns)
    except RowError as error:
        where = chunk.position(error.index)
        raise PredictionsError(
            f"{where}: the model predicts {error.what}: none of its batch is written; start again "
            f"with a model whose predictions can be written",
            **where._asdict(),
        ) from None
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def refuse_missing_topics(
    job: InferenceJob, settings: Mapping[str, object], limits: Limits
) -> None:
    """Raise TopicError where a topic of the job is missing, ReadError where no broker answers."""
    cluster = Cluster(settings, limits.broker_timeout)
    wanted = [*job.topics, job.predictions_topic]
    for topic in [*wanted, job.dead_letter_topic] if job.dead_letter_topic else wanted:
        cluster.partitions(topic)
