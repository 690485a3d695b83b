"""What to do with records that cannot be decoded, and how many there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaException, Producer

from tfkafka import config
from tfkafka.client import create
from tfkafka.client.transactions import room_for
from tfkafka.decoding.csv import Fault
from tfkafka.errors import PoisonedRecordError, WriteError
from tfkafka.records import Chunk

POLICIES = ("fail", "skip", "quarantine")
FLUSH_S = 30.0


@dataclass
class Counts:
    """Records of one pass over a dataset: read = used + skipped + quarantined."""

    read: int = 0
    used: int = 0
    skipped: int = 0
    quarantined: int = 0


@dataclass
class Poison:
    """The policy for poisoned records.

    Args:
        policy: "fail" raises; "skip" counts; "quarantine" writes the record to `topic`, with its
            own key, value and headers, and the headers `tfkafka.reason`, `tfkafka.topic`,
            `tfkafka.partition` and `tfkafka.offset`. Each record goes there once, also if a
            dataset is read several times.
        settings: of the producer for the quarantine.
    """

    policy: str
    topic: str | None
    settings: Mapping[str, object]
    counts: Counts = field(default_factory=Counts)
    _done: set[tuple[str, int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"on_poison is {self.policy!r}, must be one of {', '.join(POLICIES)}")
        if (self.policy == "quarantine") != (self.topic is not None):
            raise ValueError('on_poison="quarantine" and quarantine_topic go together')

    def handle(self, chunk: Chunk, faults: Sequence[Fault]) -> None:
        """Count a decoded chunk, and treat its faults.

        Raises:
            PoisonedRecordError: the policy is "fail" and there is a fault.
            WriteError: a record could not be written to the quarantine.
        """
        if faults and self.policy == "fail":
            first = faults[0]
            raise PoisonedRecordError(f"{chunk.position(first.index)}: {first.reason}")
        if faults and self.policy == "quarantine":
            self._quarantine(chunk, faults)
            self.counts.quarantined += len(faults)
        else:
            self.counts.skipped += len(faults)
        self.counts.read += len(chunk)
        self.counts.used += len(chunk) - len(faults)

    def _quarantine(self, chunk: Chunk, faults: Sequence[Fault]) -> None:
        failed = []

        def delivered(error, _message) -> None:
            if error is not None:
                failed.append(error.str())

        defaults = {"log_level": 0, **config.ANY_SIZE}
        producer = create.make_client(Producer, {**defaults, **self.settings})
        written = []
        for fault in faults:
            place = chunk.position(fault.index)
            where = (place.topic, place.partition, place.offset)
            if where not in self._done:
                try:
                    produce(producer, self.topic, chunk, fault, on_delivery=delivered)
                except KafkaException as error:
                    raise WriteError(
                        f"cannot write the poisoned record of {place} to {self.topic}: "
                        f"{error.args[0].str()}"
                    ) from error
                written.append(where)
        if producer.flush(FLUSH_S) or failed:
            reason = failed[0] if failed else f"not acknowledged within {FLUSH_S:.0f} s"
            raise WriteError(
                f"cannot write poisoned records to {self.topic}, the first of them from "
                f"{chunk.position(faults[0].index)}: {reason}"
            )
        self._done.update(written)


def produce(producer: Producer, topic: str, chunk: Chunk, fault: Fault, **options) -> None:
    """Hand a poisoned record over to be written to `topic`, as `Poison` describes it."""
    message, place = chunk.messages[fault.index], chunk.position(fault.index)
    reasons = {
        "tfkafka.reason": fault.reason, "tfkafka.topic": place.topic,
        "tfkafka.partition": str(place.partition), "tfkafka.offset": str(place.offset),
    }  # fmt: skip
    headers = [*(message.headers() or []), *reasons.items()]
    while True:
        try:
            producer.produce(topic, message.value(), message.key(), headers=headers, **options)
            return
        except BufferError:
            room_for(producer)
