"""Committed predictions, checked against their inputs and evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.columns import joined, rows, take
from tfkafka.chunk import Chunk, Position, TopicPartition
from tfkafka.client.admin import Admin
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
from tfkafka.exactly_once.predictions import COMMITTED, read_predictions, wait_until_settled
from tfkafka.exactly_once.specs import refuse_other_classes
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings

NAMED_RECORDS = 20
# How many predictions a metric gets at a time.
MEASURED_ROWS = 8192
_NO_OFFSETS = np.zeros(0, np.int64)


@runtime_checkable
class Metric(Protocol):
    """A metric of Keras."""

    name: str

    def reset_state(self) -> Any:
        """Forget what was measured."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Take some labels and predictions into account."""

    def result(self) -> Any:
        """Return the number."""


Metrics = Sequence[Metric] | Mapping[str, Sequence[Metric]]


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
    by_array = _by_array(metrics)
    found = _checked(servers, topic, predictions_topic, group_id, decode, configuration, encoder)
    results: dict[str, float] = {}
    for name, some in by_array.items():
        labels = _named("labels", found.labels, name, is_optional=True)
        predictions = _named("predictions", found.predictions, name)
        weights = found.weights
        if weights is not None:
            weights = _named("sample weights", weights, name, is_optional=True)
        for metric in some:
            key = f"{name}_{metric.name}" if name else metric.name
            results[key] = _measure(metric, labels, predictions, weights)
    return results


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
    committed = Admin(servers, config.connection_settings(settings)).describe_group(group_id)
    ends = {
        each.partition: each.committed
        for each in committed
        if each.topic == topic and each.committed is not None
    }
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
    numbers, bad = parse_rows(chunk.keys.entries, 1)
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


def _by_array(metrics: Metrics) -> dict[str, list[Metric]]:
    """Return lists of metrics by the names of arrays; "": the predictions are one array."""
    what = "a list of Keras' metric objects, or a dict of such lists"
    by_array = metrics if isinstance(metrics, Mapping) else {"": metrics}
    found = {}
    for name, some in by_array.items():
        arguments.several("metrics", some, what)
        found[name] = list(some)
    every: list[object] = [metric for some in found.values() for metric in some]
    for metric in every or [None]:
        if isinstance(metric, type) or not isinstance(metric, Metric):
            raise TypeError(f"metrics has {arguments.shown(metric)}, must be {what}")
    return found


def _named(what: str, arrays: Arrays, name: str, is_optional: bool = False) -> NDArray[Any]:
    """Return the array of a name. Raises ValueError where there is none."""
    if not isinstance(arrays, Mapping):
        if name and not is_optional:
            raise ValueError(f"metrics is a dict, and {what} are one array: give a list of metrics")
        return arrays
    if name not in arrays:
        names = ", ".join(arrays)
        wrong = f"has {name!r}" if name else "is a list"
        raise ValueError(
            f"metrics {wrong}, and {what} have the names {names}: give a dict of these"
        )
    return arrays[name]


def _measure(
    metric: Metric, labels: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None
) -> float:
    """Return the result of a metric, in parts whose sizes do not matter."""
    if predictions.shape[1:] in ((), (1,)):
        # Keras takes the mean over the last axis, which must not be that of the records.
        predictions, labels = (each.reshape(len(each), -1) for each in (predictions, labels))
    metric.reset_state()
    for start in range(0, len(labels), MEASURED_ROWS):
        part = slice(start, start + MEASURED_ROWS)
        some = None if weights is None else weights[part]
        metric.update_state(labels[part], predictions[part], sample_weight=some)
    result = np.asarray(metric.result())
    if result.ndim or result.dtype.kind not in "fiu":
        raise ValueError(
            f"metrics: the result of {metric.name} is not one number: give it average=, for example"
        )
    return float(result)
