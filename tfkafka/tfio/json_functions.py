"""tensorflow-io's function of JSON records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.decoding.json_exact import parse
from tfkafka.decoding.nested_values import Repeating, WrongRecord, kind_of, shown
from tfkafka.decoding.sources import quoted
from tfkafka.tfio.record_functions import Arrays, apply, in_order, strings

_DTYPES = (tf.bool, tf.int32, tf.int64, tf.float32, tf.float64, tf.string)
_WHAT = "tf.TensorSpec, or dicts, lists and tuples of it"


@dataclass(frozen=True)
class _Value:
    """A value of a record that becomes a tensor.

    Attributes:
        pointer: where it is, as a JSON pointer.
        spec: its shape and its type.
    """

    pointer: str
    spec: tf.TensorSpec

    @property
    def title(self) -> str:
        return f"field {quoted(self.pointer)}"

    @property
    def dtype(self) -> tf.DType:
        return self.spec.dtype

    @property
    def shape(self) -> list[int]:
        """Its shape; -1 for the one size that is not known."""
        return [-1 if size is None else size for size in self.spec.shape.as_list()]

    def of(self, record: dict[str, Any]) -> NDArray[Any]:
        """Return its array in a record."""
        found: Any = record
        for step in self.pointer.split("/")[1:]:
            found = self._inner(found, step.replace("~1", "/").replace("~0", "~"))
        try:
            items = self._flat(found)
        except RecursionError:
            self._refuse("is nested too deeply")
        array = np.empty(len(items), self.dtype.as_numpy_dtype)
        with np.errstate(over="ignore"):
            array[:] = [self._item(item) for item in items]
        try:
            return array.reshape(self.shape)
        except ValueError:
            self._refuse(f"has {len(items)} values, which is not the shape {self.spec.shape}")

    def _inner(self, outer: Any, step: str) -> Any:
        """Return what an object or an array has in it."""
        if isinstance(outer, Repeating) and step in outer.repeated:
            self._refuse("occurs more than once")
        if isinstance(outer, dict) and step in outer:
            return outer[step]
        if isinstance(outer, list) and step.isdecimal() and int(step) < len(outer):
            return outer[int(step)]
        self._refuse("is missing")

    def _flat(self, value: Any) -> list[Any]:
        """Return the values in nested arrays, in their order: the spec alone says their shape."""
        if not isinstance(value, list):
            return [value]
        parts = [self._flat(each) for each in value]
        if (
            len(
                {
                    (isinstance(each, list), len(part))
                    for each, part in zip(value, parts, strict=True)
                }
            )
            > 1
        ):
            self._refuse("has arrays of different lengths in it")
        return [item for part in parts for item in part]

    def _item(self, value: Any) -> Any:
        """Return one value as an array can have it."""
        if self.dtype == tf.string:
            if not isinstance(value, str):
                self._refuse_kind(value, "text")
            try:
                return value.encode()
            except UnicodeEncodeError:
                self._refuse("has half of a surrogate pair", value)
        if self.dtype == tf.bool:
            if not isinstance(value, bool):
                self._refuse_kind(value, "true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse_kind(value, "a number")
        return self._number(value)

    def _number(self, value: float) -> float:
        if self.dtype.is_floating:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isinf(number):
                self._refuse("is beyond float64", value)
            return number
        limits = np.iinfo(self.dtype.as_numpy_dtype)
        if isinstance(value, float) and not value.is_integer():
            self._refuse("is not a whole number", value)
        if not limits.min <= value <= limits.max:
            self._refuse(f"is beyond {self.dtype.name}", value)
        return int(value)

    def _refuse_kind(self, value: Any, wanted: str) -> NoReturn:
        self._refuse(f"is {kind_of(value)}, not {wanted}", value)

    def _refuse(self, what: str, value: Any = None) -> NoReturn:
        raise WrongRecord(f"{self.title} {what}", shown(value))


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def decode_json(data: Any, specs: Any, name: str | None = None) -> Any:
    """Decode JSON objects.

    `JsonDecoder` is much faster, and reads classes and missing values.

    Args:
        data: string [...], the objects.
        specs: nested dicts, lists and tuples of `tf.TensorSpec`, as the values are nested in an
            object. A key is a JSON pointer: "a/b" is b in a. One size of a shape may be None. The
            types are bool, int32, int64, float32, float64 and string.
        name: the name of the TensorFlow operation.

    Returns:
        The tensors, nested as `specs`, each of the shape of `data` and then that of its spec. The
        values of nested arrays are taken in their order.

    Raises:
        TypeError, ValueError: `specs` has something else.
        tf.errors.InvalidArgumentError: a record is no JSON object, a value is missing, of another
            type or too large for it, or has another shape.

    Example:
        import tensorflow as tf

        from tfkafka.tfio.experimental import serialization

        specs = {"x": tf.TensorSpec([2], tf.float32)}
        print(serialization.decode_json('{"x": [0.5, 1.5]}', specs)["x"])  # float32 [2]
    """
    values: list[_Value] = tf.nest.flatten(_named(specs, ""))
    if not values:
        raise ValueError(f"decode_json: specs is {arguments.shown(specs)}, must be {_WHAT}")
    records = strings("decode_json: data", data)

    def decode(texts: NDArray[Any]) -> Arrays:
        rows: list[list[NDArray[Any]]] = []

        def decode_one(text: bytes) -> None:
            record = parse(text)
            rows.append([value.of(record) for value in values])

        in_order(texts, decode_one)
        return [_stacked(value, texts.shape, rows, number) for number, value in enumerate(values)]

    found = apply("decode_json", decode, [records], [value.dtype for value in values], name)
    for each, value in zip(found, values, strict=True):
        each.set_shape(records.shape.concatenate(value.spec.shape))
    return tf.nest.pack_sequence_as(specs, found)


def _stacked(
    value: _Value, shape: tuple[int, ...], rows: list[list[NDArray[Any]]], number: int
) -> NDArray[Any]:
    """Return the arrays of all records as one."""
    arrays = [row[number] for row in rows]
    found = {array.shape for array in arrays} or {tuple(max(size, 0) for size in value.shape)}
    if len(found) > 1:
        shapes = " and ".join(sorted(map(str, found)))
        raise WrongRecord(f"{value.title} has other shapes in other records: {shapes}")
    stacked = np.empty((len(arrays), *found.pop()), value.dtype.as_numpy_dtype)
    for index, array in enumerate(arrays):
        stacked[index, ...] = array
    return stacked.reshape((*shape, *stacked.shape[1:]))


def _named(specs: Any, pointer: str) -> Any:
    """Return the value for each spec, in the same structure."""
    if isinstance(specs, Mapping):
        return {key: _named(each, f"{pointer}/{key}") for key, each in specs.items()}
    if isinstance(specs, list | tuple):
        return [_named(each, f"{pointer}/{index}") for index, each in enumerate(specs)]
    where = f" at {quoted(pointer)}" if pointer else ""
    if type(specs) is not tf.TensorSpec:
        raise TypeError(f"decode_json: specs{where} is {arguments.shown(specs)}, must be {_WHAT}")
    shape = specs.shape.as_list() if specs.shape.rank is not None else [None, None]
    if specs.dtype not in _DTYPES or shape.count(None) > 1:
        raise ValueError(
            f"decode_json: specs{where} is {arguments.shown(specs)}, must have one of the types "
            f"{', '.join(dtype.name for dtype in _DTYPES)}, and a shape with at most one None"
        )
    return _Value(pointer, specs)
