"""Predictions as records: writing them, reading them, and checking them against their inputs.

The value is the probability, as the shortest decimal text that is parsed to the same float32. The
key is that of the input. Headers have the position of the input and the name of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars
from numpy.typing import NDArray

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.waiting import wait_for
from tfkafka.chunk import Chunk, Position, TopicPartition
from tfkafka.client.admin import Admin
from tfkafka.client.producer import Record
from tfkafka.config import Limits
from tfkafka.decoding.base import Decoder, check_decoder, only_finite
from tfkafka.decoding.numbers import parse_rows
from tfkafka.decoding.polars_threads import refuse_lost_threads
from tfkafka.errors import PredictionsError
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings

if TYPE_CHECKING:
    import keras

TOPIC, PARTITION, OFFSET = "tfkafka.topic", "tfkafka.partition", "tfkafka.offset"
MODEL = "tfkafka.model"
NAMED_RECORDS = 20
# Longer than the broker takes to abort the transaction that a dead worker left open.
SETTLED_S = 60.0
COMMITTED = {"isolation.level": "read_committed"}
_NONE = (np.zeros(0, np.int64), np.zeros(0, np.float32))

# From features, one array or several by their names.
Predict = (
    Callable[[NDArray[np.float32]], NDArray[np.float32]]
    | Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float32]]
)
# Offsets, ascending, and the label or the prediction of each.
ByOffset = tuple[NDArray[np.int64], NDArray[np.float32]]


def keras_predict(model: keras.Model) -> Predict:
    """Return a Keras model with one output as a function float32 [n, columns] -> float32 [n].

    It uses one graph for all batch sizes: `model.predict` takes five times as long for 2,000 rows.

    Raises:
        ValueError: the model has several inputs; its output is not one floating-point number for
            each record, float [n, 1] or [n]; or its loss is one of logits, and no
            sigmoid is at its end.

    Example:
        from tfkafka.exactly_once import keras_predict

        predict = keras_predict(model)
        predict(np.zeros((100, 18), np.float32))  # float32 [100]
    """
    import keras
    import tensorflow as tf

    arguments.instance("model", model, keras.Model, "a Keras model")
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        raise ValueError(
            f"keras_predict: model {model.name} has {len(inputs) or 'an unknown number of'} "
            f"inputs, must have one: give your own function as predict="
        )
    last = getattr(model.layers[-1], "activation", None) if model.layers else None
    # With a sigmoid at the end, Keras computes such a loss from the sigmoid's own input.
    is_sigmoid = last is keras.activations.sigmoid
    if getattr(getattr(model, "loss", None), "from_logits", False) and not is_sigmoid:
        raise ValueError(
            f"keras_predict: the loss of model {model.name} has from_logits=True, so its output is "
            f"not a probability: add a sigmoid as the last layer"
        )
    shape = tf.TensorSpec((None, *inputs[0].shape[1:]), tf.float32)
    graph = tf.function(lambda rows: model(rows, training=False), input_signature=[shape])
    output = graph.get_concrete_function().structured_outputs
    if not _is_one_number(output):
        raise ValueError(
            f"keras_predict: the output of model {model.name} is {_described(output)}, must be "
            f"float32 [n, 1] or [n]: give it one output, or give your own function as predict="
        )
    return lambda rows: graph(rows).numpy().reshape(-1)


def _is_one_number(output: Any) -> bool:
    """Return whether this output of a graph is one floating-point number for each record."""
    import tensorflow as tf

    is_tensor = isinstance(output, tf.TensorSpec | tf.Tensor) and output.shape.rank is not None
    return is_tensor and output.dtype.is_floating and output.shape.as_list() in ([None, 1], [None])


def _described(output: Any) -> str:
    """Return the dtypes and shapes of an output, for an error."""
    import tensorflow as tf

    parts = tf.nest.flatten(output)
    text = ", ".join(f"{each.dtype.name} {each.shape}" for each in parts)
    return text if output is parts[0] else f"{len(parts)} in a {type(output).__name__} ({text})"


def records(chunk: Chunk, probabilities: NDArray[np.float32], model: str) -> Iterator[Record]:
    """Yield the prediction of each record of a chunk as a record, from `probabilities` [n]."""
    refuse_lost_threads("writing predictions")
    values = polars.Series(probabilities).cast(polars.String).to_list()
    partitions = [str(partition) for partition in chunk.partitions.tolist()]
    offsets = [str(offset) for offset in chunk.offsets.tolist()]
    for value, key, source, partition, offset in zip(
        values, chunk.keys.entries, chunk.topics, partitions, offsets, strict=True
    ):
        yield (
            value,
            key,
            [(TOPIC, source), (PARTITION, partition), (OFFSET, offset), (MODEL, model)],
        )


def read_predictions(
    servers: str, topic: str, configuration: config.Configuration = None
) -> dict[TopicPartition, ByOffset]:
    """Return all committed predictions.

    For each input partition these are the offsets of the inputs, int64 [n], and the predictions,
    float32 [n], in the order of the offsets. An input that was predicted twice occurs twice.
    Predictions after an open transaction are missing: see `wait_until_settled`.

    Raises:
        PredictionsError: a record is not a prediction.
        TopicError: there is no such topic.
        ReadError: no broker answers, or it refuses.

    Example:
        from tfkafka.exactly_once import read_predictions

        for source, (offsets, values) in read_predictions("localhost:9092", "predictions").items():
            print(source, len(offsets), values.mean())
    """
    found: dict[TopicPartition, list[ByOffset]] = {}
    arguments.text("topic", topic)
    settings = reader_settings(arguments.text("servers", servers), configuration, COMMITTED)
    ranges = resolve(settings, Limits(), topic)
    for chunk in read(ranges, settings, Limits(), metadata=True):
        probabilities, bad = parse_rows(chunk.values.entries, 1)
        if bad:
            where = chunk.position(bad[0])
            raise PredictionsError(f"{where}: the value is not a probability", **where._asdict())
        _, headers = chunk.metadata
        inputs = [_input(chunk, index, dict(each)) for index, each in enumerate(headers)]
        for source in {each.source for each in inputs}:
            mine = [index for index, each in enumerate(inputs) if each.source == source]
            offsets = np.array([inputs[index].offset for index in mine], np.int64)
            found.setdefault(source, []).append((offsets, probabilities[mine, 0]))
    return {source: _sorted(parts) for source, parts in found.items()}


def checked_predictions(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return labels and predictions, float32 [n] each, of all records that a group has read.

    Each input that `decode` accepts must have exactly one prediction, up to the group's committed
    offsets. Call it after the group's workers have ended or died: it waits for the broker to end
    their transactions.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic of the inputs.
        predictions_topic: the topic of the predictions.
        group_id: the workers' consumer group.
        decode: the workers' decoder. Labels are the inputs' keys; a record whose key is not a
            number is checked, but not returned.
        configuration: librdkafka's settings.

    Raises:
        PredictionsError: predictions are missing, duplicate, without an input, or not finite; the
            message names the first of them.

    Example:
        from tfkafka.exactly_once import checked_predictions

        labels, predictions = checked_predictions(
            "localhost:9092",
            "susy-test",
            "predictions",
            "inference",
            tfkafka.CsvDecoder(18, label="key"),
        )
        print(f"accuracy {((predictions > 0.5) == labels).mean():.4f}")
    """
    for name, value in (
        ("topic", topic),
        ("predictions_topic", predictions_topic),
        ("group_id", group_id),
    ):
        arguments.text(name, value)
    check_decoder(decode)
    settings = reader_settings(arguments.text("servers", servers), configuration, COMMITTED)
    wait_until_settled(settings, predictions_topic)
    rows = Admin(servers, config.connection_settings(settings)).describe_group(group_id)
    ends = {r.partition: r.committed for r in rows if r.topic == topic and r.committed is not None}
    predicted = read_predictions(servers, predictions_topic, configuration)
    ends = {partition: 0 for name, partition in predicted if name == topic} | ends
    decode = only_finite(decode)
    labels, probabilities = [_NONE[1]], [_NONE[1]]
    for partition, end in sorted(ends.items()):
        offsets, truth = _inputs(settings, topic, partition, end, decode)
        found, values = predicted.get(TopicPartition(topic, partition), _NONE)
        _refuse(topic, partition, _wrong(offsets, found, values), predictions_topic)
        labels.append(truth)
        probabilities.append(values)
    truth = np.concatenate(labels)
    is_known = np.isfinite(truth)
    if not is_known.any():
        raise PredictionsError(
            f"group {group_id} has read no record of topic {topic} with a label", topic=topic
        )
    return truth[is_known], np.concatenate(probabilities)[is_known]


