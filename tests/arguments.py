"""Every public call with right arguments, and what is wrong for each of its arguments.

A new public call has no entry here, and a new argument of one that is here is tried by its
annotation: see tests/unit/test_arguments.py.
"""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from numbers import Integral, Real
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.wrappers_pb2 import FloatValue

import tfkafka
import tfkafka.config
from tfkafka import tfio
from tfkafka._util.arguments import LARGEST, shown
from tfkafka.errors import TfkafkaError
from tfkafka.exactly_once import (
    ExactlyOnceInference,
    ExportedModels,
    InferenceJob,
    checked_predictions,
    evaluate_predictions,
    keras_predict,
    read_predictions,
    wait_until_settled,
)
from tfkafka.online import Stream, learn
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import compose, embedded, registry
from tfkafka.testing.brokers.external import ExternalBroker
from tfkafka.testing.claims import read_claims
from tfkafka.tfio import kafka
from tfkafka.tfio.experimental import serialization, streaming

# Nobody listens there: what is refused only by a broker is not refused in time.
FLT_MAX = 2.0**128 - 2.0**104
NOWHERE = "127.0.0.1:1"
DECODER = tfkafka.CsvDecoder(2, label="key")
ARRAY = tfkafka.ArraySpec((2,), np.dtype(np.float32))
MANIFEST = {
    "format": "tfkafka manifest 1",
    "servers": NOWHERE,
    "topic": "t",
    "cluster_id": "c",
    "topic_id": "i",
    "ranges": [{"partition": 0, "start": 0, "stop": 5}],
    "order": None,
    "isolation_level": "read_committed",
}
AVRO = {"type": "record", "name": "R", "fields": [{"name": "n", "type": "float"}]}
STATE = MANIFEST | {"place": {"next_offsets": [], "read": 0, "skip": 0}}


@dataclass(frozen=True)
class Call:
    """A public call.

    Attributes:
        function: what is called, and whose signature counts.
        right: its required arguments, and those with which nothing is reached.
        of: makes the object that a method is called on.
        ignored: arguments that tfkafka does not use itself.
    """

    function: Callable[..., object]
    right: Mapping[str, object]
    of: Callable[[], object] | None = None
    ignored: tuple[str, ...] = ()

    def arguments(self) -> dict[str, str]:
        """The annotation of each argument, as text."""
        parameters = inspect.signature(self.function).parameters
        return {
            name: str(each.annotation)
            for name, each in parameters.items()
            if name not in ("self", "cls", *self.ignored)
        }

    def __call__(self, **wrong: object) -> object:
        of = [] if self.of is None else [self.of()]
        return self.function(*of, **{**self.right, **wrong})


@cache
def _admin() -> tfkafka.Admin:
    return tfkafka.Admin(NOWHERE)


@cache
def _group() -> tfkafka.KafkaGroupDataset:
    return tfkafka.KafkaGroupDataset("t", "g", NOWHERE)


@cache
def _callback() -> tfkafka.CommitCallback:
    return tfkafka.CommitCallback(_group(), 5)


def _job() -> InferenceJob:
    return InferenceJob(len, DECODER, "t", "p", "g")


READER = {"topic": "t", "servers": NOWHERE}
GROUP = {"topics": "t", "group_id": "g", "servers": NOWHERE}
METADATA = tfkafka.Metadata(*[tf.zeros([3])] * len(tfkafka.Metadata._fields))
LEARN = {"folder": "/dev/null/folder", "stream": Stream("t", DECODER, NOWHERE), "seed": 1}

