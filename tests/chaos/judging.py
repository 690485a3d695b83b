"""The verdicts on a chaos run: what is in Kafka, what was used, and what was passed over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.faults.worker_child import stand_in
from tfkafka import CsvDecoder
from tfkafka.testing.checker import Kind, Recorder, Verdict, judge

COLUMNS = 2
POLL_S = 10.0
LIVES = "lives.jsonl"


def value_of(number: int, first: object) -> str:
    """The value of a record: something, and the number that names it."""
    return f"{first},{number}"


def decoder() -> CsvDecoder:
    return CsvDecoder(COLUMNS, label="key")


@dataclass(frozen=True)
class Log:
    """All records of a topic: partition, offset and number of each, and its first column."""

    topic: str
    partitions: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray
    first: np.ndarray

    @classmethod
    def read(cls, servers: str, topic: str, ends: Mapping[int, int]) -> Log:
        """Read with a plain consumer up to the ends of the partitions."""
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "judge",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in ends])
        rows = []
        left = sum(ends.values())
        try:
            while left:
                messages = consumer.consume(min(left, 10_000), POLL_S)
                assert messages, f"topic {topic}: {left:,} of its records cannot be read"
                for message in messages:
                    assert message.error() is None, message.error()
                    first, number = map(float, message.value().split(b","))
                    rows.append((message.partition(), message.offset(), number, first))
                left -= len(messages)
        finally:
            consumer.close()
        table = np.array(rows, np.float64).reshape(-1, 4)
        return cls(topic, *table[:, :3].astype(np.int64).T, table[:, 3].astype(np.float32))

    def judge(self, folder: Path, use: Kind = Kind.DELIVERED) -> Verdict:
        """Judge the uses that are recorded in `folder`: each record of the log must be used."""
        with Recorder(folder, self.topic) as recorder:
            recorder.sent(self.numbers)
            recorder.acknowledged(self.partitions, self.offsets, self.numbers)
        return judge(folder, use)

    def lacking(self, acknowledged: Iterable[np.ndarray]) -> list[int]:
        """Return the numbers that were acknowledged and are not in the log."""
        return np.setdiff1d(np.concatenate([*acknowledged, []]), self.numbers).astype(int).tolist()

    def wrong_predictions(self, found: Mapping) -> list[str]:
        """Return the positions whose prediction is not that of their own features."""
        expected = dict(
            zip(
                zip(self.partitions.tolist(), self.offsets.tolist(), strict=True),
                stand_in(self.first[:, np.newaxis]).tolist(),
                strict=True,
            )
        )
        return [
            f"partition {partition}, offset {offset}: predicted {value}"
            for (_, partition), (offsets, values) in found.items()
            for offset, value in zip(offsets.tolist(), values.tolist(), strict=True)
            if expected.get((partition, offset)) != value
        ]


@dataclass
class Batch:
    """What a reader used at once: (incarnation, partition, offset) of each record.

    Attributes:
        missing: the number of records that the reader has reported as gone, in this life so far.
    """

    records: list[tuple[int, int, int]]
    missing: int = 0


@dataclass
class Life:
    """One iteration of a reader, and the error with which it ended, "" where it was killed."""

    batches: list[Batch] = field(default_factory=list)
    error: str = ""


class LifeRecorder:
    """Appends lives to a file that survives kill -9."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / LIVES).open("a", buffering=1)

    def begin(self) -> None:
        self._write({"begin": True})

    def use(self, records: list[tuple[int, int, int]], missing: int) -> None:
        self._write({"records": records, "missing": missing})

    def error(self, error: str) -> None:
        self._write({"error": error})

    def _write(self, entry: dict) -> None:
        self._file.write(json.dumps(entry) + "\n")


def read_lives(folder: Path) -> list[Life]:
    """Return the lives of a reader in their order; a torn line at an end is left out."""
    lives: list[Life] = []
    for line in (folder / LIVES).read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "begin" in entry:
            lives.append(Life())
        elif "error" in entry:
            lives[-1].error = entry["error"]
        else:
            lives[-1].batches.append(Batch(list(map(tuple, entry["records"])), entry["missing"]))
    return lives


def silent_skips(lives: Iterable[Life]) -> list[str]:
    """Return what the lives of a reader passed over without an error and without a count.

    A topic that was created again has another incarnation: a life that goes on with it has passed
    over the rest of the one before. Offsets that a reader leaves out must be among the records
    that it reports as missing.
    """
    reached: dict[tuple[int, int], int] = {}
    findings = []
    for number, life in enumerate(lives):
        incarnation = None
        gone = 0
        for batch in life.batches:
            for record in batch.records:
                *place, offset = record
                expected = reached.get(tuple(place), 0)
                where = f"life {number}, incarnation {place[0]}, partition {place[1]}"
                if incarnation not in (None, place[0]):
                    findings.append(f"{where}: read after incarnation {incarnation}, no error")
                incarnation = place[0]
                if offset > expected:
                    gone += offset - expected
                    if gone > batch.missing:
                        findings.append(
                            f"{where}: offset {offset} after {expected - 1}, "
                            f"and {batch.missing} records were reported as missing"
                        )
                reached[tuple(place)] = max(expected, offset + 1)
    return findings
