"""tf.data readers for Apache Kafka.

TensorFlow is imported only when a name that needs it is first used.
"""

from __future__ import annotations

import importlib

# Type checkers recognise this name. Importing it from `typing` would take several times as long as
# this whole module. Jedi, which completes names in notebooks, evaluates the condition. It cannot
# evaluate `bool()`, so it looks into both branches.
TYPE_CHECKING = bool()  # noqa: UP018
if TYPE_CHECKING:
    from tfkafka.client.admin import Admin, GroupPartition
    from tfkafka.client.status import NativeStatus, native_status
    from tfkafka.client.tables import format_group, format_topic
    from tfkafka.client.writing import write
    from tfkafka.data.commit_callback import CommitCallback
    from tfkafka.data.datasets import KafkaDataset
    from tfkafka.data.groups import KafkaGroupDataset, KafkaMiniBatchDataset
    from tfkafka.data.metrics_callback import MetricsCallback
    from tfkafka.decoding.avro import AvroDecoder
    from tfkafka.decoding.base import ArraySpec, Decoded, Decoder, Fault
    from tfkafka.decoding.csv import CsvDecoder
    from tfkafka.decoding.encoders.avro import AvroEncoder
    from tfkafka.decoding.encoders.base import Encoder
    from tfkafka.decoding.encoders.function import FunctionEncoder
    from tfkafka.decoding.encoders.json import JsonEncoder
    from tfkafka.decoding.encoders.probability import ProbabilityEncoder
    from tfkafka.decoding.encoders.tensor import TensorEncoder
    from tfkafka.decoding.example import ExampleDecoder
    from tfkafka.decoding.functions import FunctionDecoder
    from tfkafka.decoding.image import ImageDecoder
    from tfkafka.decoding.json import JsonDecoder
    from tfkafka.decoding.protobuf import ProtobufDecoder
    from tfkafka.decoding.sources import Column, Field, Header, Key
    from tfkafka.decoding.tensor import TensorDecoder
    from tfkafka.reading.batches import read
    from tfkafka.reading.elements import Metadata, headers_of
    from tfkafka.reading.sharding import shards
else:
    # Hidden from type checkers: with it, they would accept any name.
    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__version__ = "0.2.0"

_HOMES = {
    "Admin": "client.admin",
    "ArraySpec": "decoding.base",
    "AvroDecoder": "decoding.avro",
    "AvroEncoder": "decoding.encoders.avro",
    "Column": "decoding.sources",
    "CommitCallback": "data.commit_callback",
    "CsvDecoder": "decoding.csv",
    "Decoded": "decoding.base",
    "Decoder": "decoding.base",
    "Encoder": "decoding.encoders.base",
    "ExampleDecoder": "decoding.example",
    "Fault": "decoding.base",
    "Field": "decoding.sources",
    "FunctionDecoder": "decoding.functions",
    "FunctionEncoder": "decoding.encoders.function",
    "GroupPartition": "client.admin",
    "Header": "decoding.sources",
    "ImageDecoder": "decoding.image",
    "JsonDecoder": "decoding.json",
    "JsonEncoder": "decoding.encoders.json",
    "KafkaDataset": "data.datasets",
    "KafkaGroupDataset": "data.groups",
    "KafkaMiniBatchDataset": "data.groups",
    "Key": "decoding.sources",
    "Metadata": "reading.elements",
    "MetricsCallback": "data.metrics_callback",
    "NativeStatus": "client.status",
    "ProbabilityEncoder": "decoding.encoders.probability",
    "ProtobufDecoder": "decoding.protobuf",
    "TensorDecoder": "decoding.tensor",
    "TensorEncoder": "decoding.encoders.tensor",
    "format_group": "client.tables",
    "format_topic": "client.tables",
    "headers_of": "reading.elements",
    "native_status": "client.status",
    "read": "reading.batches",
    "shards": "reading.sharding",
    "write": "client.writing",
}

__all__ = [
    "Admin",
    "ArraySpec",
    "AvroDecoder",
    "AvroEncoder",
    "Column",
    "CommitCallback",
    "CsvDecoder",
    "Decoded",
    "Decoder",
    "Encoder",
    "ExampleDecoder",
    "Fault",
    "Field",
    "FunctionDecoder",
    "FunctionEncoder",
    "GroupPartition",
    "Header",
    "ImageDecoder",
    "JsonDecoder",
    "JsonEncoder",
    "KafkaDataset",
    "KafkaGroupDataset",
    "KafkaMiniBatchDataset",
    "Key",
    "Metadata",
    "MetricsCallback",
    "NativeStatus",
    "ProbabilityEncoder",
    "ProtobufDecoder",
    "TensorDecoder",
    "TensorEncoder",
    "format_group",
    "format_topic",
    "headers_of",
    "native_status",
    "read",
    "shards",
    "write",
]


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
