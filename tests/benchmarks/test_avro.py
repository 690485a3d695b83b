"""Decoding a chunk of Avro records from memory, against other decoders of the same rows."""

import pytest

from tests.benchmarks.catalogue import records, rows
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side
from tests.tutorial import Messages
from tfkafka import native

pytestmark = pytest.mark.bench

# tensorflow-io takes seconds for so many.
RECORDS = 16_384
# What a side is called, and the records it decodes: see `sides.avro`.
KINDS = {"one schema": "one", "two schemas by turns": "two", "nullable": "nullable"}


def test_decoding_avro(compare, messages):
    pytest.importorskip("tensorflow_io")
    some = Messages(messages.frame[:RECORDS])
    topic = Topic("", "memory", RECORDS, sum(map(len, some.values)))
    given = rows(some)
    python = {native.VARIABLE: "0"}
    csv = {**records(some), "records": topic.records}
    sides = [
        *(
            Side(f"AvroDecoder, {what}", "subject", "avro:tfkafka", {**given, "kind": kind})
            for what, kind in KINDS.items()
        ),
        Side("CsvDecoder, polars", "ceiling", "reading:from_memory", csv, environment=python),
        Side("confluent-kafka's AvroDeserializer", "alternative", "avro:deserializer", given),
        *(
            Side(
                f"tensorflow-io's decode_avro, {what}",
                "alternative",
                "avro:tensorflow_io",
                {**given, "alone": alone},
            )
            for what, alone in (("all at once", False), ("record by record", True))
        ),
    ]
    title = "Decode 16,384 Avro records from memory"
    compare("avro", "decode", title, topic, sides)
