"""Decoders of values that are records with named fields, which may be records too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfkafka._util import arguments
from tfkafka.chunk import Chunk, Column
from tfkafka.decoding.base import Arrays, Decoded, Fault
from tfkafka.decoding.fields import WithFields
from tfkafka.decoding.missing import on_missing
from tfkafka.decoding.nested_fields import NestedField, tree_of


class WithNestedFields(WithFields):
    """A decoder of such values; "a.b" is the name of the field b of the record a."""

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode all records of a chunk, and return those that cannot be decoded as faults."""
        count = len(chunk)
        features, sinks = self._empty(count)
        targets = {
            what: np.zeros((count, *source.spec.shape), source.spec.dtype)
            for what, source in self._targets.items()
        }
        sinks += [targets[what].reshape(count, each.size) for what, each in self._inside.items()]
        faults, absent = self._read(chunk.values, sinks)
        outside, others = self._outside(chunk, self.finite)
        targets |= outside
        return Decoded.of((features, *targets.values()), count, others | faults, absent)

    @abstractmethod
    def _read(
        self, values: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        """Put the fields of all values into arrays.

        Args:
            sinks: for each of `_nested` an array [n, size], which may be of another type.

        Returns:
            The faults by their indices, and what none of the records has and a number stands for.
        """

    def _check_names(self) -> None:
        """Raise ValueError where a name is no path, or is given as a value and as a record."""
        who = type(self).__name__
        every = (*self._features, *self._inside.values())
        for name in (each.name for each in every):
            if not all(name.split(".")):
                raise ValueError(
                    f"{who}: fields has {arguments.shown(name)}: a name between dots is empty"
                )
        try:
            tree_of([tuple(each.name.split(".")) for each in every])
        except ValueError as error:
            raise ValueError(f"{who}: fields: {error}") from None

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
    def _nested(self) -> tuple[NestedField, ...]:
        """What is read of the values: the features, and then the label and the weight."""
        fields = []
        for each in self._features:
            fill = on_missing(self.missing, each.name)
            number = None if fill == "bad" else float(fill)
            fields.append(NestedField.of(each, self._dtype(each), fill=number))
        for what, each in self._inside.items():
            fields.append(NestedField.of(each, each.spec.dtype, f"{what}: "))
        return tuple(fields)
