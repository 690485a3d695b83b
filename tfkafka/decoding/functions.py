"""Decoding by a function of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka._util.columns import joined
from tfkafka.chunk import Chunk
from tfkafka.decoding.base import Arrays, ArraySpec, Decoded, Fault, Spec, map_arrays
from tfkafka.decoding.halving import call_in_parts
from tfkafka.decoding.sources import Header, Key
from tfkafka.decoding.targets import WithTargets

_PARTS = ("features", "label", "sample_weight")
_SPEC = "an ArraySpec or a tf.TensorSpec, a dict of them, or a tuple (features, label, weight)"
# How much of an exception's text a reason has.
_REASON_LENGTH = 200


class _Specs(tuple[Spec, ...]):
    """The specs of all arrays; given as a decoder's `element_spec` again, they mean the same.

    `dataclasses.replace` does so.

    Attributes:
        returned: how many of them, from the first one on, are those of what fn returns.
    """

    returned: int

    @classmethod
    def of(cls, returned: tuple[Spec, ...], others: tuple[Spec, ...]) -> _Specs:
        """Return the specs of what fn returns, and the others."""
        specs = cls((*returned, *others))
        specs.returned = len(returned)
        return specs


@dataclass(frozen=True)
class FunctionDecoder(WithTargets):
    """A decoder that is a function from a list of values to arrays.

    The function gets many values at once, none of them null. Where it raises an exception, it is
    called again with parts of them, until the values that it cannot decode are found: each is a bad
    record, with the exception as the reason. So the function must not depend on which values come
    together.

    Args:
        fn: a function from a list of n bytes objects to the features: an array [n, ...], or a dict
            of arrays; or to a tuple of features, label and sample weight.
        element_spec: the shapes and dtypes for one record: an `ArraySpec`, or anything with a shape
            and a dtype, for example a `tf.TensorSpec`; a dict of these; or a tuple of both kinds,
            as fn returns it. As an attribute it is a tuple, with the label and the weight that are
            not in the value.
        label: "key" takes the label from the record's key, a number as text; `Key` and `Header`
            have its type; None: the function returns it, or there is none.
        sample_weight: where the weight of the record is, as for `label`.

    Reading raises ValueError where fn returns something else than element_spec says.

    Example:
        def lengths(values):
            return np.array([len(value) for value in values])


        decode = tfkafka.FunctionDecoder(lengths, tfkafka.ArraySpec((), np.dtype(np.int64)))
        dataset = tfkafka.KafkaDataset("susy-train", servers="localhost:9092", decode=decode)
        for length in dataset.take(1):  # int64 []
            print(length)
    """

    fn: Callable[[list[bytes]], Any]
    element_spec: Any
    label: Literal["key"] | Key | Header | None = None
    sample_weight: Literal["key"] | Key | Header | None = None

    def __post_init__(self) -> None:
        arguments.function("FunctionDecoder: fn", self.fn)
        given = self.element_spec
        returned = _checked_specs(given[: given.returned] if isinstance(given, _Specs) else given)
        self._check_targets()
        for name in _PARTS[1 : len(returned)]:
            if getattr(self, name) is not None:
                raise ValueError(
                    f"FunctionDecoder: {name} is given, and element_spec has one too: "
                    f"leave one of them out"
                )
        if len(returned) == 1:
            self._refuse_weight_alone()
        others = tuple(source.spec for source in self._targets.values())
        object.__setattr__(self, "element_spec", _Specs.of(returned, others))

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that fn cannot decode as faults."""
        entries = chunk.values.entries.tolist()
        filled = [index for index, value in enumerate(entries) if value is not None]
        faults = {
            index: Fault.of(index, "is null")
            for index, value in enumerate(entries)
            if value is None
        }
        arrays, reasons = self._call([entries[index] for index in filled])
        for number, error in reasons.items():
            faults[filled[number]] = fault_of(filled[number], error)
        kept = np.array([index for index in filled if index not in faults], np.int64)
        targets, others = self._outside(chunk, None)
        faults = others | faults
        arrays += tuple(array[kept] for array in targets.values())
        is_right = np.array([index not in faults for index in kept.tolist()], np.bool_)
        found = map_arrays(lambda array: array[is_right], arrays)
        reported = tuple(faults[index] for index in sorted(faults))
        return Decoded(found, kept[is_right], reported)

    @property
    def _returned(self) -> tuple[Spec, ...]:
        """The specs of what fn returns."""
        specs: _Specs = self.element_spec
        return specs[: specs.returned]

    def _call(self, values: list[bytes]) -> tuple[tuple[Arrays, ...], dict[int, Exception]]:
        """Return the arrays of the values that fn can decode, and the exceptions for the others."""
        parts, errors = call_in_parts(self.fn, values, self._checked)
        pieces = zip(*(parts or [self._empty()]), strict=True)
        return tuple(joined(list(each)) for each in pieces), errors

    def _checked(self, returned: Any, count: int) -> tuple[Arrays, ...]:
        """Return what fn returned for `count` values, as arrays."""
        specs = self._returned
        given = returned if isinstance(returned, tuple) else (returned,)
        if len(given) != len(specs):
            _refuse(f"{len(given)} parts", f"{len(specs)}: {', '.join(_PARTS[: len(specs)])}")
        checked: list[Arrays] = []
        for what, each, spec in zip(_PARTS, given, specs, strict=False):
            if not isinstance(spec, Mapping):
                checked.append(_array(what, each, spec, count))
                continue
            if not isinstance(each, Mapping) or each.keys() != spec.keys():
                found = list(each) if isinstance(each, Mapping) else type(each).__name__
                _refuse(f"{found} as {what}", f"a dict with the keys {list(spec)}")
            checked.append(
                {
                    name: _array(f"{what} {name!r}", each[name], one, count)
                    for name, one in spec.items()
                }
            )
        return tuple(checked)

    def _empty(self) -> tuple[Arrays, ...]:
        return tuple(
            {name: _zeros(each) for name, each in spec.items()}
            if isinstance(spec, Mapping)
            else _zeros(spec)
            for spec in self._returned
        )


