"""Decoding of CSV records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Spec
from tfkafka.decoding.csv_fields import CsvColumn, column_title
from tfkafka.decoding.csv_rows import CsvRows
from tfkafka.decoding.missing import checked_missing, on_missing
from tfkafka.decoding.numbers import FLOAT32
from tfkafka.decoding.plan import LAYOUTS, DecoderPlan, FieldPlan
from tfkafka.decoding.sources import Column, Header, Key
from tfkafka.decoding.targets import WithTargets

LARGEST_COLUMNS = 2**31 - 1


@dataclass(frozen=True)
class CsvDecoder(WithTargets):
    """A decoder for values of comma-separated fields, all of which or some of which are numbers.

    Fields may be in double quotes, numbers with blanks around them, and a line end may follow the
    last field, as `tf.io.decode_csv` takes them.

    Args:
        columns: the number of columns in each value, or their names, in their order.
        label: "key" takes the label from the record's key, a number as text; `Key`, `Header` and
            `Column` have its type and its classes; None: no label.
        finite: True: a record with nan, inf or a number too large for float32 cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.
        select: the columns that become features, by number (from 0) or by name, in the order of
            the features; None: all that are neither label nor weight. The text of columns that are
            not selected does not matter.
        features: "matrix": one array, float32 [features]; "dict": one scalar, float32 [], for each
            feature by its name.
        missing: what becomes of an empty field, also one of blanks or `""`: "bad": the record
            cannot be decoded; "nan": the feature is nan, also with `finite=True`; a dict from
            columns to numbers: the feature is that number, and columns that the dict does not have
            are as with "bad". A label or a weight is never missing.

    Example:
        dataset = tfkafka.KafkaDataset(
            "susy-train", servers="localhost:9092", decode=tfkafka.CsvDecoder(18, label="key")
        )
        for features, label in dataset.take(1):  # float32 [18], float32 []
            print(features, label)
    """

    columns: int | Sequence[str]
    label: Literal["key"] | Key | Header | Column | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | Column | None = None
    _: KW_ONLY
    select: Sequence[int | str] | None = None
    features: Literal["matrix", "dict"] = "matrix"
    missing: Literal["bad", "nan"] | Mapping[str, float] | Mapping[int, float] = "bad"

    def __post_init__(self) -> None:
        # As what a manifest can hold, also where it was one of NumPy's types.
        object.__setattr__(self, "columns", _checked_columns(self.columns))
        self._check_targets(Column)
        self._refuse_weight_alone()
        arguments.optional(arguments.flag, "CsvDecoder: finite", self.finite)
        arguments.choice("CsvDecoder: features", self.features, LAYOUTS)
        if self.features == "dict" and self._names is None:
            raise ValueError(
                'CsvDecoder: features is "dict", and the columns have no names: give a list of '
                "names as columns"
            )
        if self.select is not None:
            object.__setattr__(self, "select", self._checked_select(self.select))
        if len(set(self._target_numbers.values())) < len(self._target_numbers):
            raise ValueError("CsvDecoder: label and sample_weight are the same column")
        if not self._feature_count:
            raise ValueError(
                f"CsvDecoder: columns is {arguments.shown(self.columns)}, must have one that is "
                f"neither label nor weight"
            )
        missing = checked_missing("CsvDecoder: missing", self.missing)
        if not isinstance(missing, str):
            missing = self._checked_fills(missing)
        object.__setattr__(self, "missing", missing)

    @property
    def element_spec(self) -> tuple[Spec, ...]:
        """The features as `features` says, and the label and the weight, [], if there are any."""
        features: Spec = ArraySpec((self._feature_count,), FLOAT32)
        if self.features == "dict":
            features = {name: ArraySpec((), FLOAT32) for name in self._feature_names}
        return features, *(source.spec for source in self._targets.values())

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        features, out = self._room(len(chunk))
        inside = {
            what: np.empty(len(chunk), self._targets[what].spec.dtype)
            for what in self._target_numbers
        }
        out |= {self._target_numbers[what]: array for what, array in inside.items()}
        faults = self._rows.read(chunk.values, out, self.finite)
        targets, others = self._outside(chunk, self.finite)
        targets |= inside
        arrays = (features, *(targets[what] for what in self._targets))
        return Decoded.of(arrays, len(chunk), others | faults)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        fields = [
            FieldPlan(
                "value",
                number,
                FLOAT32.name,
                name=self._names[number] if self._names else None,
                on_missing=on_missing(self.missing, self._key(number)),
            )
            for number in self._feature_numbers
        ]
        label, weight = self._target_plans(self._names or ())
        return DecoderPlan(
            "csv", tuple(fields), self.features, label, weight, self.finite, self._count
        )

    def _room(self, count: int) -> tuple[Arrays, dict[int, NDArray[Any]]]:
        """Return the features of `count` records, to be filled, and each by its column's number."""
        if self.features == "dict":
            arrays = {name: np.empty(count, FLOAT32) for name in self._feature_names}
            return arrays, dict(zip(self._feature_numbers, arrays.values(), strict=True))
        matrix = np.empty((count, self._feature_count), FLOAT32)
        return matrix, dict(zip(self._feature_numbers, matrix.T, strict=True))

    @property
    def _count(self) -> int:
        return self.columns if isinstance(self.columns, int) else len(self.columns)

    @property
    def _names(self) -> Sequence[str] | None:
        return None if isinstance(self.columns, int) else self.columns

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The numbers of the columns, by their names."""
        return {name: number for number, name in enumerate(self._names or ())}

    @cached_property
    def _target_numbers(self) -> dict[str, int]:
        """The numbers of the columns that are a label or a weight."""
        return {
            what: self._checked_number(f"CsvDecoder: {what}", source.column)
            for what, source in self._targets.items()
            if isinstance(source, Column)
        }

    @property
    def _feature_count(self) -> int:
        if self.select is not None:
            return len(self.select)
        return self._count - len(self._target_numbers)

    @cached_property
    def _feature_numbers(self) -> list[int]:
        """The numbers of the features' columns, in the order of the features."""
        if self.select is not None:
            return [self._number(each) for each in self.select]
        taken = self._target_numbers.values()
        return [number for number in range(self._count) if number not in taken]

    @property
    def _feature_names(self) -> list[str]:
        return [str(self._key(number)) for number in self._feature_numbers]

    @cached_property
    def _rows(self) -> CsvRows:
        """How the values are parsed."""
        columns = [
            CsvColumn(
                number,
                column_title(number, self._names),
                FLOAT32,
                on_missing=on_missing(self.missing, self._key(number)),
            )
            for number in self._feature_numbers
        ]
        for what, number in self._target_numbers.items():
            source, title = self._targets[what], f"{what}: {column_title(number, self._names)}"
            index_of = None if source.classes is None else source.index_of
            columns.append(CsvColumn(number, title, source.spec.dtype, index_of))
        columns.sort(key=lambda column: column.number)
        return CsvRows(self._count, {each.number: each for each in columns}, self._names)

    def _key(self, number: int) -> int | str:
        """Return what a column is known by: its name, if it has one."""
        return self._names[number] if self._names else number

    def _number(self, key: int | str) -> int:
        return self._numbers[key] if isinstance(key, str) else key

    def _checked_number(self, name: str, given: object) -> int:
        """Return the number of a column that is given by its number or its name."""
        if isinstance(given, str):
            what = "a name of the columns" if self._names else "a number: the columns have no names"
            arguments.choice(name, given, self._numbers, what)
            return self._numbers[given]
        what = "a column's number, from 0, or its name"
        return arguments.whole_number(name, given, 0, self._count - 1, what)

    def _checked_feature(self, name: str, given: object) -> int | str:
        number = self._checked_number(name, given)
        for what, taken in self._target_numbers.items():
            if number == taken:
                raise ValueError(f"{name} has the column of the {what}: {arguments.shown(given)}")
        return self._key(number)

    def _checked_select(self, given: object) -> tuple[int | str, ...]:
        name = "CsvDecoder: select"
        listed = arguments.in_order(name, given, "a list of columns' numbers or names, or None")
        keys = tuple(self._checked_feature(name, each) for each in listed)
        if not keys or len(set(keys)) < len(keys):
            raise ValueError(f"{name} is {arguments.shown(given)}, must be different columns")
        return keys

    def _checked_fills(self, given: Mapping[object, float]) -> dict[int | str, float]:
        """Return the numbers for missing values, by the columns' names if they have any."""
        name, fills = "CsvDecoder: missing", {}
        for key, value in given.items():
            # JSON makes text of the numbers of columns.
            if isinstance(key, str) and self._names is None and key.isdecimal():
                key = int(key)
            feature = self._checked_feature(name, key)
            if feature in fills:
                raise ValueError(
                    f"{name} is {arguments.shown(given)}, must have each column once: column "
                    f"{feature!r} is there twice"
                )
            fills[feature] = value
        features = self.select if self.select is not None else fills
        for key in fills:
            if key not in features:
                raise ValueError(f"{name} has {key!r}, which select does not have")
        return fills


def _checked_columns(given: object) -> int | tuple[str, ...]:
    """Return the number of the columns, or their names."""
    name, what = "CsvDecoder: columns", "the number of columns, or a list of their names"
    if not isinstance(given, Collection) or isinstance(given, str | bytes):
        return arguments.whole_number(name, given, 1, LARGEST_COLUMNS, what)
    names = arguments.texts(name, arguments.in_order(name, given, what))
    if len(set(names)) < len(names):
        raise ValueError(f"{name} is {arguments.shown(given)}, must be different names")
    return tuple(names)
