"""What a decoder does, as data: enough for another parser, for example a native one, to do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tfkafka.decoding.missing import OnMissing
from tfkafka.decoding.sources import Column, Field, Header, Key, Source

# "matrix": one array with one column for each field; "dict": one array for each field, by its
# name; "array": one array, whose shape is that of the only field.
Features = Literal["matrix", "dict", "array"]
# What a decoder of several features takes as features=.
LAYOUTS = ("matrix", "dict")


@dataclass(frozen=True)
class FieldPlan:
    """One value of each record: where it is, and what it becomes.

    Attributes:
        origin: the part of the record.
        place: where it is there. For a value: the number of a column, counted from 0, or the path
            of a field; for a header: its name; None: the whole part.
        dtype: NumPy's name of the type.
        shape: the shape for one record.
        name: its name as a feature; None: it has none, or is no feature.
        classes: the names, one of which the record has as text; it becomes its index. None: the
            record has a number.
        on_missing: what becomes of a missing value.
    """

    origin: Literal["value", "key", "header"]
    place: int | str | None
    dtype: str
    shape: tuple[int, ...] = ()
    name: str | None = None
    classes: tuple[str, ...] | None = None
    on_missing: OnMissing = "bad"


@dataclass(frozen=True)
class DecoderPlan:
    """What a decoder does.

    Attributes:
        format: what a record's value is, for example "csv".
        fields: the features, in their order.
        features: how the features are laid out.
        label, sample_weight: the label and the sample weight; None: there is none.
        finite: whether a number that is not finite makes the record bad; None: it is left open.
        columns: how many columns a record of CSV has; None: the format has no columns.
    """

    format: str
    fields: tuple[FieldPlan, ...]
    features: Features
    label: FieldPlan | None = None
    sample_weight: FieldPlan | None = None
    finite: bool | None = None
    columns: int | None = None


def field_plan(field: Field, dtype: str, put: OnMissing) -> FieldPlan:
    """Return the plan of a feature that is a named field of the value.

    Args:
        dtype: NumPy's name of the type that it becomes.
        put: what becomes of a missing value.
    """
    classes = None if field.classes is None else tuple(field.classes)
    return FieldPlan("value", field.name, dtype, field.spec.shape, field.name, classes, put)


def target_plan(source: Source, columns: Sequence[str]) -> FieldPlan:
    """Return the plan of a label or of a sample weight.

    Args:
        source: where it is.
        columns: the names of a record's columns, for a `Column` that is given by its name.
    """
    origin: Literal["value", "key", "header"] = "value"
    place: int | str | None = None
    match source:
        case Key():
            origin = "key"
        case Header():
            origin, place = "header", source.name
        case Column():
            place = source.column
            if isinstance(place, str):
                place = columns.index(place)
        case Field():
            place = source.name
    classes = None if source.classes is None else tuple(source.classes)
    spec = source.spec
    return FieldPlan(origin, place, spec.dtype.name, spec.shape, classes=classes)
