"""Committed predictions, read back with the positions of their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tfkafka import config
from tfkafka._util import arguments
from tfkafka._util.columns import joined, take
from tfkafka._util.waiting import wait_for
from tfkafka.chunk import TopicPartition
from tfkafka.config import Limits
from tfkafka.decoding.base import Arrays
from tfkafka.decoding.encoders.base import Encoder, check_encoder
from tfkafka.decoding.encoders.probability import ProbabilityEncoder
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once.origins import origin_of
from tfkafka.reading.ranges import read, resolve
from tfkafka.reading.settings import reader_settings

# Longer than the broker takes to abort the transaction that a dead worker left open.
SETTLED_S = 60.0
COMMITTED = {"isolation.level": "read_committed"}
# Offsets, ascending, and the prediction of each.
ByOffset = tuple[NDArray[np.int64], Arrays]


@overload
def read_predictions(
    servers: str, topic: str, configuration: config.Configuration = None
) -> dict[TopicPartition, tuple[NDArray[np.int64], NDArray[np.float32]]]: ...


@overload
def read_predictions(
    servers: str, topic: str, configuration: config.Configuration = None, *, encoder: Encoder
) -> dict[TopicPartition, tuple[NDArray[np.int64], Any]]: ...


def read_predictions(
    servers: str,
    topic: str,
    configuration: config.Configuration = None,
    *,
    encoder: Encoder | None = None,
) -> Mapping[TopicPartition, tuple[NDArray[np.int64], Any]]:
    """Return all committed predictions.

    For each input partition these are the offsets of the inputs, int64 [n], and the predictions in
    the order of the offsets: float32 [n], or what the encoder reads, an array [n, ...] or a dict of
    them. An input that was predicted twice occurs twice. Predictions after an open transaction are
    missing: see `wait_until_settled`.

    Args:
        servers: `HOST:PORT[,HOST:PORT]`.
        topic: the topic of the predictions.
        configuration: librdkafka's settings.
        encoder: the job's; None: `ProbabilityEncoder()`.

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
    chosen = ProbabilityEncoder() if encoder is None else encoder
    check_encoder(chosen)
    settings = reader_settings(arguments.text("servers", servers), configuration, COMMITTED)
    ranges = resolve(settings, Limits(), topic)
    for chunk in read(ranges, settings, Limits(), metadata=True):
        decoded = chosen.decode(chunk.values.entries.tolist())
        if decoded.faults:
            first = decoded.faults[0]
            where = chunk.position(first.index)
            raise PredictionsError(
                f"{where}: the value is not a prediction that {type(chosen).__name__} writes: "
                f"{first.reason}",
                **where._asdict(),
            )
        inputs = [origin_of(chunk, index) for index in range(len(chunk))]
        for source in {each.source for each in inputs}:
            mine = [index for index, each in enumerate(inputs) if each.source == source]
            offsets = np.array([inputs[index].offset for index in mine], np.int64)
            found.setdefault(source, []).append((offsets, take(decoded.arrays[0], mine)))
    return {source: _sorted(topic, parts) for source, parts in found.items()}


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


def _sorted(topic: str, parts: list[ByOffset]) -> ByOffset:
    offsets = np.concatenate([each for each, _ in parts])
    try:
        values = joined([each for _, each in parts])
    except ValueError as error:
        raise PredictionsError(
            f"{topic}: not all predictions are of one model: {error}", topic=topic
        ) from None
    order = np.argsort(offsets, kind="stable")
    return offsets[order], take(values, order)