CALLS: dict[str, Call] = {
    "Admin": Call(tfkafka.Admin, {"bootstrap_servers": NOWHERE}),
    **{
        f"Admin.{name}": Call(getattr(tfkafka.Admin, name), right, _admin)
        for name, right in {
            "create_topic": {"name": "t"},
            "delete_topic": {"name": "t"},
            "describe_topic": {"name": "t"},
            "end_offsets": {"name": "t"},
            "record_count": {"name": "t"},
            "describe_group": {"group": "g"},
            "has_members": {"group": "g"},
            "member_ids": {"group": "g", "name": "i"},
        }.items()
    },
    "CommitCallback": Call(tfkafka.CommitCallback, {"dataset": _group(), "batch_size": 5}),
    "MetricsCallback": Call(tfkafka.MetricsCallback, {"dataset": _group()}),
    "CommitCallback.watch": Call(tfkafka.CommitCallback.watch, {"pipeline": 5}, _callback),
    "CommitCallback.filter": Call(
        tfkafka.CommitCallback.filter,
        {
            "pipeline": tf.data.Dataset.from_tensor_slices((tf.zeros([3]), METADATA)),
            "predicate": len,
        },
        _callback,
    ),
    "AvroDecoder": Call(tfkafka.AvroDecoder, {"fields": ["n"], "schema": AVRO}),
    "AvroDecoder of a registry": Call(
        tfkafka.AvroDecoder, {"fields": ["n"], "registry": "mock://r", "schema": AVRO}
    ),
    "AvroEncoder": Call(
        tfkafka.AvroEncoder, {"schema": AVRO, "registry": "mock://r", "subject": "s"}
    ),
    "config.load": Call(tfkafka.config.load, {"path": "/dev/null"}),
    "Column": Call(tfkafka.Column, {"column": 0}),
    "CsvDecoder": Call(tfkafka.CsvDecoder, {"columns": 2}),
    "ExampleDecoder": Call(tfkafka.ExampleDecoder, {"fields": ["x"]}),
    "Field": Call(tfkafka.Field, {"name": "n"}),
    "FunctionDecoder": Call(tfkafka.FunctionDecoder, {"fn": len, "element_spec": ARRAY}),
    "Header": Call(tfkafka.Header, {"name": "n"}),
    "ImageDecoder": Call(tfkafka.ImageDecoder, {"shape": [5, 6, 1]}),
    "JsonDecoder": Call(tfkafka.JsonDecoder, {"fields": ["n"]}),
    "ProtobufDecoder": Call(tfkafka.ProtobufDecoder, {"fields": ["value"], "message": FloatValue}),
    "FunctionEncoder": Call(tfkafka.FunctionEncoder, {"encode": list, "decode": list}),
    "JsonEncoder": Call(tfkafka.JsonEncoder, {}),
    "Key": Call(tfkafka.Key, {}),
    "TensorDecoder": Call(tfkafka.TensorDecoder, {"shape": [3]}),
    "TensorEncoder": Call(tfkafka.TensorEncoder, {}),
    "KafkaDataset": Call(tfkafka.KafkaDataset, {**READER, "broker_timeout": 100}),
    "KafkaDataset.from_manifest": Call(
        tfkafka.KafkaDataset.from_manifest, {"manifest": MANIFEST, "servers": NOWHERE}
    ),
    "KafkaDataset.from_state": Call(
        tfkafka.KafkaDataset.from_state, {"state": STATE, "servers": NOWHERE}
    ),
    "KafkaGroupDataset": Call(tfkafka.KafkaGroupDataset, GROUP),
    "KafkaGroupDataset.commit": Call(tfkafka.KafkaGroupDataset.commit, {}, _group),
    "KafkaMiniBatchDataset": Call(tfkafka.KafkaMiniBatchDataset, GROUP),
    "format_group": Call(tfkafka.format_group, {}),
    "format_topic": Call(tfkafka.format_topic, {}),
    "headers_of": Call(tfkafka.headers_of, {}),
    "read": Call(tfkafka.read, {**READER, "broker_timeout": 100}),
    "shards": Call(tfkafka.shards, {"ranges": [], "count": 2}),
    "write": Call(
        tfkafka.write, {"servers": NOWHERE, "topic": "t", "values": ["v"], "timeout_s": 0.1}
    ),
    "InferenceJob": Call(
        InferenceJob,
        {
            "predict": len,
            "decode": DECODER,
            "topics": ["t"],
            "predictions_topic": "p",
            "group_id": "g",
        },
    ),
    "ExactlyOnceInference": Call(ExactlyOnceInference, {"job": _job(), "servers": NOWHERE}),
    "checked_predictions": Call(
        checked_predictions,
        {**READER, "predictions_topic": "p", "group_id": "g", "decode": DECODER},
    ),
    "evaluate_predictions": Call(
        evaluate_predictions,
        {
            **READER,
            "predictions_topic": "p",
            "group_id": "g",
            "decode": DECODER,
            "metrics": [keras.metrics.MeanSquaredError()],
        },
    ),
    "ExportedModels": Call(ExportedModels, {}),
    "keras_predict": Call(keras_predict, {}),
    "read_predictions": Call(read_predictions, READER),
    "wait_until_settled": Call(
        wait_until_settled, {"settings": {"bootstrap.servers": NOWHERE}, "topic": "t"}
    ),
    "Stream": Call(Stream, {"topic": "t", "decode": DECODER, "servers": NOWHERE}),
    "learn": Call(learn, {**LEARN, "build": len, "train": len}),
    "wait_for": Call(wait_for, {"condition": lambda: False, "what": "it", "deadline_s": 0.0}),
    "read_claims": Call(read_claims, {"path": "/dev/null/claims.toml"}),
    # TensorFlow checks the names of its scopes.
    "tfio.IODataset.from_kafka": Call(tfio.IODataset.from_kafka, READER, ignored=("name",)),
    "tfio.StreamIODataset.from_kafka": Call(
        tfio.StreamIODataset.from_kafka, READER, ignored=("name",)
    ),
    "tfio.IOTensor.from_kafka": Call(tfio.IOTensor.from_kafka, READER, ignored=("name",)),
    "tfio.IOTensor[]": Call(
        type(tfio.IOTensor.from_kafka(**READER)).__getitem__,
        {},
        lambda: tfio.IOTensor.from_kafka(**READER),
    ),
    "kafka.KafkaDataset": Call(kafka.KafkaDataset, {"topics": "t", "servers": NOWHERE}),
    "kafka.KafkaOutputSequence": Call(kafka.KafkaOutputSequence, READER),
    "kafka.KafkaOutputSequence.setitem": Call(
        kafka.KafkaOutputSequence.setitem,
        {"index": 0, "item": "text"},
        lambda: kafka.KafkaOutputSequence(**READER),
    ),
    "kafka.write_kafka": Call(kafka.write_kafka, {**READER, "message": "m"}, ignored=("name",)),
    "serialization.decode_avro": Call(
        serialization.decode_avro, {"data": bytes(4), "schema": json.dumps(AVRO)}, ignored=("name",)
    ),
    "serialization.encode_avro": Call(
        serialization.encode_avro, {"data": [0.5], "schema": json.dumps(AVRO)}, ignored=("name",)
    ),
    "serialization.decode_json": Call(
        serialization.decode_json,
        {"data": "{}", "specs": {"n": tf.TensorSpec([], tf.float32)}},
        ignored=("name",),
    ),
    "streaming.KafkaGroupIODataset": Call(
        streaming.KafkaGroupIODataset, GROUP, ignored=("internal",)
    ),
    "streaming.KafkaBatchIODataset": Call(
        streaming.KafkaBatchIODataset, GROUP, ignored=("internal",)
    ),
    "embedded.start": Call(embedded.start, {"folder": "/dev/null/folder", "version": "3.9.2"}),
    "embedded.start_cluster": Call(
        embedded.start_cluster, {"folder": "/dev/null/folder", "version": "3.9.2"}
    ),
    "registry.start": Call(registry.start, {"folder": "/dev/null/folder"}),
    "embedded.attach": Call(embedded.attach, {}),
    "compose.start": Call(compose.start, {"image": None, "project": "p"}),
    "compose.attach": Call(compose.attach, {}),
    "compose.remove": Call(compose.remove, {}),
    "ExternalBroker": Call(ExternalBroker, {"bootstrap_servers": NOWHERE}),
}

