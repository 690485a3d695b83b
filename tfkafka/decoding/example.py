"""Decoding of serialised tf.train.Example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk, Column
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Fault, Spec, among_others
from tfkafka.decoding.example_columns import read
from tfkafka.decoding.example_fields import Asked, column
from tfkafka.decoding.missing import checked_missing, first_misfit, on_missing
from tfkafka.decoding.numbers import FLOAT32
from tfkafka.decoding.plan import LAYOUTS, DecoderPlan, field_plan
from tfkafka.decoding.sources import Field, Header, Key
from tfkafka.decoding.targets import WithTargets


@dataclass(frozen=True)
class ExampleDecoder(WithTargets):
    """A decoder for values that are a serialised `tf.train.Example`.

    A `Field` is read from the feature of its name: from a float_list, where its dtype is a float;
    from an int64_list, where it is a whole number; from a bytes_list, where it has `classes`.
    Features that are not asked for do not matter.

    Args:
        fields: the features: names, for one float each, or `Field(name, shape=, dtype=, classes=)`.
        label: "key" takes the label from the record's key, a number as text; `Key`, `Header` and
            `Field` have its type; None: no label.
        finite: True: a record with nan or inf cannot be decoded; False: it is decoded; None:
            `tfkafka.online` and `tfkafka.exactly_once` take it as True, datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.
        features: "matrix": all values of a record as one vector, float32, in the order of `fields`;
            "dict": one array for each field, by its name.
        missing: what becomes of a feature that a record does not have, or that is empty: "bad": the
            record cannot be decoded; "nan": nan; or a dict from the name of a field to the number
            to put there, where the others are "bad".

    Example:
        floats = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 1.5]))
        example = tf.train.Example(features=tf.train.Features(feature={"x": floats}))
        tfkafka.write("localhost:9092", "examples", [example.SerializeToString()], ["1"])
        decode = tfkafka.ExampleDecoder([tfkafka.Field("x", shape=(2,))], label="key")
        dataset = tfkafka.KafkaDataset("examples", servers="localhost:9092", decode=decode)
        for features, label in dataset:  # float32 [2], float32 []
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
        what = "a list of names and of Field(name)"
        given = arguments.in_order("ExampleDecoder: fields", self.fields, what)
        for each in given:
            arguments.instance("ExampleDecoder: fields", each, (str, Field), what)
        fields = tuple(Field(each) if isinstance(each, str) else each for each in given)
        names = [field.name for field in fields]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"ExampleDecoder: fields is {arguments.shown(names)}, must be different names, at "
                f"least one"
            )
        object.__setattr__(self, "fields", fields)
        self._check_targets(Field)
        self._refuse_weight_alone()
        arguments.optional(arguments.flag, "ExampleDecoder: finite", self.finite)
        arguments.choice("ExampleDecoder: features", self.features, LAYOUTS)
        missing = checked_missing("ExampleDecoder: missing", self.missing)
        object.__setattr__(self, "missing", missing)
        self._check_missing(names)

    def _check_missing(self, names: Sequence[str]) -> None:
        unknown = [] if isinstance(self.missing, str) else [*self.missing.keys() - set(names)]
        if unknown:
            raise ValueError(
                f"ExampleDecoder: missing has {arguments.shown(unknown[0])}, must have names of "
                f"fields: {arguments.shown(names)}"
            )
        dtypes = {field.name: self._dtype(field) for field in self._fields}
        if (name := first_misfit(self.missing, dtypes)) is not None:
            raise ValueError(
                f"ExampleDecoder: missing is {arguments.shown(self.missing)}, and field {name!r} "
                f"is {dtypes[name].name}: give a whole number of this type for it, for example "
                f"missing={{{name!r}: -1}}"
            )

    @property
    def element_spec(self) -> tuple[Spec, ...]:
        """float32 [m], or a dict of arrays; and the label and the sample weight, if there are any.

        m is the number of all values of a record.
        """
        features: Spec = {
            field.name: ArraySpec(field.spec.shape, self._dtype(field)) for field in self._fields
        }
        if self.features == "matrix":
            features = ArraySpec((sum(field.size for field in self._fields),), FLOAT32)
        return features, *(source.spec for source in self._targets.values())

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        asked = self._asked
        features, is_read = read(chunk.values, [each.field for each in asked])
        if not is_read.all():
            return self._decode_one_by_one(chunk, is_read)
        faults: dict[int, Fault] = {}
        columns = [
            column(each, feature, self.finite, faults)
            for each, feature in zip(asked, features, strict=True)
        ]
        count = len(self._fields)
        arrays: tuple[Arrays, ...] = (self._laid_out(columns[:count]),)
        inside = iter(columns[count:])
        targets, others = self._outside(chunk, self.finite)
        for what in self._targets:
            arrays += (targets[what] if what in targets else next(inside),)
        return Decoded.of(arrays, len(chunk), others | faults)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data."""
        fields = [
            field_plan(field, self._dtype(field).name, on_missing(self.missing, field.name))
            for field in self._fields
        ]
        label, weight = self._target_plans()
        return DecoderPlan(
            "tf.train.Example", tuple(fields), self.features, label, weight, self.finite
        )

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if isinstance(field, Field))

    @cached_property
    def _asked(self) -> list[Asked]:
        """What is read from values: the features, and then the label and the weight."""
        asked = [
            Asked(field, self._dtype(field), on_missing(self.missing, field.name))
            for field in self._fields
        ]
        for what, source in self._targets.items():
            if isinstance(source, Field):
                asked.append(Asked(source, source.spec.dtype, "bad", f"{what}: "))
        return asked

    def _dtype(self, field: Field) -> np.dtype[Any]:
        return FLOAT32 if self.features == "matrix" else field.spec.dtype

    def _decode_one_by_one(self, chunk: Chunk, is_read: NDArray[np.bool_]) -> Decoded:
        """Decode a chunk some of whose records could not be read in whole columns."""
        # Imports TensorFlow, which takes seconds; most topics never need it.
        from tfkafka.decoding.example_records import WrongExampleError, rewrite

        entries, faults = chunk.values.entries.copy(), []
        for index in np.flatnonzero(~is_read).tolist():
            try:
                entries[index] = rewrite(entries[index], self._asked)
            except WrongExampleError as error:
                faults.append(Fault.of(index, str(error)))
        right = np.delete(np.arange(len(chunk)), [fault.index for fault in faults])
        rest = replace(chunk.select(right), values=Column(entries[right]))
        return among_others(self.decode(rest), right, faults)

    def _laid_out(self, columns: Sequence[NDArray[Any]]) -> Arrays:
        """Return the features as `features` says."""
        if self.features == "dict":
            names = [field.name for field in self._fields]
            return dict(zip(names, columns, strict=True))
        vectors = [
            column.reshape(-1, field.size)
            for field, column in zip(self._fields, columns, strict=True)
        ]
        return vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)
