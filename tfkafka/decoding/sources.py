"""Where a decoder finds a label, a sample weight or a feature, and of which type it is."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, get_args

import numpy as np

from tfkafka._util import arguments
from tfkafka.decoding.base import ArraySpec

# The types that text and numbers are decoded as.
DType = Literal["float32", "float64", "int32", "int64"]
DTYPES: tuple[DType, ...] = get_args(DType)


@dataclass(frozen=True, kw_only=True)
class _Typed:
    """What all sources have in common.

    Attributes:
        dtype: "float32", "float64", "int32" or "int64"; None: float32 for a number, int64 for a
            class.
        classes: the names of the classes: the record has one of them, and it becomes its index.
    """

    _what: ClassVar[str]

    dtype: DType | None = None
    classes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        arguments.choice(f"{self._what}: dtype", self.dtype, (*DTYPES, None))
        if self.classes is None:
            return
        names = checked_names(f"{self._what}: classes", self.classes)
        object.__setattr__(self, "classes", names)

    @property
    def spec(self) -> ArraySpec:
        """The spec of one record."""
        return ArraySpec(
            (), np.dtype(self.dtype or ("float32" if self.classes is None else "int64"))
        )

    @cached_property
    def index_of(self) -> dict[bytes, int]:
        """The index of each class, by its name in UTF-8."""
        return {name.encode(): index for index, name in enumerate(self.classes or ())}


@dataclass(frozen=True)
class Key(_Typed):
    """The record's key, a number or the name of a class as text.

    Example:
        decode = tfkafka.CsvDecoder(18, label=tfkafka.Key(classes=["background", "signal"]))
    """

    _what = "Key"


@dataclass(frozen=True)
class Header(_Typed):
    """The record's header of a name, a number or the name of a class as text; the last of several.

    Example:
        decode = tfkafka.CsvDecoder(18, label=tfkafka.Header("label", dtype="int64"))
    """

    _what = "Header"

    name: str

    def __post_init__(self) -> None:
        arguments.text("Header: name", self.name)
        super().__post_init__()


@dataclass(frozen=True)
class Column(_Typed):
    """A column of a CSV record.

    Args:
        column: its number, counted from 0, or its name.

    Example:
        decode = tfkafka.CsvDecoder(19, label=tfkafka.Column(0))
    """

    _what = "Column"

    column: int | str

    def __post_init__(self) -> None:
        if isinstance(self.column, str):
            arguments.text("Column: column", self.column)
        else:
            what = "a number from 0, or a name"
            number = arguments.whole_number("Column: column", self.column, what=what)
            object.__setattr__(self, "column", number)
        super().__post_init__()


@dataclass(frozen=True)
class Field(_Typed):
    """A field of a structured record.

    Args:
        name: its name; in JSON "missing.energy" is the field energy of the object missing.
        shape: the shape of an array; (): one value.

    Example:
        hits = tfkafka.Field("hits", shape=(4,))
        decode = tfkafka.JsonDecoder(["met", hits], label=tfkafka.Field("label"))
    """

    _what = "Field"

    name: str
    shape: Sequence[int] = ()

    def __post_init__(self) -> None:
        arguments.text("Field: name", self.name)
        object.__setattr__(self, "shape", checked_shape("Field: shape", self.shape))
        super().__post_init__()

    @property
    def spec(self) -> ArraySpec:
        """The spec of one record."""
        return ArraySpec(tuple(self.shape), super().spec.dtype)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


Source = Key | Header | Column | Field


def quoted(name: str) -> str:
    """Return the name of a field in double quotes, on one line."""
    return json.dumps(name, ensure_ascii=not name.isprintable())


def checked_names(name: str, given: object, least: int = 1) -> tuple[str, ...]:
    """Return different names, in their order."""
    names = arguments.texts(name, given)
    # The order of a set is another one in each process.
    if isinstance(given, str | Set) or len(set(names)) < max(len(names), least):
        raise ValueError(
            f"{name} is {arguments.shown(given)}, must be a list of different names, at least "
            f"{least}"
        )
    return tuple(names)


def checked_shape(name: str, shape: object) -> tuple[int, ...]:
    """Return the shape of an array of fixed size."""
    what = "a shape: a list of numbers, each at least 1"
    # A dict and a set have no order.
    arguments.several(name, shape, what)
    arguments.instance(name, shape, Sequence, what)
    return tuple(arguments.whole_number(name, each, 1, what=what) for each in shape)  # type: ignore[attr-defined]