# Public, but made by tfkafka for its users, or without arguments that could be wrong: an exception
# for each argument of each, or for all of it.
NO_CALLS = {
    "GroupPartition": "what describe_group returns",
    "Metadata": "what elements have",
    "NativeStatus": "what native_status returns",
    "native_status": "has no arguments",
    "Progress": "what learn returns",
    "KafkaDataset.state": "needs a broker: tests/integration/tfkafka/test_arguments.py",
    "CsvDecoder.decode": "called by tfkafka",
    "ExampleDecoder.decode": "called by tfkafka",
    "FunctionDecoder.decode": "called by tfkafka",
    "ImageDecoder.decode": "called by tfkafka",
    "JsonDecoder.decode": "called by tfkafka",
    "ProtobufDecoder.decode": "called by tfkafka",
    "TensorDecoder.decode": "called by tfkafka",
    **{
        name: "what a decoder has or returns, checked when it is used"
        for name in (
            "ArraySpec",
            "Decoder",
            "Decoder.decode",
            "Decoded",
            "Decoded.of",
            "Decoded.records",
            "Fault",
            "Fault.of",
        )
    },
    **{
        f"{name}.{method}": "called by tfkafka: tests/unit/decoding/test_encoders.py"
        for name in (
            "Encoder",
            "AvroEncoder",
            "FunctionEncoder",
            "JsonEncoder",
            "ProbabilityEncoder",
            "TensorEncoder",
        )
        for method in ("encode", "decode", "check")
    },
    "Encoder": "a protocol",
    "ProbabilityEncoder": "has no arguments",
    **{
        f"{callback}.{method}": "called by Keras"
        for callback in ("CommitCallback", "MetricsCallback")
        for method in ("set_model", "set_params")
    },
    **{
        f"{callback}.on_{event}": "called by Keras"
        for callback in ("CommitCallback", "MetricsCallback")
        for event in (
            "train_begin",
            "train_end",
            "predict_begin",
            "predict_end",
            "test_begin",
            "test_end",
            "epoch_begin",
            "epoch_end",
            "train_batch_end",
            "predict_batch_end",
            "test_batch_end",
        )
    },
    **{
        f"ExactlyOnceInference.{event}": "called by the worker's pipeline"
        for event in ("joined", "committed", "failed")
    },
}


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and value != ""
        and "\0" not in value
        and not any("\ud800" <= each <= "\udfff" for each in value)
    )


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes) and value != b""


