"""Decoding of serialised tf.train.Example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Chunk, Column
from tfkafka.decoding.base import Arrays, Decoded, Fault, among_others
from tfkafka.decoding.example_columns import read
from tfkafka.decoding.example_fields import Asked, column
from tfkafka.decoding.fields import WithFields
from tfkafka.decoding.missing import on_missing
from tfkafka.decoding.plan import DecoderPlan
from tfkafka.decoding.sources import Field, Header, Key


@dataclass(frozen=True)
class ExampleDecoder(WithFields):
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
        self._check_fields()

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
        count = len(self._features)
        arrays: tuple[Arrays, ...] = (self._laid_out(columns[:count]),)
        inside = iter(columns[count:])
        targets, others = self._outside(chunk, self.finite)
        for what in self._targets:
            arrays += (targets[what] if what in targets else next(inside),)
        absent = frozenset(
            each.named
            for each, feature in zip(asked, features, strict=True)
            if each.put != "bad" and feature.is_missing.all()
        )
        return Decoded.of(arrays, len(chunk), others | faults, absent)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data."""
        return self._plan("tf.train.Example")

    @cached_property
    def _asked(self) -> list[Asked]:
        """What is read from values: the features, and then the label and the weight."""
        asked = [
            Asked(field, self._dtype(field), on_missing(self.missing, field.name))
            for field in self._features
        ]
        for what, source in self._inside.items():
            asked.append(Asked(source, source.spec.dtype, "bad", f"{what}: "))
        return asked

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
            names = [field.name for field in self._features]
            return dict(zip(names, columns, strict=True))
        vectors = [
            column.reshape(-1, field.size)
            for field, column in zip(self._features, columns, strict=True)
        ]
        return vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)
