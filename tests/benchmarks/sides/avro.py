"""Decoding of Avro records from memory, in chunks of tfkafka's size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.benchmarks.meter import measured
from tests.benchmarks.worker import Round

if TYPE_CHECKING:
    import numpy as np

URL, LABEL = "mock://benchmark", "label"


def tfkafka(features: np.ndarray, labels: np.ndarray, kind: str) -> Round:
    """AvroDecoder, for records of one of the three kinds of `_values`."""
    from tests.benchmarks.sides.reading import _chunk
    from tfkafka import AvroDecoder, Field
    from tfkafka.decoding.schema_registry import shared_registry
    from tfkafka.reading.bounded import CHUNK_RECORDS

    values = _values(features, labels, kind, shared_registry(URL, {}).register)
    names = _names(features)
    decoder = AvroDecoder(names, label=Field(LABEL), registry=URL)
    starts = range(0, len(values), CHUNK_RECORDS)
    parts = [values[start : start + CHUNK_RECORDS] for start in starts]
    chunks = [_chunk(part, [b""] * len(part), of_buffers=True) for part in parts]

    def work() -> None:
        for chunk in chunks:
            assert not decoder.decode(chunk).faults

    work()
    return lambda _number: measured(work)


def deserializer(features: np.ndarray, labels: np.ndarray) -> Round:
    """confluent-kafka's AvroDeserializer, record by record."""
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient.new_client({"url": URL})

    def register(subject: str, text: str) -> int:
        return client.register_schema(subject, Schema(text, "AVRO"))

    values = _values(features, labels, "one", register)
    decode, context = AvroDeserializer(client), SerializationContext("t", MessageField.VALUE)
    assert decode(values[0], context)[LABEL] == int(labels[0])

    def work() -> None:
        for value in values:
            decode(value, context)

    return lambda _number: measured(work)


def tensorflow_io(features: np.ndarray, labels: np.ndarray, alone: bool) -> Round:
    """tensorflow-io's decode_avro, of all records at once or record by record in a map."""
    import tensorflow as tf
    import tensorflow_io as tfio

    values = _values(features, labels, "one", lambda *_: 0)
    bodies = tf.constant([value[5:] for value in values])
    schema = json.dumps(_schema(features, "float"))

    def decode(some: tf.Tensor) -> Any:
        return tfio.experimental.serialization.decode_avro(some, schema=schema)

    dataset = tf.data.Dataset.from_tensor_slices(bodies).map(decode)

    def work() -> None:
        # A graph takes single records alone.
        count = sum(1 for _ in dataset) if alone else len(decode(bodies)[LABEL])
        assert count == len(values)

    return lambda _number: measured(work)


def _names(features: np.ndarray) -> list[str]:
    return [f"f{place}" for place in range(features.shape[1])]


def _schema(features: np.ndarray, kind: Any) -> dict[str, Any]:
    fields = [{"name": name, "type": kind} for name in _names(features)]
    fields.append({"name": LABEL, "type": "int"})
    return {"type": "record", "name": "Row", "fields": fields}


def _values(features: np.ndarray, labels: np.ndarray, kind: str, register: Any) -> list[bytes]:
    """Records in Confluent's wire format: of "one" schema, of "two" by turns, or "nullable"."""
    from tests.unit.decoding.avro_samples import written

    first = _schema(features, ["null", "float"] if kind == "nullable" else "float")
    second = {**first, "fields": [*first["fields"], {"name": "w", "type": ["null", "float"]}]}
    schemas = [first, second] if kind == "two" else [first]
    numbers = [register("rows", json.dumps(each)) for each in schemas]
    names = _names(features)
    values = []
    for place, (row, label) in enumerate(zip(features.tolist(), labels.tolist(), strict=True)):
        which = place % len(schemas)
        record = dict(zip(names, row, strict=True)) | {LABEL: int(label), "w": None}
        values.append(written(schemas[which], record, numbers[which]))
    return values
