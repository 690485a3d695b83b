"""Decoding of JSON records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal

from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.base import Fault
from tfkafka.decoding.json_chunks import JsonChunks
from tfkafka.decoding.nested import WithNestedFields
from tfkafka.decoding.plan import DecoderPlan
from tfkafka.decoding.sources import Field, Header, Key


@dataclass(frozen=True)
class JsonDecoder(WithNestedFields):
    """A decoder for values that are JSON objects.

    A value is one object in UTF-8, as Python's `json.loads` takes it, without NaN and Infinity.
    Line feeds and blanks around and inside it do not matter, nor do fields that are not read. A
    field that is read occurs once. Its numbers become what `np.float32(number)` makes of Python's
    float; true and false become 1 and 0.

    Args:
        fields: the features, in their order: the names of fields, or `Field` for an array, for
            classes or for another type. "a.b" is the field b of the object a.
        label: "key" takes the label from the record's key, a number as text; `Key`, `Header` and
            `Field` have its type and its classes; None: no label.
        finite: True: a record with a number that is not finite as its type cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.
        features: "matrix": one array, float32 [values], with the values of all fields, also those
            of arrays; "dict": an array for each field, by its name, with its own shape and type.
        missing: what becomes of a field that is missing or null: "bad": the record cannot be
            decoded; "nan": the feature is nan, also with `finite=True`; a dict from fields to
            numbers: the feature is that number, and fields that the dict does not have are as with
            "bad". A label or a weight is never missing.

    Example:
        tfkafka.write("localhost:9092", "clicks", ['{"x": 0.5, "user": {"age": 33}, "label": 1}'])
        dataset = tfkafka.KafkaDataset(
            "clicks",
            servers="localhost:9092",
            decode=tfkafka.JsonDecoder(["x", "user.age"], label=tfkafka.Field("label")),
        )
        for features, label in dataset.take(1):  # float32 [2], float32 []
            print(features, label)
    """

    fields: Sequence[str | Field]
    label: Literal["key"] | Key | Header | Field | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | Field | None = None
    _: KW_ONLY
    features: Literal["matrix", "dict"] = "matrix"
    missing: Literal["bad", "nan"] | Mapping[str, float] = "bad"

    def __post_init__(self) -> None:
        self._check_fields()
        self._check_names()

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        return self._plan("json")

    def _read(
        self, values: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        return self._chunks.read(values, sinks)

    @cached_property
    def _chunks(self) -> JsonChunks:
        """How the values are parsed."""
        return JsonChunks(self._nested, self.finite)