def _is_value(value: object) -> bool:
    """Whether a record may have it as its value."""
    if isinstance(value, bytes):
        return True
    return isinstance(value, str) and not any("\ud800" <= each <= "\udfff" for each in value)


def _is_number(value: object) -> bool:
    """Whether some whole number of Kafka's or of ours may be this one."""
    return isinstance(value, Integral) and not isinstance(value, bool) and -1 <= value <= LARGEST


def _is_any_number(value: object) -> bool:
    return _is_number(-value - 1) or _is_number(value) if isinstance(value, Integral) else False


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_empty(value: object) -> bool:
    return isinstance(value, list | tuple | set | dict) and not value


def _is_one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


def _are(values: object, kind: Callable[[object], bool]) -> bool:
    return (
        isinstance(values, Iterable)
        and not isinstance(values, str | bytes | Mapping)
        and not _is_empty(values)
        and all(kind(each) for each in values)
    )


def _is_setting(value: object) -> bool:
    return isinstance(value, str) and "=" in value


def _is_configuration(value: object) -> bool:
    return value is None or _is_empty(value) or _are(value, _is_setting)


def _is_shard(value: object) -> bool:
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and _are(value, _is_number)
    return is_pair and 0 <= value[0] < value[1]


def _are_columns(value: object) -> bool:
    """Whether it is a list of some of the two columns, 0 and 1."""
    kinds = isinstance(value, list | tuple) and all(type(each) is int for each in value)
    return kinds and 0 < len(value) == len(set(value)) and set(value) <= {0, 1}


def _are_fills(value: object) -> bool:
    """Whether it is a dict from some of the two columns to numbers."""
    return isinstance(value, Mapping) and all(
        key in (0, 1, "0", "1")
        and isinstance(each, Real)
        and not isinstance(each, bool)
        and abs(each) <= FLT_MAX
        for key, each in value.items()
    )


