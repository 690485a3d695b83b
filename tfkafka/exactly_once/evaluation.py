"""Committed predictions, checked against their inputs and evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.columns import joined, rows, take
from tfkafka.chunk import Chunk, Position, TopicPartition
from tfkafka.client.admin import Admin, GroupPartition
from tfkafka.config import Limits
from tfkafka.decoding.base import (
    Arrays,
    Decoder,
    check_decoder,
    decode_checked,
    needs_headers,
    only_finite,
)
from tfkafka.decoding.encoders.base import Encoder, check_encoder, not_finite
from tfkafka.decoding.encoders.probability import ProbabilityEncoder
from tfkafka.decoding.numbers import parse_rows
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once.metrics import Metrics, checked_metrics, measure
from tfkafka.exactly_once.predictions import COMMITTED, read_predictions, wait_until_settled
from tfkafka.exactly_once.specs import refuse_other_classes
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings

NAMED_RECORDS = 20
_NO_OFFSETS = np.zeros(0, np.int64)


@overload
def checked_predictions(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


@overload
def checked_predictions(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration = None,
    *,
    encoder: Encoder,
) -> tuple[Any, Any]: ...


def checked_predictions(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration = None,
    *,
    encoder: Encoder | None = None,
) -> tuple[Any, Any]:
    """Return labels [n] and predictions [n, ...] of all records that a group has read.

    Each input that `decode` accepts must have exactly one prediction, up to the group's committed
    offsets. Call it after the group's workers have ended or died: it waits for the broker to end
    their transactions.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic of the inputs.
        predictions_topic: the topic of the predictions.
        group_id: the workers' consumer group.
        decode: the workers' decoder. Labels are its own; if it has none, they are the inputs' keys
            as float32, and a record whose key is not a number is checked, but not returned.
        configuration: librdkafka's settings.
        encoder: the workers'; None: `ProbabilityEncoder()`, whose predictions are float32 [n].

    Raises:
        PredictionsError: predictions are missing, duplicate, without an input, or not finite; the
            message names the first of them. Or the group has committed nothing of the topic.

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
    found = _checked(servers, topic, predictions_topic, group_id, decode, configuration, encoder)
    return found.labels, found.predictions


def evaluate_predictions(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration = None,
    *,
    metrics: Metrics,
    encoder: Encoder | None = None,
) -> dict[str, float]:
    """Return what Keras' metrics say of all predictions, which are checked before.

    The sample weights of the decoder are used, if it has any.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic of the inputs.
        predictions_topic: the topic of the predictions.
        group_id: the workers' consumer group.
        decode: the workers' decoder: see `checked_predictions`.
        configuration: librdkafka's settings.
        metrics: Keras' metric objects, whose state is reset first. For predictions that are a dict
            of arrays, a dict from their names to lists of metrics; labels are the same for all, or
            a dict with the same names.
        encoder: the workers'; None: `ProbabilityEncoder()`.

    Returns:
        The results by the metrics' names; for several arrays by `ARRAY_METRIC`, as in Keras.

    Raises:
        PredictionsError: see `checked_predictions`.
        TypeError: a metric does not take labels and predictions, as keras.metrics.Mean.
        ValueError: a metric and the predictions do not fit, or its result is not one number.

    Example:
        from tfkafka.exactly_once import evaluate_predictions

        results = evaluate_predictions(
            "localhost:9092",
            "susy-test",
            "predictions",
            "inference",
            tfkafka.CsvDecoder(18, label="key"),
            metrics=[keras.metrics.BinaryAccuracy(), keras.metrics.AUC(name="auc")],
        )
        print(results["binary_accuracy"], results["auc"])
    """
    by_array = checked_metrics(metrics)
    found = _checked(servers, topic, predictions_topic, group_id, decode, configuration, encoder)
    return measure(by_array, found.labels, found.predictions, found.weights)


@dataclass(frozen=True)
class _Checked:
    """Labels, predictions and sample weights, None where the decoder has no weights."""

    labels: Arrays
    predictions: Arrays
    weights: Arrays | None


