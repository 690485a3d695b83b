"""Reading a partition from its first record on, raw or decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tests.benchmarks.meter import measured
from tests.benchmarks.worker import Round

if TYPE_CHECKING:
    import numpy as np

    from tfkafka.chunk import Chunk

COLUMNS = 18
BATCH = 1024


def tfkafka_raw(servers: str, topic: str, records: int) -> Round:
    """tfkafka's whole chunks of (message, key)."""
    from tfkafka import KafkaDataset

    return _counting(KafkaDataset(topic, stop=records, servers=servers).chunks(), records)


def tfkafka_columns(servers: str, topic: str, records: int) -> Round:
    """tfkafka's chunks as its reader yields them: columns of bytes, before TensorFlow has them."""
    from tfkafka.config import Limits
    from tfkafka.reading.bounded import CHUNK_BYTES, CHUNK_RECORDS
    from tfkafka.reading.ranges import read, resolve
    from tfkafka.reading.settings import reader_settings

    _refuse_fallback()
    settings, limits = reader_settings(servers, None), Limits(CHUNK_RECORDS, CHUNK_BYTES)
    chosen = resolve(settings, limits, topic, stop=records)

    def work() -> None:
        count = sum(map(len, read(chosen, settings, limits)))
        assert count == records, f"{count} of {records} records"

    return lambda _number: measured(work)


def tfkafka_decoded(
    servers: str,
    topic: str,
    records: int,
    batch_size: int | None = None,
    partitions: int = 1,
    slowness: float = 0.0,
    configuration: Mapping[str, object] | None = None,
) -> Round:
    """tfkafka's whole chunks, or batches, of (features, label).

    `records` of each partition. `slowness` slows the reader on purpose: it sleeps so many
    times as long as it reads.
    """
    from tfkafka import CsvDecoder, KafkaDataset

    _refuse_fallback()
    if slowness:
        _slow_down(slowness)
    dataset = KafkaDataset(
        topic,
        list(range(partitions)),
        stop=records,
        servers=servers,
        configuration=configuration,
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
    """The same values and keys in memory, decoded in chunks of tfkafka's size.

    The chunks are of buffers, as the native filler makes them; where there is no native library,
    the decoder's parser wants bytes objects, and gets them.
    """
    from itertools import cycle

    from tfkafka import CsvDecoder, native_status
    from tfkafka.reading.bounded import CHUNK_RECORDS

    is_native = native_status().parser
    _refuse_fallback()
    decoder = CsvDecoder(COLUMNS, label="key")
    starts = range(0, min(records, len(values)), CHUNK_RECORDS)
    chunks = [
        _chunk(
            values[start : start + CHUNK_RECORDS], keys[start : start + CHUNK_RECORDS], is_native
        )
        for start in starts
    ]

    def work() -> None:
        count = 0
        for chunk in cycle(chunks):
            decoded = decoder.decode(chunk)
            assert not decoded.faults
            count += len(chunk)
            if count >= records:
                return

    return lambda _number: measured(work)


def batches_from_memory(
    features: np.ndarray, labels: np.ndarray, records: int, batch_size: int
) -> Round:
    """Python's loop over batches of decoded tensors in memory: what TensorFlow takes for it."""
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((features, labels)).repeat().take(records)
    return _counting(rows.batch(batch_size), records)


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


def _chunk(values: list[bytes], keys: list[bytes], of_buffers: bool) -> Chunk:
    """A chunk of a partition's first records."""
    import numpy as np

    from tfkafka.chunk import Chunk, Column, TopicPartition

    def column(entries: list[bytes]) -> Column:
        made = Column.of(entries, len(entries))
        return Column.of_buffer(made.buffer, made.offsets, made.nulls) if of_buffers else made

    count = len(values)
    source = (TopicPartition("memory", 0),)
    offsets = np.arange(count, dtype=np.int64)
    return Chunk(column(values), column(keys), source, np.zeros(count, np.int32), offsets)


def _refuse_fallback() -> None:
    """A side that is to be native must not measure what stands in for it."""
    from tfkafka import native, native_status

    status = native_status()
    assert os.environ.get(native.VARIABLE) != "1" or status.filler, status


def _slow_down(slowness: float) -> None:
    """Let tfkafka's reader sleep so many times as long as it reads: longer on a busy machine."""
    import time

    from tfkafka.reading import bounded

    read = bounded.read

    def slowed(*args, **kwargs):
        begun = time.monotonic()
        for chunk in read(*args, **kwargs):
            time.sleep(slowness * (time.monotonic() - begun))
            yield chunk
            begun = time.monotonic()

    bounded.read = slowed
