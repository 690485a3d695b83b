"""Labels and sample weights: what all decoders have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfkafka import native
from tfkafka._util import arguments
from tfkafka.chunk import Chunk
from tfkafka.chunk import Column as Texts
from tfkafka.decoding.base import Fault
from tfkafka.decoding.native_classes import find_classes
from tfkafka.decoding.numbers import parse_numbers
from tfkafka.decoding.plan import FieldPlan, target_plan
from tfkafka.decoding.sources import Column, Field, Header, Key, Source

KEY = "key"
# "key" is Key().
Given = Literal["key"] | Source | None
TARGETS = ("label", "sample_weight")


class WithTargets:
    """A decoder's label and sample weight, as the user gave them: the base of all decoders."""

    label: Given
    sample_weight: Given

    @property
    def needs_headers(self) -> bool:
        """Whether a label or weight is in a header."""
        return any(isinstance(source, Header) for source in self._targets.values())

    def _check_targets(self, inside: type[Column | Field] | None = None) -> None:
        """Check the two sources: see `_check_source`."""
        for name in TARGETS:
            _check_source(f"{type(self).__name__}: {name}", getattr(self, name), inside)

    def _refuse_weight_alone(self) -> None:
        """Raise ValueError where a weight has no label beside it: Keras has no place for it."""
        if self.sample_weight is not None and self.label is None:
            raise ValueError(
                f"{type(self).__name__}: sample_weight is given and label is not: give label= too"
            )

    @cached_property
    def _targets(self) -> dict[str, Source]:
        """The sources of the label and of the weight, where there are any."""
        given = {name: getattr(self, name) for name in TARGETS}
        return {
            name: Key() if isinstance(source, str) else source
            for name, source in given.items()
            if source is not None
        }

    def _target_plans(
        self, columns: Sequence[str] = ()
    ) -> tuple[FieldPlan | None, FieldPlan | None]:
        """Return the plans of the label and of the weight; None where there is none.

        Args:
            columns: the names of a record's columns, if it has any.
        """
        plans = {name: target_plan(each, columns) for name, each in self._targets.items()}
        label, weight = map(plans.get, TARGETS)
        return label, weight

    def _outside(
        self, chunk: Chunk, finite: bool | None
    ) -> tuple[dict[str, NDArray[Any]], dict[int, Fault]]:
        """Return what keys and headers have of the label and the weight, and the faults.

        Args:
            finite: whether a number that is not finite is a fault.
        """
        arrays: dict[str, NDArray[Any]] = {}
        faults: dict[int, Fault] = {}
        for name, source in self._targets.items():
            if isinstance(source, Key | Header):
                arrays[name], others = outside(chunk, name, source, finite)
                faults = others | faults
        return arrays, faults


def _check_source(name: str, given: object, inside: type[Column | Field] | None) -> None:
    """Check the source of a label or of a weight.

    Args:
        name: the decoder's name and the argument's, for errors.
        given: `"key"`, a source, or None.
        inside: the class of the sources that the decoder finds in the value.
    """
    kinds: tuple[type, ...] = (Key, Header)
    what = '"key", Key(), Header(name)'
    if inside is not None:
        kinds += (inside,)
        what += (
            f", {inside.__name__}({arguments.shown(given) if isinstance(given, str) else 'name'})"
        )
    if isinstance(given, str):
        arguments.choice(name, given, (KEY,), f"{what}, or None")
    elif given is not None:
        arguments.instance(name, given, kinds, f"{what}, or None")


def outside(
    chunk: Chunk, what: str, source: Source, finite: bool | None
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return what the records have in their keys or headers, [n], and the faults.

    Args:
        what: "label" or "sample_weight", for reasons.
        source: a `Key` or a `Header`.
        finite: whether a number that is not finite is a fault.
    """
    if not isinstance(source, Header):
        return parse_texts(chunk.keys, what, source, finite)
    found, missing = _headers(chunk, source.name)
    array, faults = parse_texts(found, what, source, finite)
    kind = f"{what}: has no header {source.name!r}"
    return array, faults | {index: Fault.of(index, kind) for index in missing}


def parse_texts(
    texts: Texts, what: str, source: Source, finite: bool | None
) -> tuple[NDArray[Any], dict[int, Fault]]:
    """Return the numbers or the indices of classes that texts name, [n], and the faults."""
    dtype = source.spec.dtype
    if source.classes is not None:
        return _classes(texts, what, source.index_of, dtype)
    return parse_numbers(texts, dtype, what, finite)


def _classes(
    texts: Texts, what: str, index_of: Mapping[bytes, int], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], dict[int, Fault]]:
    library = native.library()
    if library is None:
        found = np.array([index_of.get(text, -1) for text in texts.entries], np.int64)
    else:
        found = find_classes(library, index_of, texts)
    wrong = np.flatnonzero(found < 0)
    faults = {
        index: Fault.of(index, f"{what}: is none of the classes", text)
        if text
        else Fault.of(index, f"{what}: is {'null' if text is None else 'empty'}")
        for index, text in zip(wrong.tolist(), texts.take(wrong).entries, strict=True)
    }
    return found.astype(dtype), faults


def _headers(chunk: Chunk, name: str) -> tuple[Texts, list[int]]:
    """Return the value of a header of each record, and the indices of records without it."""
    _, headers = chunk.metadata
    values, missing = np.empty(len(chunk), object), []
    for index, each in enumerate(headers):
        having = [value for other, value in each if other == name]
        if having:
            values[index] = having[-1]
        else:
            missing.append(index)
    return Texts(values), missing