def _checked_specs(given: Any) -> tuple[Spec, ...]:
    specs = given if isinstance(given, tuple) else (given,)
    if not 1 <= len(specs) <= len(_PARTS):
        _refuse_spec(given)
    checked: list[Spec] = []
    for each in specs:
        if not isinstance(each, Mapping):
            checked.append(_checked_spec(each, given))
            continue
        if not each:
            _refuse_spec(given)
        arguments.mapping("FunctionDecoder: element_spec", each)
        checked.append({name: _checked_spec(one, given) for name, one in each.items()})
    return tuple(checked)


def _checked_spec(each: Any, given: Any) -> ArraySpec:
    try:
        shape = tuple(each.shape)
        dtype = np.dtype(getattr(each.dtype, "as_numpy_dtype", each.dtype))
    except (AttributeError, TypeError, ValueError):
        _refuse_spec(given)
    what = "a shape whose lengths are known, without the axis of the records"
    lengths = [arguments.whole_number("FunctionDecoder: element_spec", n, what=what) for n in shape]
    return ArraySpec(tuple(lengths), dtype)


def _refuse_spec(given: Any) -> NoReturn:
    raise TypeError(f"FunctionDecoder: element_spec is {arguments.shown(given)}, must be {_SPEC}")


def _array(what: str, given: Any, spec: ArraySpec, count: int) -> NDArray[Any]:
    """Return one array that fn returned."""
    try:
        array = np.asarray(given)
    except Exception as error:
        _refuse(f"no array as {what}: {_line(error)}", _described(spec, count))
    if spec.dtype == object and array.dtype.kind in "SU":
        array = array.astype(object)
    if array.shape != (count, *spec.shape) or array.dtype != spec.dtype:
        _refuse(f"{array.dtype.name} {array.shape} as {what}", _described(spec, count))
    return array


def _described(spec: ArraySpec, count: int) -> str:
    return f"{spec.dtype.name} {(count, *spec.shape)} for {count} values: see element_spec"


def _refuse(found: str, wanted: str) -> NoReturn:
    raise ValueError(f"FunctionDecoder: fn returned {found}, must return {wanted}")


def fault_of(index: int, error: Exception) -> Fault:
    """Return a fault whose reason is what a function of the user's raised."""
    kind = f"raised {type(error).__name__}"
    return Fault(index, f"{kind}: {_line(error)}".removesuffix(": "), kind)


def _line(error: Exception) -> str:
    """Return the text of an exception on one line."""
    try:
        line = " ".join(str(error).split())
    except Exception:
        return ""
    return line if len(line) <= _REASON_LENGTH else f"{line[:_REASON_LENGTH]}..."


def _zeros(spec: ArraySpec) -> NDArray[Any]:
    return np.zeros((0, *spec.shape), spec.dtype)
