"""Each step of the tutorial beside its ceiling, in turns; each function runs in its own process.

Seconds are wall-clock; CPU seconds are this process's own; stolen ones are the whole machine's
(eighth figure of the cpu line in /proc/stat, 0 where there is none).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.integration.tutorial.steps import decode, group_dataset, partition_dataset
from tests.tutorial import BATCH_SIZE, FAST_FETCH, Messages, write
from tfkafka.admin import Admin

ROUNDS = 3


@dataclass(frozen=True)
class Side:
    """One measurement: wall, CPU and stolen seconds."""

    wall_s: float
    cpu_s: float
    stolen_s: float


@dataclass(frozen=True)
class Comparison:
    """A step and its ceiling on the same records, a pair a round."""

    records: int
    step: list[Side]
    ceiling: list[Side]

    @property
    def share_of_ceiling(self) -> float:
        """Median of the rounds' ratios of throughput, step against ceiling."""
        pairs = zip(self.step, self.ceiling, strict=True)
        return median(ceiling.wall_s / step.wall_s for step, ceiling in pairs)

    def figures(self) -> dict[str, float | int]:
        """What a report needs: rates in records/s, medians of all else."""
        return {
            "records": self.records,
            "records_per_s": round(self.records / median(side.wall_s for side in self.step)),
            "ceiling_records_per_s": round(
                self.records / median(side.wall_s for side in self.ceiling)
            ),
            "share_of_ceiling": round(self.share_of_ceiling, 4),
            "cpu_s": round(median(side.cpu_s for side in self.step), 3),
            "stolen_s": round(median(side.stolen_s for side in self.step), 3),
        }


def compare(records: int, step: Callable, ceiling: Callable, rounds: int = ROUNDS) -> Comparison:
    """Time both in turns."""
    pairs = [(timed(step), timed(ceiling)) for _ in range(rounds)]
    return Comparison(records, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def timed(function: Callable) -> Side:
    wall, cpu, stolen = time.monotonic(), time.process_time(), _stolen_s()
    function()
    return Side(time.monotonic() - wall, time.process_time() - cpu, _stolen_s() - stolen)


def compare_writing(servers: str, topic: str, messages: Messages) -> Comparison:
    """kafka-python as in the tutorial, against librdkafka's bare produce loop."""
    from confluent_kafka import Producer

    assert messages.keys and messages.values  # encoded before the clock runs

    def produce():
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})
        for key, value in zip(messages.keys, messages.values, strict=True):
            producer.produce(topic, value, key)
            producer.poll(0)
        assert producer.flush(60) == 0

    return compare(len(messages), lambda: write(servers, topic, messages), produce)


def compare_reading(reader: str, servers: str, topic: str, records: int) -> Comparison:
    """The reader's records, undecoded, against librdkafka's bare consume loop."""
    dataset = partition_dataset(reader, servers, topic, FAST_FETCH)

    def read():
        assert sum(len(items.message) for items in dataset.batch(1024)) == records

    def consume():
        assert _consume(servers, topic, records) == records

    read()  # warm-up: TensorFlow traces
    return compare(records, read, consume)


def compare_training(reader: str, servers: str, topic: str, messages: Messages) -> Comparison:
    """A training epoch from Kafka against the same epoch from memory."""
    import tensorflow as tf

    from reproduction.susy.model import build_model

    tf.keras.utils.set_random_seed(1)
    dataset = partition_dataset(reader, servers, topic, FAST_FETCH)
    dataset = dataset.shuffle(BATCH_SIZE).map(lambda item: decode(item.message, item.key))
    dataset = dataset.batch(BATCH_SIZE)
    memory = tf.data.Dataset.from_tensor_slices((messages.features, messages.labels))
    memory = memory.shuffle(BATCH_SIZE).batch(BATCH_SIZE)
    model = build_model()
    model.fit(memory.take(2), verbose=0)  # warm-up: Keras traces
    return compare(
        len(messages), lambda: model.fit(dataset, verbose=0), lambda: model.fit(memory, verbose=0)
    )


def compare_evaluation(
    reader: str, servers: str, topic: str, group: str, path: Path, messages: Messages
) -> Comparison:
    """Evaluation by group, from its first full batch to its last, against evaluation from memory.

    One round: a process can use only one of tensorflow-io's group datasets. Joining the group is
    left out, and so is the last batch, which is not full and so waits for stream_timeout.
    """
    assert len(messages) % BATCH_SIZE
    import tensorflow as tf

    model = tf.keras.models.load_model(path)
    memory = tf.data.Dataset.from_tensor_slices((messages.features, messages.labels))
    memory = memory.batch(BATCH_SIZE)
    model.evaluate(memory.take(2), verbose=0)
    times: list[float] = []
    clock = tf.keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: times.append(time.monotonic())
    )
    dataset = group_dataset(reader, servers, topic, group).map(decode).batch(BATCH_SIZE)
    whole = timed(lambda: model.evaluate(dataset, verbose=0, callbacks=[clock]))
    step = Side(times[-2] - times[0], whole.cpu_s, whole.stolen_s)
    ceiling = timed(lambda: model.evaluate(memory, verbose=0))
    assert all(row.lag == 0 for row in Admin(servers).describe_group(group))
    return Comparison(len(messages), [step], [ceiling])


def _consume(servers: str, topic: str, records: int) -> int:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "bare", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    count = 0
    while count < records:
        messages = consumer.consume(min(4096, records - count), timeout=10)
        assert messages, f"no record for 10 s, {count} of {records} read"
        count += sum(message.value() is not None for message in messages)
    consumer.close()
    return count


def _stolen_s() -> float:
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0
