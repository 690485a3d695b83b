"""tensorflow-io's `tfio.experimental.streaming`: consumer groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.config import FOREVER
from tfkafka.data.groups import PRODUCERS_BATCH, KafkaGroupDataset, KafkaMiniBatchDataset
from tfkafka.tfio.lifting import Liftable, liftable

__all__ = ["KafkaBatchIODataset", "KafkaGroupIODataset"]

DEFAULT_GROUP = "test-consumer-group"
MESSAGE_POLL_TIMEOUT_MS = 10_000
# librdkafka's default of the setting that tensorflow-io uses for this.
MINI_DATASET_RECORDS = 10_000


class KafkaGroupIODataset(Liftable, KafkaGroupDataset):
    """`KafkaGroupDataset` with tensorflow-io's arguments. Elements are (message, key).

    Args:
        topics: the names of the topics.
        group_id: None: "test-consumer-group", unless configuration has a `group.id`.
        servers: None: as in configuration, or else localhost:9092.
        stream_timeout: ms of silence after which the stream ends; at least message_poll_timeout,
            as in tensorflow-io; -1: never.
        message_poll_timeout: see stream_timeout. Records are delivered at once, whatever it is.
        configuration: librdkafka's settings, `["name=value", ...]`.

    Raises:
        ValueError: stream_timeout is negative and not -1.

    Example:
        import tfkafka.tfio as tfio

        stream = tfio.experimental.streaming.KafkaGroupIODataset(
            ["susy-test"],
            "my-group",
            "localhost:9092",
            stream_timeout=2_000,
            message_poll_timeout=1_000,
            configuration=["auto.offset.reset=earliest"],
        )
        for message, key in stream:
            print(message, key)
    """

    def __init__(
        self,
        topics: str | Sequence[str],
        group_id: str | None,
        servers: str | Sequence[str] | None,
        stream_timeout: int = 0,
        message_poll_timeout: int = MESSAGE_POLL_TIMEOUT_MS,
        configuration: config.Configuration = None,
        internal: bool = True,
    ):
        super().__init__(
            topics,
            _group(group_id, configuration),
            servers,
            _stream_timeout(stream_timeout, message_poll_timeout),
            configuration,
        )


class KafkaBatchIODataset(KafkaMiniBatchDataset):
    """`KafkaMiniBatchDataset` with tensorflow-io's arguments.

    Elements are datasets of (message, key).

    Arguments are those of KafkaGroupIODataset. By default the stream never ends. A `for` loop
    raises an exception of `tfkafka.errors`, not `tf.errors.OpError`.

    Example:
        import tfkafka.tfio as tfio

        online = tfio.experimental.streaming.KafkaBatchIODataset(
            ["susy-train"],
            "online",
            "localhost:9092",
            stream_timeout=2_000,
            message_poll_timeout=1_000,
            configuration=["auto.offset.reset=earliest"],
        )
        for mini_dataset in online:
            print(len(mini_dataset))
    """

    def __init__(
        self,
        topics: str | Sequence[str],
        group_id: str | None,
        servers: str | Sequence[str] | None,
        stream_timeout: int = FOREVER,
        message_poll_timeout: int = MESSAGE_POLL_TIMEOUT_MS,
        configuration: config.Configuration = None,
        internal: bool = True,
    ):
        settings = config.parse(configuration)
        records = config.whole_number(settings, PRODUCERS_BATCH, MINI_DATASET_RECORDS)
        settings.pop(PRODUCERS_BATCH, None)
        super().__init__(
            topics,
            _group(group_id, configuration),
            servers,
            _stream_timeout(stream_timeout, message_poll_timeout),
            settings,
            records=records,
        )

    def __iter__(self) -> Iterator[tf.data.Dataset[Any]]:
        return map(liftable, super().__iter__())


def _group(group_id: str | None, configuration: config.Configuration) -> str:
    if group_id is not None:
        return group_id
    return str(config.parse(configuration).get("group.id", DEFAULT_GROUP))


def _stream_timeout(stream_timeout: int, message_poll_timeout: int) -> int:
    least = arguments.milliseconds("message_poll_timeout", message_poll_timeout, 0)
    silence = arguments.whole_number(
        "stream_timeout", stream_timeout, -arguments.LARGEST, arguments.LARGEST_MS
    )
    if silence < FOREVER:
        # The text is tensorflow-io's.
        raise ValueError(
            f"Invalid stream_timeout value: {silence} ,set it to -1 to block indefinitely."
        )
    return FOREVER if silence == FOREVER else max(silence, least)
