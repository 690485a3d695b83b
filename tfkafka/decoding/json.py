"""Decoding of JSON records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Arrays, Decoded
from tfkafka.decoding.fields import WithFields
from tfkafka.decoding.json_chunks import JsonChunks
from tfkafka.decoding.json_fields import JsonField, tree_of
from tfkafka.decoding.missing import on_missing
from tfkafka.decoding.plan import DecoderPlan
from tfkafka.decoding.sources import Field, Header, Key


@dataclass(frozen=True)
class JsonDecoder(WithFields):
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
        every = (*self._features, *self._inside.values())
        for name in (each.name for each in every):
            if not all(name.split(".")):
                raise ValueError(
                    f"JsonDecoder: fields has {arguments.shown(name)}: a name between dots is empty"
                )
        try:
            tree_of([tuple(each.name.split(".")) for each in every])
        except ValueError as error:
            raise ValueError(f"JsonDecoder: fields: {error}") from None

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        count = len(chunk)
        features, sinks = self._empty(count)
        targets = {
            what: np.zeros((count, *source.spec.shape), source.spec.dtype)
            for what, source in self._targets.items()
        }
        inside = [targets[what] for what in self._inside]
        sinks += [array.reshape(count, -1) if count else array for array in inside]
        faults, absent = self._chunks.read(chunk.values, sinks)
        outside, others = self._outside(chunk, self.finite)
        targets |= outside
        return Decoded.of((features, *targets.values()), count, others | faults, absent)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        return self._plan("json")

    def _empty(self, count: int) -> tuple[Arrays, list[NDArray[Any]]]:
        """Return the features' arrays, and for each field an array [n, size] that fills them."""
        if self.features == "dict":
            arrays = {
                each.name: np.zeros((count, *each.spec.shape), each.spec.dtype)
                for each in self._features
            }
            return arrays, [arrays[each.name].reshape(count, each.size) for each in self._features]
        bounds = np.cumsum([0, *(each.size for each in self._features)]).tolist()
        matrix = np.zeros((count, bounds[-1]), np.float32)
        return matrix, [matrix[:, start:stop] for start, stop in pairwise(bounds)]

    @cached_property
    def _chunks(self) -> JsonChunks:
        """How the values are parsed."""
        fields = []
        for each in self._features:
            fill = on_missing(self.missing, each.name)
            number = None if fill == "bad" else float(fill)
            fields.append(JsonField.of(each, self._dtype(each), fill=number))
        for what, each in self._inside.items():
            fields.append(JsonField.of(each, each.spec.dtype, f"{what}: "))
        return JsonChunks(tuple(fields), self.finite)
