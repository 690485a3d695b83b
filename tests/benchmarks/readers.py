"""tfkafka beside what it is compared with, in turns; each function runs in its own process."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.steps import ROUNDS, Comparison, Side, compare, timed
from tests.integration.tutorial.steps import decode, partition_dataset
from tests.tutorial import BATCH_SIZE, Messages, write

COLUMNS = 18
EARLIEST = ["auto.offset.reset=earliest"]
JAVA_TOOL = "org.apache.kafka.tools.ConsumerPerformance"


def compare_with_bare_loop(servers: str, topic: str, records: int) -> Comparison:
    """Reading and decoding, against librdkafka's consume loop with value and key taken."""
    dataset = _decoded(servers, topic)
    return compare(
        records, lambda: _count(dataset, records), lambda: _consume(servers, topic, records)
    )


def compare_with_java(
    servers: str, topic: str, records: int, java: str, classpath: str
) -> Comparison:
    """Reading and decoding, against Java's ConsumerPerformance, which decodes nothing.

    Of Java only the seconds that it fetched in count, not its start.
    """
    dataset, pairs = _decoded(servers, topic), []
    _count(dataset, records)
    for _ in range(ROUNDS):
        step = timed(lambda: _count(dataset, records))
        command = [
            java, "-Xmx512M", "-cp", classpath, JAVA_TOOL, "--bootstrap-server", servers,
            "--topic", topic, "--messages", str(records), "--timeout", "20000",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
        fields = done.stdout.strip().splitlines()[-1].split(", ")
        assert int(fields[4]) == records, done.stdout
        pairs.append((step, Side(int(fields[7]) / 1000, 0.0, step.stolen_s)))
    return Comparison(records, [step for step, _ in pairs], [java for _, java in pairs])


def compare_quick_epochs(
    servers: str, topic: str, messages: Messages, steps_per_execution: int
) -> Comparison:
    """A training epoch of decoded batches from Kafka, against the same epoch from memory."""
    import tensorflow as tf

    from reproduction.susy.model import build_model

    tf.keras.utils.set_random_seed(1)
    model = build_model()
    model.compile("adam", model.loss, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    dataset, memory = _decoded(servers, topic, batch_size=BATCH_SIZE), _in_memory(messages)
    for warm_up in (memory, dataset):
        model.fit(warm_up.take(2 * steps_per_execution), verbose=0)
    return compare(
        len(messages), lambda: model.fit(dataset, verbose=0), lambda: model.fit(memory, verbose=0)
    )


def compare_evaluations(servers: str, topic: str, group: str, messages: Messages) -> Comparison:
    """Evaluation by group from its first batch to its last, against evaluation from memory."""
    import tensorflow as tf

    from reproduction.susy.model import build_model
    from tfkafka import KafkaGroupDataset

    model, memory, decoder = build_model(), _in_memory(messages), _decoder()
    model.evaluate(memory.take(2), verbose=0)

    def by_group(number: int) -> Side:
        times: list[float] = []
        clock = tf.keras.callbacks.LambdaCallback(
            on_test_batch_end=lambda batch, logs: times.append(time.monotonic())
        )
        dataset = KafkaGroupDataset(
            topic, f"{group}-{number}", servers, 0, EARLIEST, decode=decoder, batch_size=BATCH_SIZE
        )
        whole = timed(lambda: model.evaluate(dataset, verbose=0, callbacks=[clock]))
        assert len(times) == -(-len(messages) // BATCH_SIZE)
        return Side(times[-1] - times[0], whole.cpu_s, whole.stolen_s)

    by_group(-1)
    pairs = [
        (by_group(number), timed(lambda: model.evaluate(memory, verbose=0)))
        for number in range(ROUNDS)
    ]
    return Comparison(len(messages), [step for step, _ in pairs], [side for _, side in pairs])


def compare_tutorial_epochs(servers: str, topic: str, messages: Messages) -> Comparison:
    """The tutorial's own training code with either import; tensorflow-io is the ceiling here.

    Two rounds: an epoch of tensorflow-io's takes half a second for each 1,024 records.
    """
    import tensorflow as tf

    from reproduction.susy.model import build_model

    tf.keras.utils.set_random_seed(1)
    model = build_model()

    def epoch(reader: str) -> None:
        dataset = partition_dataset(reader, servers, topic, []).shuffle(64)
        dataset = dataset.map(lambda item: decode(item.message, item.key)).batch(BATCH_SIZE)
        model.fit(dataset, verbose=0)

    model.fit(_in_memory(messages).take(2), verbose=0)
    return compare(
        len(messages), lambda: epoch("tfkafka.tfio"), lambda: epoch("tensorflow_io"), rounds=2
    )


def compare_writing(servers: str, topic: str, messages: Messages) -> Comparison:
    """tfkafka's writing, against kafka-python as in the tutorial, as the ceiling."""
    from tfkafka.write import write as quick_write

    def quick() -> None:
        quick_write(servers, topic, messages.values, messages.keys)

    assert messages.keys and messages.values
    return compare(len(messages), quick, lambda: write(servers, topic, messages), rounds=3)


def seconds_to_first(servers: str, topic: str, group: str) -> tuple[list[float], list[float]]:
    """Seconds from the begin of an iteration to its first element: bounded, and by a new group."""
    from tfkafka import KafkaDataset, KafkaGroupDataset

    def first(dataset) -> float:
        began = time.monotonic()
        iterator = iter(dataset)
        next(iterator)
        return time.monotonic() - began

    first(KafkaDataset(topic, servers=servers))
    bounded = [first(KafkaDataset(topic, servers=servers)) for _ in range(ROUNDS)]
    grouped = [
        first(KafkaGroupDataset(topic, f"{group}-{number}", servers, 0, EARLIEST))
        for number in range(ROUNDS)
    ]
    return bounded, grouped


def growth(servers: str, few: tuple[str, int], many: tuple[str, int]) -> dict[str, float]:
    """MB by which the process grows from reading few records to many, and CPU us a record."""
    figures = {}
    for name, (topic, records) in (("few", few), ("many", many)):
        dataset = _decoded(servers, topic)
        _count(dataset, records)
        side = timed(lambda dataset=dataset, records=records: _count(dataset, records))
        figures[f"{name}_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures[f"{name}_cpu_us"] = side.cpu_s / records * 1e6
    return figures


def fill(servers: str, topic: str, messages: Messages, times: int) -> int:
    """Write all messages so many times over; returns the number of records."""
    from tfkafka.write import write as quick_write

    values, keys = messages.values * times, messages.keys * times
    return quick_write(servers, topic, values, keys)


def _decoder():
    from tfkafka import CsvDecoder

    return CsvDecoder(COLUMNS, label="key")


def _decoded(servers: str, topic: str, **arguments):
    from tfkafka import KafkaDataset

    return KafkaDataset(topic, servers=servers, decode=_decoder(), **arguments)


def _in_memory(messages: Messages):
    import tensorflow as tf

    memory = tf.data.Dataset.from_tensor_slices((messages.features, messages.labels))
    return memory.batch(BATCH_SIZE)


def _count(dataset, records: int) -> None:
    count = sum(len(labels) for _, labels in dataset.chunks())
    assert count == records, f"{count} of {records} records"


def _consume(servers: str, topic: str, records: int) -> None:
    count = sum(
        1 for message in _messages(servers, topic, records) if (message.value(), message.key())
    )
    assert count == records


def _messages(servers: str, topic: str, records: int) -> Iterator:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "bare", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    left = records
    while left:
        messages = consumer.consume(min(4096, left), timeout=10)
        assert messages, f"no record for 10 s, {left} of {records} left"
        left -= len(messages)
        yield from messages
    consumer.close()


def java_classpath(version: str) -> tuple[str, str]:
    """The Java and the jars of an embedded Kafka."""
    from tfkafka.testing.brokers import jars
    from tfkafka.testing.brokers.processes import java_executable

    folder: Path = jars.fetch(jars.read_lock(version), progress=False)
    return str(java_executable()), f"{folder}/*"