def wait_until_settled(settings: Mapping[str, object], topic: str) -> None:
    """Wait until no transaction is open: committed predictions after it could not be read.

    Args:
        settings: a consumer's settings, with `bootstrap.servers`.
        topic: the topic of the predictions.

    Raises:
        PredictionsError: one is still open after 60 s.
        TopicError: there is no such topic.
        ReadError: no broker answers.

    Example:
        from tfkafka.exactly_once import wait_until_settled

        wait_until_settled({"bootstrap.servers": "localhost:9092"}, "predictions")
    """

    arguments.mapping("settings", settings)
    arguments.text("topic", topic)
    chosen = reader_settings(None, config.parse(settings, "settings"))

    def is_settled() -> bool:
        committed, all_records = (
            resolve(chosen | {"isolation.level": level}, Limits(), topic)
            for level in ("read_committed", "read_uncommitted")
        )
        return committed == all_records

    wait_for(
        is_settled,
        f"the end of a transaction on {topic}; is a worker running?",
        SETTLED_S,
        PredictionsError,
    )


def _inputs(
    settings: config.Settings, topic: str, partition: int, stop: int, decode: Decoder
) -> ByOffset:
    """Return offsets and labels of the decodable records before `stop`; nan: no label."""
    offsets, labels = [_NONE[0]], [_NONE[1]]
    chunks: Iterator[Chunk] = iter(())
    if stop:
        chosen = resolve(settings, Limits(), topic, [partition], stop=stop)
        chunks = read(chosen, settings, Limits())
    for chunk in chunks:
        decoded = decode.decode(chunk).records(chunk)
        truth, bad = parse_rows(decoded.keys.entries, 1)
        truth[bad] = np.nan
        offsets.append(decoded.offsets)
        labels.append(truth[:, 0])
    return np.concatenate(offsets), np.concatenate(labels)


