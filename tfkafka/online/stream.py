"""The stream to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfkafka import config
from tfkafka._util import arguments
from tfkafka.config import BROKER_TIMEOUT_MS, FOREVER, Limits
from tfkafka.decoding.bad_records import Policy, check_policy
from tfkafka.decoding.base import Decoder, check_decoder
from tfkafka.reading.settings import reader_settings
from tfkafka.reading.starts import ON_MISSING_OFFSETS, OnMissingOffsets


@dataclass(frozen=True)
class Stream:
    """The stream to learn from.

    Args:
        topic: the topic; all its partitions are read from their beginnings.
        decode: a decoder that returns features and labels. One that leaves `finite` open, for
            example a `CsvDecoder`, refuses values that are not finite.
        servers: `HOST:PORT[,HOST:PORT]`; None: as in configuration, or else localhost:9092.
        mini_dataset: maximum number of offsets in a mini dataset.
        stream_timeout: ms without a new record after which learning ends; -1: never.
        configuration: librdkafka's settings.
        group_id: a group whose offsets are set after each save, for monitoring. They are never
            read, and the group must have no members. None: no progress is reported.
        on_bad_record: "error", "skip" or "dead_letter": what to do if decode fails on a record.
        dead_letter_topic: the topic that bad records are written to.
        on_missing_offsets: "error", or "earliest": what to do where planned records were deleted
            before they were read; "earliest" continues with those that are there.
        broker_timeout: ms without an answer from a broker after which learning fails.

    Example:
        from tfkafka.online import Stream

        stream = Stream(
            "susy-train", tfkafka.CsvDecoder(18, label="key"), "localhost:9092", stream_timeout=0
        )
    """

    topic: str
    decode: Decoder
    servers: str | Sequence[str] | None = None
    mini_dataset: int = 10_000
    stream_timeout: int = FOREVER
    configuration: config.Configuration = None
    group_id: str | None = None
    on_bad_record: Policy = "error"
    dead_letter_topic: str | None = None
    on_missing_offsets: OnMissingOffsets = "error"
    broker_timeout: int = BROKER_TIMEOUT_MS

    def __post_init__(self) -> None:
        arguments.text("topic", self.topic)
        check_decoder(self.decode)
        if len(self.decode.element_spec) < 2:
            raise ValueError('decode has no label: give CsvDecoder(..., label="key")')
        # As an int, which a checkpoint can hold, also where it was one of NumPy's.
        records = arguments.whole_number("mini_dataset", self.mini_dataset, 1)
        object.__setattr__(self, "mini_dataset", records)
        arguments.stream_timeout("stream_timeout", self.stream_timeout)
        # Masked where the stream is printed.
        object.__setattr__(self, "configuration", config.parse(self.configuration))
        reader_settings(self.servers, self.configuration)
        arguments.optional(arguments.text, "group_id", self.group_id)
        check_policy(self.on_bad_record, self.dead_letter_topic, [self.topic])
        arguments.choice("on_missing_offsets", self.on_missing_offsets, ON_MISSING_OFFSETS)
        Limits(broker_timeout=self.broker_timeout)
