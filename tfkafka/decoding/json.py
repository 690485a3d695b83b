"""Decoding of JSON records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Spec
from tfkafka.decoding.json_chunks import JsonChunks
from tfkafka.decoding.json_fields import JsonField, quoted, tree_of
from tfkafka.decoding.missing import checked_missing, first_misfit, on_missing
from tfkafka.decoding.numbers import FLOAT32
from tfkafka.decoding.plan import LAYOUTS, DecoderPlan, field_plan
from tfkafka.decoding.sources import Field, Header, Key
from tfkafka.decoding.targets import WithTargets

_FIELDS = "a list of names or Field(name)"


@dataclass(frozen=True)
class JsonDecoder(WithTargets):
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
        object.__setattr__(self, "fields", _checked_fields(self.fields))
        self._check_targets(Field)
        self._refuse_weight_alone()
        arguments.optional(arguments.flag, "JsonDecoder: finite", self.finite)
        arguments.choice("JsonDecoder: features", self.features, LAYOUTS)
        missing = checked_missing("JsonDecoder: missing", self.missing)
        object.__setattr__(self, "missing", missing)
        self._check_fills()
        try:
            tree_of([tuple(each.name.split(".")) for each in (*self._sources, *self._inside)])
        except ValueError as error:
            raise ValueError(f"JsonDecoder: fields: {error}") from None

    @property
    def element_spec(self) -> tuple[Spec, ...]:
        """The features as `features` says, and the label and the weight, if there are any."""
        features: Spec = {each.name: each.spec for each in self._sources}
        if self.features == "matrix":
            features = ArraySpec((sum(each.size for each in self._sources),), FLOAT32)
        return features, *(source.spec for source in self._targets.values())

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        count = len(chunk)
        features, sinks = self._empty(count)
        targets = {
            what: np.zeros((count, *source.spec.shape), source.spec.dtype)
            for what, source in self._targets.items()
        }
        inside = [targets[what] for what, each in self._targets.items() if isinstance(each, Field)]
        sinks += [array.reshape(count, -1) if count else array for array in inside]
        faults = self._chunks.read(chunk.values.entries, sinks) if count else {}
        outside, others = self._outside(chunk, self.finite)
        targets |= outside
        return Decoded.of((features, *targets.values()), count, others | faults)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        fields = [
            field_plan(each, each.spec.dtype.name, on_missing(self.missing, each.name))
            for each in self._sources
        ]
        label, weight = self._target_plans()
        return DecoderPlan("json", tuple(fields), self.features, label, weight, self.finite)

    def _empty(self, count: int) -> tuple[Arrays, list[NDArray[Any]]]:
        """Return the features' arrays, and for each field an array [n, size] that fills them."""
        if self.features == "dict":
            arrays = {
                each.name: np.zeros((count, *each.spec.shape), each.spec.dtype)
                for each in self._sources
            }
            return arrays, [arrays[each.name].reshape(count, each.size) for each in self._sources]
        bounds = np.cumsum([0, *(each.size for each in self._sources)]).tolist()
        matrix = np.zeros((count, bounds[-1]), np.float32)
        return matrix, [matrix[:, start:stop] for start, stop in pairwise(bounds)]

    def _check_fills(self) -> None:
        """Check that each field has the place for what `missing` puts there."""
        names = {each.name for each in self._sources}
        if isinstance(self.missing, Mapping):
            for name in self.missing:
                if name not in names:
                    raise ValueError(
                        f"JsonDecoder: missing has {arguments.shown(name)}, "
                        f"which is none of the fields"
                    )
        dtypes = {each.name: each.spec.dtype for each in self._sources}
        if (misfit := first_misfit(self.missing, dtypes)) is not None:
            raise ValueError(
                f"JsonDecoder: missing is {on_missing(self.missing, misfit)!r} for field "
                f"{quoted(misfit)}, must be a whole number: the field is {dtypes[misfit].name}"
            )

    @property
    def _sources(self) -> Sequence[Field]:
        return [Field(each) if isinstance(each, str) else each for each in self.fields]

    @property
    def _inside(self) -> list[Field]:
        """The label and the weight, where they are fields of the value."""
        return [each for each in self._targets.values() if isinstance(each, Field)]

    @cached_property
    def _chunks(self) -> JsonChunks:
        """How the values are parsed."""
        fields = []
        for each in self._sources:
            fill = on_missing(self.missing, each.name)
            field = JsonField.of(each, fill=None if fill == "bad" else float(fill))
            if self.features == "matrix" and field.dtype.kind == "f":
                # Rounded once, and only what float32 holds is finite.
                field = replace(field, spec=ArraySpec(field.spec.shape, FLOAT32))
            fields.append(field)
        fields += [
            JsonField.of(each, f"{what}: ")
            for what, each in self._targets.items()
            if isinstance(each, Field)
        ]
        return JsonChunks(tuple(fields), self.finite)


def _checked_fields(given: Any) -> tuple[str | Field, ...]:
    name = "JsonDecoder: fields"
    fields: tuple[str | Field, ...] = tuple(arguments.in_order(name, given, _FIELDS))
    if not fields:
        raise ValueError(f"{name} is empty, must be {_FIELDS}")
    for each in fields:
        arguments.instance(name, each, (str, Field), _FIELDS)
        text = each if isinstance(each, str) else each.name
        arguments.text(name, text)
        if not all(text.split(".")):
            raise ValueError(f"{name} has {arguments.shown(text)}: a name between dots is empty")
    return fields
