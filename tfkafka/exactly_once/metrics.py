"""Metrics of Keras over labels and predictions."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.decoding.base import Arrays

# How many predictions a metric gets at a time.
MEASURED_ROWS = 8192


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


def checked_metrics(metrics: Metrics) -> dict[str, list[Metric]]:
    """Return lists of metrics by the names of arrays; "": the predictions are one array.

    Raises TypeError where one is no metric of labels and predictions, and ValueError where two have
    one name.
    """
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
        _check_update(metric)
    keys = [_key(name, metric) for name, some in found.items() for metric in some]
    for key, count in Counter(keys).items():
        if count > 1:
            raise ValueError(f"metrics has {key!r} {count} times: give each metric another name=")
    return found


def _check_update(metric: Metric) -> None:
    """Raise TypeError where a metric does not take labels, predictions and weights."""
    try:
        signature = inspect.signature(metric.update_state)
    except ValueError:
        return  # Functions in C need not have one.
    try:
        signature.bind(None, None, sample_weight=None)
    except TypeError:
        raise TypeError(
            f"metrics has {metric.name!r}, a {type(metric).__name__}: its update_state{signature} "
            f"must take (y_true, y_pred, sample_weight=None), as that of keras.metrics.AUC does"
        ) from None


def _key(name: str, metric: Metric) -> str:
    """Return the name of a metric's result."""
    return f"{name}_{metric.name}" if name else metric.name


def measure(
    by_array: Mapping[str, Sequence[Metric]],
    labels: Arrays,
    predictions: Arrays,
    weights: Arrays | None,
) -> dict[str, float]:
    """Return the results of metrics by their names, and by those of the arrays if these have any.

    Raises ValueError where a metric and the predictions do not fit.
    """
    results: dict[str, float] = {}
    for name, some in by_array.items():
        of_labels = _named("labels", labels, name, is_optional=True)
        of_model = _named("predictions", predictions, name)
        of_weights = None
        if weights is not None:
            of_weights = _named("sample weights", weights, name, is_optional=True)
        for metric in some:
            results[_key(name, metric)] = _measure(metric, of_labels, of_model, of_weights)
    return results


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
