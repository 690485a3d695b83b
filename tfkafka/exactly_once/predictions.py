"""Predictions as records: how they are written, and what all of them together say.

The value is the probability as decimal text, the shortest that gives the same float32 again; the
key is the input's own. Headers say where the input is, and which model it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars
from confluent_kafka import Producer

from tfkafka import config
from tfkafka._util.waiting import wait_for
from tfkafka.client.admin import Admin
from tfkafka.client.transactions import room_for
from tfkafka.decoding.csv import CsvDecoder, parse_rows
from tfkafka.errors import PredictionsError
from tfkafka.intake import Limits
from tfkafka.read import Span, pin, read
from tfkafka.records import Chunk, Position

TOPIC, PARTITION, OFFSET = "tfkafka.topic", "tfkafka.partition", "tfkafka.offset"
MODEL = "tfkafka.model"
NAMED_RECORDS = 20
# Keeps log loss finite where a probability is exactly 0 or 1, as Keras does.
EPSILON = 1e-7

# Longer than the broker takes to abort what a dead worker has left open.
SETTLED_S = 60.0
_NONE = (np.zeros(0, np.int64), np.zeros(0, np.float32))

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """What the predictions of a whole run are worth: `loss` is binary cross-entropy, mean a record.

    `auc` is nan where all records are of one class.
    """

    records: int
    accuracy: float
    loss: float
    auc: float


def keras_predict(model) -> Predict:
    """A Keras model with one output as a function float32 [n, columns] -> float32 [n].

    One graph for all batch sizes: `model.predict` takes five times as long for 2,000 rows.
    """
    import tensorflow as tf

    shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda rows: model(rows, training=False), input_signature=[shape])
    return lambda rows: graph(rows).numpy()[:, 0]


def produce(
    producer: Producer, topic: str, chunk: Chunk, probabilities: np.ndarray, model: str
) -> None:
    """Write a prediction, float32 [n], for each record of a chunk."""
    values = polars.Series(probabilities).cast(polars.String).to_list()
    partitions = [str(partition) for partition in chunk.partitions.tolist()]
    offsets = [str(offset) for offset in chunk.offsets.tolist()]
    for value, key, source, partition, offset in zip(
        values, chunk.keys, chunk.topics, partitions, offsets, strict=True
    ):
        headers = {TOPIC: source, PARTITION: partition, OFFSET: offset, MODEL: model}
        while True:
            try:
                producer.produce(topic, value, key, headers=headers)
                break
            except BufferError:
                room_for(producer)


def read_predictions(
    servers: str, topic: str, configuration: config.Configuration = None
) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    """All committed predictions: for each input partition, offsets int64 [n] and float32 [n].

    In the order of the offsets; one that was predicted twice is there twice. Those behind an open
    transaction are missing: see `wait_until_settled`.

    Raises:
        PredictionsError: a record is not a prediction. ReadError, TopicError: see `read`.
    """
    found: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    settings = config.consumer_settings(servers, configuration)
    settings["isolation.level"] = "read_committed"
    for chunk in read(_spans(settings, topic), settings, Limits()):
        probabilities, bad = parse_rows(chunk.values, 1)
        if bad:
            raise PredictionsError(f"{chunk.position(bad[0])}: the value is not a probability")
        sources = [_source(chunk, index) for index in range(len(chunk))]
        for key in {source[:2] for source in sources}:
            mine = [index for index, source in enumerate(sources) if source[:2] == key]
            offsets = np.array([sources[index][2] for index in mine], np.int64)
            found.setdefault(key, []).append((offsets, probabilities[mine, 0]))
    return {key: _sorted(parts) for key, parts in found.items()}


def evaluate(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: CsvDecoder,
    configuration: config.Configuration = None,
) -> Evaluation:
    """Accuracy, loss and AUC over all that a group has read, from the committed predictions.

    Each input that `decode` accepts must have exactly one prediction, up to where the group is. For
    a group whose workers have ended, or died: it waits for the broker to end their transactions.

    Args:
        decode: the worker's. Labels are the inputs' keys; a record whose key is no number counts
            in nothing but the check.

    Raises:
        PredictionsError: predictions are missing, double, or of no input; names the first of them.
    """
    settings = config.consumer_settings(servers, configuration)
    settings["isolation.level"] = "read_committed"
    wait_until_settled(settings, predictions_topic)
    admin = Admin(servers, config.connection_settings(settings))
    ends = {
        row.partition: row.committed for row in admin.describe_group(group_id)
        if row.topic == topic and row.committed is not None
    }  # fmt: skip
    predicted = read_predictions(servers, predictions_topic, configuration)
    ends = {partition: 0 for name, partition in predicted if name == topic} | ends
    labels, probabilities = [], []
    for partition, end in sorted(ends.items()):
        offsets, truth = _inputs(settings, topic, partition, end, decode)
        found, values = predicted.get((topic, partition), _NONE)
        _refuse_wrong(topic, partition, offsets, found, predictions_topic)
        labels.append(truth)
        probabilities.append(values)
    truth = np.concatenate([_NONE[1], *labels])
    is_known = ~np.isnan(truth)
    if not is_known.any():
        raise PredictionsError(f"group {group_id} has read no record of topic {topic} with a label")
    return measure(truth[is_known], np.concatenate(probabilities)[is_known])


def wait_until_settled(settings: config.Settings, topic: str) -> None:
    """Wait until no transaction is open, behind which committed predictions cannot be read."""

    def is_settled() -> bool:
        committed, all_records = (
            _spans({**settings, "isolation.level": level}, topic)
            for level in ("read_committed", "read_uncommitted")
        )
        return committed == all_records

    wait_for(
        is_settled, f"the end of a transaction on {topic}; is a worker running?", SETTLED_S,
        PredictionsError,
    )  # fmt: skip


def _inputs(
    settings: config.Settings, topic: str, partition: int, stop: int, decode: CsvDecoder
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and labels of the records before `stop` that could be decoded; nan: no label."""
    offsets, labels = [_NONE[0]], [_NONE[1]]
    spans = pin(settings, Limits(), topic, [partition], 0, stop) if stop else []
    for chunk in read(spans, settings, Limits()):
        decoded = chunk.select(decode.decode(chunk).kept)
        truth, bad = parse_rows(decoded.keys, 1)
        truth[bad] = np.nan
        offsets.append(decoded.offsets)
        labels.append(truth[:, 0])
    return np.concatenate(offsets), np.concatenate(labels)


