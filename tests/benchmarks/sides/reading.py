"""Reading a partition from its first record on, raw or decoded."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.meter import measured
from tests.benchmarks.worker import Round

COLUMNS = 18
BATCH = 1024


def tfkafka_raw(servers: str, topic: str, records: int) -> Round:
    """tfkafka's whole chunks of (message, key)."""
    from tfkafka import KafkaDataset

    return _counting(KafkaDataset(topic, stop=records, servers=servers).chunks(), records)


def tfkafka_decoded(
    servers: str,
    topic: str,
    records: int,
    batch_size: int | None = None,
    partitions: int = 1,
    delay_s: float = 0.0,
) -> Round:
    """tfkafka's whole chunks, or batches, of (features, label).

    `records` of each partition. `delay_s` slows the reader on purpose: for each 1,000 records.
    """
    from tfkafka import CsvDecoder, KafkaDataset

    if delay_s:
        _slow_down(delay_s)
    dataset = KafkaDataset(
        topic,
        list(range(partitions)),
        stop=records,
        servers=servers,
        batch_size=batch_size,
        decode=CsvDecoder(COLUMNS, label="key"),
    )
    return _counting(dataset.chunks() if batch_size is None else dataset, records * partitions)


def tutorial_raw(
    reader: str, servers: str, topic: str, records: int, configuration: list[str] | None = None
) -> Round:
    """The tutorial's dataset of single records, in batches so that counting costs little.

    `reader` is the module that offers tensorflow-io's names.
    """
    from tests.integration.tutorial.steps import partition_dataset

    dataset = partition_dataset(reader, servers, topic, configuration or [])
    return _counting(dataset.batch(BATCH), records)


def tutorial_decoded(
    reader: str, servers: str, topic: str, records: int, configuration: list[str] | None = None
) -> Round:
    """The tutorial's pipeline without its shuffle: map(decode_csv), batches of 64."""
    from tests.integration.tutorial.steps import decode_item, partition_dataset
    from tests.tutorial import BATCH_SIZE

    dataset = partition_dataset(reader, servers, topic, configuration or [])
    return _counting(dataset.map(decode_item).batch(BATCH_SIZE), records)


def bare_loop(
    servers: str, topic: str, records: int, settings: dict[str, object] | None = None
) -> Round:
    """confluent-kafka's consume, value() and key() taken of each record, nothing decoded.

    As many messages at a time as tfkafka takes, since more are slower, and without Python's garbage
    collector, which would look through them in vain.
    """
    import gc

    from confluent_kafka import Consumer, TopicPartition

    from tfkafka.client.fill import PIECE_RECORDS

    gc.disable()

    def work() -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "bare",
                "enable.auto.commit": False,
                **(settings or {}),
            }
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        left = records
        while left:
            messages = consumer.consume(min(PIECE_RECORDS, left), timeout=10)
            assert messages, f"no record for 10 s, {left} of {records} left"
            taken = [(message.value(), message.key()) for message in messages]
            left -= len(taken)
        consumer.close()

    return lambda _number: measured(work)


def from_memory(values: list[bytes], keys: list[bytes], records: int) -> Round:
    """The same values and keys in memory, parsed by tfkafka's parser in chunks of its size."""
    from itertools import cycle

    from tfkafka.chunk import Column
    from tfkafka.data.datasets import CHUNK_RECORDS
    from tfkafka.decoding.numbers import parse_rows

    starts = range(0, min(records, len(values)), CHUNK_RECORDS)
    chunks = [slice(start, start + CHUNK_RECORDS) for start in starts]

    def column(entries: list[bytes]) -> Column:
        return Column.of(entries, len(entries))

    def work() -> None:
        count = 0
        for chunk in cycle(chunks):
            matrix, _ = parse_rows(column(values[chunk]), COLUMNS)
            labels, _ = parse_rows(column(keys[chunk]), 1)
            assert len(matrix) == len(labels)
            count += len(matrix)
            if count >= records:
                return

    return lambda _number: measured(work)


def over_kafka_python(servers: str, topic: str, records: int) -> Round:
    """A generator over kafka-python's consumer, decode_csv for each record, as people write it."""
    from kafka import KafkaConsumer

    def generate() -> Iterator[tuple[bytes, bytes]]:
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        for count, message in enumerate(consumer, 1):
            yield message.value, message.key
            if count == records:
                break
        consumer.close()

    return _counting(_decoded_one_by_one(generate), records)


def over_confluent_kafka(servers: str, topic: str, records: int) -> Round:
    """A generator over confluent-kafka, one poll a record, decode_csv, as people write it."""
    from confluent_kafka import Consumer, TopicPartition

    def generate() -> Iterator[tuple[bytes, bytes]]:
        consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "one", "enable.auto.commit": False}
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        left = records
        while left:
            message = consumer.poll(10.0)
            assert message is not None and message.error() is None, f"{left} of {records} left"
            yield message.value(), message.key()
            left -= 1
        consumer.close()

    return _counting(_decoded_one_by_one(generate), records)


def _decoded_one_by_one(generate):
    import tensorflow as tf

    from tests.integration.tutorial.steps import decode
    from tests.tutorial import BATCH_SIZE

    string = tf.TensorSpec([], tf.string)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=(string, string))
    return dataset.map(decode).batch(BATCH_SIZE)


def _counting(dataset, records: int) -> Round:
    """Iterates over the whole dataset; the first element of each is warm-up."""
    next(iter(dataset))

    def work() -> None:
        count = sum(len(batch[-1]) for batch in dataset)
        assert count == records, f"{count} of {records} records"

    return lambda _number: measured(work)


def _slow_down(delay_s: float) -> None:
    """Let tfkafka's reader sleep so long for each 1,000 records that it hands over."""
    import time

    from tfkafka.data import datasets

    read = datasets.read

    def slowed(*args, **kwargs):
        for chunk in read(*args, **kwargs):
            time.sleep(delay_s * len(chunk) / 1000)
            yield chunk

    datasets.read = slowed
