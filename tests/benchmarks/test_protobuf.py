"""Decoding Protocol Buffers' messages from memory, against other decoders of the same rows."""

import pytest

from tests.benchmarks.catalogue import records, rows
from tests.benchmarks.topics import Topic
from tests.benchmarks.worker import Side
from tests.tutorial import Messages
from tfkafka import native

pytestmark = pytest.mark.bench


def test_decoding_protobuf(compare, messages: Messages):
    topic = Topic("", "memory", len(messages.values), sum(map(len, messages.values)))
    given, python = rows(messages), {native.VARIABLE: "0"}
    csv = {**records(messages), "records": topic.records}
    sides = [
        Side("ProtobufDecoder", "subject", "protobuf:tfkafka", given),
        Side("CsvDecoder, polars", "ceiling", "reading:from_memory", csv, environment=python),
        Side("protobuf, message by message", "alternative", "protobuf:one_by_one", given),
    ]
    title = "Decode 60,000 messages of Protocol Buffers from memory"
    compare("protobuf", "decode", title, topic, sides)