def _spans(settings: Mapping[str, object], topic: str) -> list[Span]:
    servers = settings["bootstrap.servers"]
    partitions = Admin(servers, config.connection_settings(settings)).end_offsets(topic)
    return pin(settings, Limits(), topic, sorted(partitions))


def _source(chunk: Chunk, index: int) -> tuple[str, int, int]:
    headers = dict(chunk.headers[index])
    try:
        return headers[TOPIC].decode(), int(headers[PARTITION]), int(headers[OFFSET])
    except (KeyError, ValueError, AttributeError, TypeError):
        raise PredictionsError(
            f"{chunk.position(index)}: no prediction: its headers do not say topic, partition and "
            f"offset of an input"
        ) from None


def _sorted(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    offsets, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(offsets, kind="stable")
    return offsets[order], values[order]


def _refuse_wrong(
    topic: str, partition: int, expected: np.ndarray, found: np.ndarray, where: str
) -> None:
    """`expected` and `found` are ascending offsets."""
    wrong: Mapping[str, np.ndarray] = {
        "have no prediction": np.setdiff1d(expected, found),
        "have several predictions": np.unique(found[1:][np.diff(found) == 0]),
        "have a prediction without being read": np.setdiff1d(found, expected),
    }
    for what, offsets in wrong.items():
        if len(offsets):
            named = "; ".join(str(Position(topic, partition, o)) for o in offsets[:NAMED_RECORDS])
            raise PredictionsError(f"{where}: {len(offsets):,} records {what}: {named}")


def measure(labels: np.ndarray, probabilities: np.ndarray) -> Evaluation:
    """Of labels, float32 [n], 0 or 1, and probabilities of class 1, float32 [n]."""
    clipped = np.clip(probabilities.astype(np.float64), EPSILON, 1 - EPSILON)
    positive = labels > 0.5
    loss = -np.mean(np.where(positive, np.log(clipped), np.log1p(-clipped)))
    accuracy = np.mean((probabilities > 0.5) == positive)
    return Evaluation(len(labels), float(accuracy), float(loss), _auc(positive, probabilities))


def _auc(positive: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve, by ranks (Mann and Whitney's U; ties count one half)."""
    ones, zeros = positive.sum(), (~positive).sum()
    if not ones or not zeros:
        return float("nan")
    ranks = polars.Series(probabilities).rank("average").to_numpy()
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
