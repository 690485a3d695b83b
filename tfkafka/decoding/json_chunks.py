"""Chunks of JSON records: most are parsed together, and the odd ones one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfkafka import native
from tfkafka.chunk import Column
from tfkafka.decoding import json_exact
from tfkafka.decoding.base import Fault
from tfkafka.decoding.json_frames import FrameJson
from tfkafka.decoding.json_native import NativeJson
from tfkafka.decoding.nested_fields import NestedField, Tree, tree_of
from tfkafka.decoding.nested_values import WrongRecord


class Parser(Protocol):
    """Parses the values of many records at once."""

    def read(
        self, rows: Column, sinks: Sequence[NDArray[Any]], seen: set[str]
    ) -> NDArray[np.int64]:
        """Put the values that are surely right into arrays.

        Args:
            rows: the records' values.
            sinks: for each field an array [n, size], which may be of another type.
            seen: the titles of fields that any of the records has are added.

        Returns:
            The indices of all other records, ascending: they may have any values.
        """


@dataclass(frozen=True)
class JsonChunks:
    """How the values of chunks become arrays.

    Attributes:
        fields: what is read.
        finite: whether a number that is not finite makes a record bad.
    """

    fields: tuple[NestedField, ...]
    finite: bool | None

    def read(
        self, rows: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        """Put the values of all records into arrays.

        Without the native library, raises ForkError in a child that was forked after polars had
        been used.

        Args:
            rows: the records' values.
            sinks: for each field an array [n, size], which may be of another type.

        Returns:
            The faults by their indices, and what none of the records has and a number stands for.
        """
        library = native.library()
        parser: Parser = (
            FrameJson(self.fields, self._tree, bool(self.finite))
            if library is None
            else NativeJson(library, self.fields, self._tree, bool(self.finite))
        )
        seen: set[str] = set()
        odd = parser.read(rows, sinks, seen)
        faults = self._read_one_by_one(rows, odd, sinks, seen)
        may_miss = {field.title for field in self.fields if field.fill is not None}
        return faults, frozenset(may_miss - seen)

    def _read_one_by_one(
        self,
        rows: Column,
        odd: NDArray[np.int64],
        sinks: Sequence[NDArray[Any]],
        seen: set[str],
    ) -> dict[int, Fault]:
        """Do as `read` does for the records that are odd."""
        faults = {}
        for index, row in zip(odd.tolist(), rows.take(odd).entries.tolist(), strict=True):
            try:
                found = json_exact.values(row, self._tree, self.fields, self.finite, seen)
            except WrongRecord as wrong:
                faults[index] = Fault.of(index, wrong.kind, wrong.value)
                continue
            for sink, array in zip(sinks, found, strict=True):
                sink[index] = array
        return faults

    @cached_property
    def _tree(self) -> Tree:
        return tree_of([field.path for field in self.fields])
