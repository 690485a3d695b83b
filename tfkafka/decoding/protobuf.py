"""Decoding of Protocol Buffers' messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal

from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Column
from tfkafka.decoding.base import Fault
from tfkafka.decoding.nested import WithNestedFields
from tfkafka.decoding.plan import DecoderPlan
from tfkafka.decoding.protobuf_chunks import ProtobufChunks
from tfkafka.decoding.protobuf_messages import check_field, check_message
from tfkafka.decoding.sources import Field, Header, Key


@dataclass(frozen=True)
class ProtobufDecoder(WithNestedFields):
    """A decoder for values that are messages of Protocol Buffers.

    A value is what `SerializeToString` of `message` returns. Fields that `message` does not have do
    not matter. With `framing="confluent"` it is in Confluent's wire format: in front of the message
    are the number of a schema, and which message of the schema it is. No registry is asked: the
    generated class says what the fields are, whatever the number is; and a record of another
    message cannot be decoded.

    It needs `pip install 'tfkafka[protobuf]'`.

    Args:
        fields: the features, in their order: the names of fields, or `Field` for a repeated field,
            for classes (of an enum or of text) or for another type. "a.b" is the field b of the
            message a.
        label: "key" takes the label from the record's key, a number as text; `Key`, `Header` and
            `Field` have its type and its classes; None: no label.
        finite: True: a record with a number that is not finite as its type cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.
        message: the class that protoc generated.
        framing: "confluent": the values are in Confluent's wire format; None: they are messages
            alone.
        features: "matrix": one array, float32 [values], with the values of all fields, also those
            of repeated ones; "dict": an array for each field, by its name, with its own shape and
            type.
        missing: what becomes of a field that is missing: "bad": the record cannot be decoded;
            "nan": the feature is nan, also with `finite=True`; a dict from fields to numbers: the
            feature is that number, and fields that the dict does not have are as with "bad". A
            field without presence is never missing: it is 0, or "". One with presence is missing
            where it is not set, unless its schema has a default; so are the fields of a message
            that is not set, and repeated fields without values. A label or a weight is never
            missing.

    Raises:
        TypeError: the message is no class that protoc generated.
        ValueError: the message does not have a field, or one that cannot be decoded.
        ConfigurationError: protobuf is not installed.

    Example:
        from event_pb2 import Jet  # message Jet { float x = 1; bool tagged = 2; }

        tfkafka.write("localhost:9092", "jets", [Jet(x=0.5, tagged=True).SerializeToString()])
        decode = tfkafka.ProtobufDecoder(["x"], label=tfkafka.Field("tagged"), message=Jet)
        for features, label in tfkafka.KafkaDataset(
            "jets", servers="localhost:9092", decode=decode
        ):
            print(features, label)  # float32 [1], bool []
    """

    fields: Sequence[str | Field]
    label: Literal["key"] | Key | Header | Field | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | Field | None = None
    _: KW_ONLY
    message: type[Any]
    framing: Literal["confluent"] | None = None
    features: Literal["matrix", "dict"] = "matrix"
    missing: Literal["bad", "nan"] | Mapping[str, float] = "bad"

    def __post_init__(self) -> None:
        self._check_fields()
        self._check_names()
        check_message("ProtobufDecoder: message", self.message)
        arguments.choice("ProtobufDecoder: framing", self.framing, ("confluent", None))
        for each in (*self._features, *self._inside.values()):
            check_field("ProtobufDecoder", self.message, each)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        return self._plan("protobuf")

    def _read(
        self, values: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        return self._chunks.read(values, sinks)

    @cached_property
    def _chunks(self) -> ProtobufChunks:
        """How the values are read."""
        return ProtobufChunks(self._nested, self.finite, self.message, self.framing is not None)
