"""Avro records with a real schema registry on a real broker."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.integration.tfkafka.records import settled_messages
from tests.unit.decoding.avro_samples import record, written
from tfkafka import AvroDecoder, AvroEncoder, Field, JsonEncoder, read, write
from tfkafka.errors import BadRecordError, ReadError, WriteError
from tfkafka.exactly_once import ExactlyOnceInference, InferenceJob, checked_predictions

RECORDS = 200
# Machines are slow at times; 3 s is what is promised.
LONGEST_S = 15.0
ENUM = {"type": "enum", "name": "Kind", "symbols": ["background", "signal"]}
FIRST = record("Event", [("x", "float"), ("kind", ENUM)])
SECOND = {
    **FIRST,
    "fields": [*FIRST["fields"], {"name": "w", "type": ["null", "double"], "default": None}],
}
KIND = Field("kind", classes=ENUM["symbols"])


def rows(numbers):
    """Records whose schema is another one each time."""
    first, second = numbers
    for each in range(RECORDS):
        row = {"x": each / 2, "kind": ENUM["symbols"][each % 2], "w": each}
        yield written(SECOND, row, second) if each % 2 else written(FIRST, row, first)


def registered(url, subject, *schemas):
    client = SchemaRegistryClient({"url": url})
    return [client.register_schema(subject, Schema(json.dumps(each), "AVRO")) for each in schemas]


def features_of(servers, topic, decode):
    batches = read(topic, servers=servers, decode=decode, batch_size=32)
    parts = [batch[0] if isinstance(batch, tuple) else batch for batch in batches]
    return np.concatenate(parts).tolist()


def test_a_schema_that_changes_while_the_registry_goes_away(
    servers, make_topic, group, registry_factory
):
    """What is known goes on; what is not is an error; and exactly once: Avro in, JSON out."""
    source, target = make_topic(2), make_topic()
    registry = registry_factory()
    subject = f"{source}-value"
    numbers = registered(registry.url, subject, FIRST, SECOND)
    values = list(rows(numbers))
    for partition in range(2):
        # Each partition has both schemas.
        some = values[partition * (RECORDS // 2) : (partition + 1) * (RECORDS // 2)]
        write(servers, source, some, partition=partition)
    decode = AvroDecoder(
        ["x", "w"], label=KIND, registry=registry.url, schema=SECOND, missing={"w": -1}
    )
    expected = np.array([[each / 2, each if each % 2 else -1] for each in range(RECORDS)])
    assert sorted(features_of(servers, source, decode)) == sorted(expected.tolist())

    registry.stop()
    assert sorted(features_of(servers, source, decode)) == sorted(expected.tolist())
    job = InferenceJob(
        lambda rows: rows.sum(axis=1), decode, [source], target, group, encoder=JsonEncoder()
    )
    assert ExactlyOnceInference(job, servers, transaction_records=30).run().used == RECORDS
    found = [json.loads(message.value()) for message in settled_messages(servers, target)]
    assert sorted(each["prediction"] for each in found) == sorted(expected.sum(axis=1))
    labels, predictions = checked_predictions(
        servers, source, target, group, decode, encoder=JsonEncoder()
    )
    assert sorted(predictions) == sorted(expected.sum(axis=1)) and labels.sum() == RECORDS / 2

    write(servers, source, [b"\0" + (10**6).to_bytes(4, "big") + bytes(9)], partition=0)
    began = time.monotonic()
    with pytest.raises(ReadError, match=registry.url):
        features_of(servers, source, decode)
    assert time.monotonic() - began < LONGEST_S


def test_what_a_registry_refuses(servers, make_topic, kafka_schema_registry):
    url, topic = kafka_schema_registry.url, make_topic()
    subject = f"{topic}-value"
    encoder = AvroEncoder(record("R", [("x", "float")]), registry=url, subject=subject)
    write(servers, topic, np.float32([0.5, 1.5]), encoder=encoder)
    SchemaRegistryClient({"url": url}).set_compatibility(subject, "BACKWARD")
    other = AvroEncoder(
        record("R", [("x", "float"), ("z", "float")]), registry=url, subject=subject
    )
    columns = {"x": np.float32([1]), "z": np.float32([2])}
    with pytest.raises(WriteError, match="answered 409"):
        write(servers, topic, columns, encoder=other)
    decode = AvroDecoder(["x"], registry=url)
    assert features_of(servers, topic, decode) == [[0.5], [1.5]]
    write(servers, topic, [b"\0" + (10**6).to_bytes(4, "big") + bytes(9)])
    with pytest.raises(BadRecordError, match="schema 1000000 is unknown to the registry"):
        features_of(servers, topic, decode)
    nowhere = AvroDecoder(["x"], registry=url.removesuffix("/apis/ccompat/v7") + "/wrong")
    with pytest.raises(ReadError, match="answered 404"):
        features_of(servers, topic, nowhere)