def _is_seconds(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= math.inf


# What may be right for a part of an annotation, alternatives of which are divided by "|".
MAY_BE_RIGHT: dict[str, Callable[[object], bool]] = {
    "Any": lambda value: False,
    "None": lambda value: value is None,
    "int": _is_number,
    "float": _is_seconds,
    "bool": lambda value: isinstance(value, bool),
    "str": _is_name,
    "bytes": _is_bytes,
    "Path": lambda value: isinstance(value, Path),
    "os.PathLike[str]": lambda value: isinstance(value, os.PathLike),
    "slice": lambda value: isinstance(value, slice),
    "datetime": lambda value: isinstance(value, datetime) and value.tzinfo is not None,
    "tf.Tensor": lambda value: isinstance(value, tf.Tensor),
    "Sequence[int]": lambda value: _are(value, _is_number),
    "Sequence[str]": lambda value: _are(value, _is_name),
    "Sequence[OffsetRange]": lambda value: isinstance(value, list | tuple) and not value,
    "Sequence[str | Field]": lambda value: _are(
        value, lambda each: _is_name(each) or isinstance(each, tfkafka.Field)
    ),
    # What the entries are is seen while they are written.
    "Iterable[Text]": lambda value: (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    ),
    # Only with an encoder.
    **dict.fromkeys(
        ("Columns", "Frame", "ColumnEncoder", "Encoder", "Metrics"), lambda value: False
    ),
    "Mapping[str, str]": _is_empty,
    "Mapping[str, object]": _is_empty,
    "config.Configuration": _is_configuration,
    "Bounds": lambda value: (
        _is_number(value)
        or _is_one_of("earliest", "latest")(value)
        or (isinstance(value, datetime) and value.tzinfo is not None)
    ),
    "Saved": lambda value: isinstance(value, str | Path),
    "OnMissingOffsets": _is_one_of("error", "earliest"),
    "Policy": _is_one_of("error", "skip"),
    "Shard": lambda value: _is_one_of("jax")(value) or _is_shard(value),
    "Literal['confluent']": _is_one_of("confluent"),
    "Literal['key']": _is_one_of("key"),
    "type[Any]": lambda value: False,
    "Field": lambda value: isinstance(value, tfkafka.Field),
    "Mapping[str, DType]": _is_empty,
    "Mapping[str, Any]": lambda value: False,
    "Mapping[str, Sequence[int]]": _is_empty,
    "Nan": _is_one_of("refuse", "null"),
    "DType": _is_one_of("float32", "float64", "int32", "int64"),
    "Literal['matrix', 'dict']": _is_one_of("matrix"),
    "Literal['bad', 'nan']": _is_one_of("bad", "nan"),
    "Sequence[int | str]": _are_columns,
    **dict.fromkeys(("Mapping[str, float]", "Mapping[int, float]"), _are_fills),
    "Column": lambda value: isinstance(value, tfkafka.Column),
    "Key": lambda value: isinstance(value, tfkafka.Key),
    "Header": lambda value: isinstance(value, tfkafka.Header),
    "Decoder": lambda value: isinstance(value, tfkafka.CsvDecoder),
    "keras.Model": lambda value: isinstance(value, keras.Model),
    "type[TfkafkaError]": lambda value: isinstance(value, type) and issubclass(value, TfkafkaError),
    "list[GroupPartition]": _is_empty,
    **dict.fromkeys(
        ("Predict", "Train", "TrainOnBatches", "Evaluate", "EvaluateBatches", "ExportIf"), callable
    ),
    **dict.fromkeys(
        (
            "Security",
            "Topic",
            "InferenceJob",
            "ExportedModels",
            "Stream",
            "KafkaGroupDataset",
            "KafkaMiniBatchDataset",
            "tf.data.Dataset[Any]",
        ),
        lambda value: False,
    ),
}
# Where a value may be right that is wrong for others of the same annotation.
EXCEPTIONS: dict[tuple[str, str], Callable[[object], bool]] = {
    ("Field", "shape"): lambda value: isinstance(value, list) and not value,
    ("FunctionDecoder", "element_spec"): lambda value: isinstance(value, tf.Tensor),
    # The shape of one number.
    ("TensorEncoder", "shape"): lambda value: isinstance(value, list) and not value,
    ("kafka.KafkaDataset", "group"): _is_one_of(""),
    # One number for each record.
    ("TensorDecoder", "shape"): lambda value: _is_empty(value) and not isinstance(value, Mapping),
    ("ExternalBroker", "bootstrap_servers"): lambda value: isinstance(value, str),
    ("kafka.KafkaDataset", "topics"): lambda value: (
        _is_bytes(value) or _are(value, lambda each: _is_bytes(each) or isinstance(each, str))
    ),
    # What is in strings is seen as a record.
    **{
        (f"serialization.decode_{kind}", "data"): lambda value: (
            tf.is_tensor(value) or (np.array(value).dtype.kind in "US" or np.array(value).size == 0)
        )
        for kind in ("avro", "json")
    },
    # Of one number, and of a list of one.
    ("serialization.encode_avro", "data"): lambda value: (
        tf.is_tensor(value) or isinstance(value, Real) or (_is_list(value) and len(value) == 1)
    ),
    ("kafka.KafkaOutputSequence", "topic"): _is_bytes,
    ("kafka.KafkaOutputSequence.setitem", "item"): _is_value,
    ("kafka.write_kafka", "message"): _is_value,
    ("kafka.write_kafka", "topic"): _is_bytes,
    ("kafka.write_kafka", "servers"): _is_bytes,
    **{
        (call, name): _is_any_number
        for call, name in (
            ("tfio.IODataset.from_kafka", "start"),
            ("tfio.IODataset.from_kafka", "stop"),
            ("tfio.IODataset.from_kafka", "offset"),
            ("tfio.StreamIODataset.from_kafka", "offset"),
            ("tfio.IOTensor[]", "key"),
        )
    },
}


def may_be_right(call: str, name: str, annotation: str, value: object) -> bool:
    """Whether a value may be a right one for an argument: then it says nothing to try it."""
    if (call, name) in EXCEPTIONS and EXCEPTIONS[call, name](value):
        return True
    parts = [part.strip() for part in _alternatives(annotation)]
    return any(
        callable(value) if part.startswith("Callable") else MAY_BE_RIGHT[part](value)
        for part in parts
    )


def _alternatives(annotation: str) -> list[str]:
    """The parts between the "|" that are not within brackets."""
    parts, depth = [""], 0
    for each in annotation:
        depth += (each == "[") - (each == "]")
        if each == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += each
    return parts


# Wrong for most arguments; tried for each by hand, before hypothesis looks for more.
TRIED = [
    None,
    "",
    "no such thing",
    "a\0b",
    "\ud800",
    b"bytes",
    True,
    -2,
    -(10**30),
    10**30,
    10**5000,
    1.5,
    -1.5,
    math.nan,
    math.inf,
    1j,
    [],
    [None],
    ["x", 5],
    [0, 0],
    [0.5],
    {},
    {"a": 1},
    {5: "x"},
    {0},
    object(),
    int,
    print,
    datetime(2024, 1, 1),
    datetime(2024, 1, 1, tzinfo=UTC),
    Path("no such folder"),
    DECODER,
    tfkafka.CsvDecoder,
    tf.constant([1.5]),
    tf.data.Dataset.range(3),
]


@dataclass
class Outcome:
    """What came of a wrong argument."""

    call: str
    name: str
    value: object
    error: BaseException | None = None
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def is_in_time(self) -> bool:
        return self.seconds < 1

    def judge(self) -> Outcome:
        """Say what is wrong with the answer."""
        error, line = self.error, str(self.error)
        if error is None:
            self.faults.append("was accepted")
        elif not isinstance(error, TypeError | ValueError | TfkafkaError):
            self.faults.append(f"raised {type(error).__name__}: {line[:200]}")
        elif len(line.splitlines()) != 1:
            self.faults.append(f"is not one line: {line[:200]!r}")
        elif not _names(self.name, self.value, line):
            self.faults.append(f"is not named: {line[:200]}")
        if not self.is_in_time():
            self.faults.append(f"took {self.seconds:.1f} s")
        return self

    def __str__(self) -> str:
        return f"{self.call}({self.name}={shown(self.value)}): {'; '.join(self.faults)}"


def _names(name: str, value: object, line: str) -> bool:
    """Whether a line has the argument's name, or that of the setting."""
    if name in line:
        return True
    is_settings = "config" in name or name == "settings"
    keys = value if isinstance(value, Mapping | list) else []
    return is_settings and any(_setting_name(key) in line for key in keys)


def _setting_name(entry: object) -> str:
    """The name in an entry of a list, or the key of a dict."""
    entry = entry.decode(errors="replace") if isinstance(entry, bytes) else str(entry)
    return entry.partition("=")[0].strip()
