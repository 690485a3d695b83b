"""Which fields of nested records are read, where they are, and what they become."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tfkafka.decoding.base import ArraySpec
from tfkafka.decoding.sources import Field, quoted

# The names that are read of a record: each has the number of a field, or is a record itself.
Tree: TypeAlias = "dict[str, int | Tree]"


@dataclass(frozen=True)
class NestedField:
    """One value of each record.

    Attributes:
        title: what it is, for reasons.
        path: the names of the records around it, and its own.
        spec: the array that it becomes.
        into: the type of the array that this one is put into.
        index_of: the index of each class, by its name; None: the field is no class.
        fill: what a missing value and null become; None: the record is bad.
    """

    title: str
    path: tuple[str, ...]
    spec: ArraySpec
    into: np.dtype[Any]
    index_of: Mapping[str, int] | None = None
    fill: float | None = None

    @classmethod
    def of(
        cls,
        source: Field,
        into: np.dtype[Any],
        prefix: str = "",
        fill: float | None = None,
    ) -> NestedField:
        """Return the field that a source describes.

        Args:
            into: see the class.
            prefix: what its title begins with: "label: " for a label.
            fill: see the class.
        """
        spec = source.spec
        if spec.dtype.kind == into.kind == "f":
            # Rounded once, and only what this type holds is finite.
            spec = ArraySpec(spec.shape, into)
        index_of = None
        if source.classes is not None:
            index_of = {name: index for index, name in enumerate(source.classes)}
        title = f"{prefix}field {quoted(source.name)}"
        return cls(title, tuple(source.name.split(".")), spec, into, index_of, fill)

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.spec.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that its values become."""
        return self.spec.dtype


def tree_of(paths: Sequence[tuple[str, ...]]) -> Tree:
    """Return the tree of paths that differ. Raises ValueError where two do not go together."""
    tree: Tree = {}
    for number, path in enumerate(paths):
        objects = tree
        for name in path[:-1]:
            below = objects.setdefault(name, {})
            if isinstance(below, int):
                raise ValueError(_both(paths[below], path))
            objects = below
        before = objects.setdefault(path[-1], number)
        if isinstance(before, dict):
            raise ValueError(_both(path, paths[_any_field(before)]))
    return tree


def numbers_of(below: int | Tree) -> list[int]:
    """Return the numbers of all fields in a part of a tree."""
    if isinstance(below, int):
        return [below]
    return [number for each in below.values() for number in numbers_of(each)]


def _any_field(tree: Tree) -> int:
    below = next(iter(tree.values()))
    return below if isinstance(below, int) else _any_field(below)


def _both(path: tuple[str, ...], longer: tuple[str, ...]) -> str:
    return (
        f"field {quoted('.'.join(path))} is given as a value, "
        f"and as an object with the field {quoted('.'.join(longer))}"
    )