def _checked(
    servers: str,
    topic: str,
    predictions_topic: str,
    group_id: str,
    decode: Decoder,
    configuration: config.Configuration,
    encoder: Encoder | None,
) -> _Checked:
    for name, value in (
        ("topic", topic),
        ("predictions_topic", predictions_topic),
        ("group_id", group_id),
    ):
        arguments.text(name, value)
    check_decoder(decode)
    encoder = ProbabilityEncoder() if encoder is None else encoder
    check_encoder(encoder)
    refuse_other_classes(decode, encoder)
    settings = reader_settings(arguments.text("servers", servers), configuration, COMMITTED)
    wait_until_settled(settings, predictions_topic)
    admin = Admin(servers, config.connection_settings(settings))
    # Kafka leaves out the offsets of topics that a user may not see: here that is an error.
    admin.end_offsets(topic)
    ends = _ends(admin.describe_group(group_id), topic, group_id)
    predicted = read_predictions(servers, predictions_topic, configuration, encoder=encoder)
    ends = {partition: 0 for name, partition in predicted if name == topic} | ends
    targets: list[tuple[Arrays, ...]] = []
    predictions: list[Arrays] = []
    for partition, end in sorted(ends.items()):
        offsets, some = _inputs(settings, topic, partition, end, only_finite(decode))
        found, values = predicted.get(TopicPartition(topic, partition), (_NO_OFFSETS, None))
        wrong = _wrong(offsets, found)
        if values is not None:
            spoilt = not_finite(values, getattr(encoder, "allows_nan", False))
            wrong["have a prediction that is not finite"] = found[spoilt]
        _refuse(topic, partition, wrong, predictions_topic)
        if values is not None:
            targets += some
            predictions.append(values)
    checked = _labelled(targets, predictions, are_keys=len(decode.element_spec) == 1)
    if not checked or not rows(checked[0]):
        raise PredictionsError(
            f"group {group_id} has read no record of topic {topic} with a label", topic=topic
        )
    labels, *weights, of_model = checked
    _refuse_no_indices(topic, labels, encoder)
    return _Checked(labels, of_model, weights[0] if weights else None)


def _ends(committed: Sequence[GroupPartition], topic: str, group_id: str) -> dict[int, int]:
    """Return the committed offset of each partition. Raises PredictionsError where none is."""
    found = {
        each.partition: each.committed
        for each in committed
        if each.topic == topic and each.committed is not None
    }
    if not found:
        others = sorted({each.topic for each in committed if each.committed is not None})
        of_others = f"of {', '.join(others)} alone" if others else "at all"
        raise PredictionsError(
            f"group {group_id} has committed nothing of topic {topic}, {of_others}: give group_id= "
            f"the name of the workers' group, which keeps its offsets while it is used",
            topic=topic,
        )
    return found


def _labelled(
    targets: list[tuple[Arrays, ...]], predictions: list[Arrays], are_keys: bool
) -> list[Arrays]:
    """Return labels, sample weights if there are any, and predictions; [] where there is none.

    Args:
        targets, predictions: in parts.
        are_keys: whether labels are keys, of which some may be no numbers: these are left out.
    """
    whole = [joined(each) for each in (*zip(*targets, strict=True), predictions) if each]
    if not are_keys or not whole:
        return whole
    is_known = np.isfinite(np.asarray(whole[0]))
    return [take(each, is_known) for each in whole]


def _refuse_no_indices(topic: str, labels: Arrays, encoder: Encoder) -> None:
    """Raise PredictionsError where labels are not indices of the classes that were predicted."""
    classes = getattr(encoder, "classes", None)
    if classes is None or isinstance(labels, Mapping):
        return
    wrong = labels[~np.isin(labels, np.arange(len(classes)))]
    if len(wrong):
        raise PredictionsError(
            f"topic {topic}: {len(wrong):,} labels are no index of the {len(classes)} classes, "
            f"the first of them {wrong[0]}: give decode a label with these classes",
            topic=topic,
        )


def _inputs(
    settings: config.Settings, topic: str, partition: int, stop: int, decode: Decoder
) -> tuple[NDArray[np.int64], list[tuple[Arrays, ...]]]:
    """Return offsets, and labels and weights in parts, of the decodable records before `stop`."""
    offsets, targets = [_NO_OFFSETS], []
    chunks: Iterator[Chunk] = iter(())
    if stop:
        chosen = resolve(settings, Limits(), topic, [partition], stop=stop)
        chunks = read(chosen, settings, Limits(), metadata=needs_headers(decode))
    for chunk in chunks:
        decoded = decode_checked(decode, chunk)
        kept = decoded.records(chunk)
        offsets.append(kept.offsets)
        if len(kept):
            targets.append(decoded.arrays[1:] or (_numeric_keys(kept),))
    return np.concatenate(offsets), targets


def _numeric_keys(chunk: Chunk) -> NDArray[np.float32]:
    """Return the keys as float32 [n], nan where they are not a number."""
    numbers, bad = parse_rows(chunk.keys, 1)
    numbers[bad] = np.nan
    found: NDArray[np.float32] = numbers[:, 0]
    return found


def _wrong(expected: NDArray[np.int64], found: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return what is wrong, with the offsets of the records; `expected` and `found` ascend."""
    return {
        "have no prediction": np.setdiff1d(expected, found),
        "have several predictions": np.unique(found[1:][np.diff(found) == 0]),
        "have a prediction without being read": np.setdiff1d(found, expected),
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