def _input(chunk: Chunk, index: int, headers: Mapping[str, Any]) -> Position:
    try:
        return Position(headers[TOPIC].decode(), int(headers[PARTITION]), int(headers[OFFSET]))
    except (KeyError, ValueError, AttributeError, TypeError):
        raise PredictionsError(
            f"{chunk.position(index)}: not a prediction: its headers do not have topic, partition "
            f"and offset of an input",
            **chunk.position(index)._asdict(),
        ) from None


def _sorted(parts: list[ByOffset]) -> ByOffset:
    offsets = np.concatenate([each for each, _ in parts])
    values = np.concatenate([each for _, each in parts])
    order = np.argsort(offsets, kind="stable")
    return offsets[order], values[order]


def _wrong(
    expected: NDArray[np.int64], found: NDArray[np.int64], values: NDArray[np.float32]
) -> Mapping[str, NDArray[np.int64]]:
    """Return what is wrong, with the offsets of the records; `expected` and `found` ascend."""
    return {
        "have no prediction": np.setdiff1d(expected, found),
        "have several predictions": np.unique(found[1:][np.diff(found) == 0]),
        "have a prediction without being read": np.setdiff1d(found, expected),
        "have a prediction that is not finite": found[~np.isfinite(values)],
    }


def _refuse(topic: str, partition: int, wrong: Mapping[str, NDArray[np.int64]], where: str) -> None:
    """Raise PredictionsError where the predictions of a partition are wrong."""
    for what, offsets in wrong.items():
        if len(offsets):
            named = "; ".join(str(Position(topic, partition, o)) for o in offsets[:NAMED_RECORDS])
            raise PredictionsError(
                f"{where}: {len(offsets):,} records {what}: {named}",
                topic=topic,
                partition=partition,
                offset=int(offsets[0]),
            )
