"""Dataset iterators that count the elements that a Python loop takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any


def count_taken(iterator: Any, taken: Callable[[], None]) -> Iterator[Any]:
    """Return the same iterator, made to call `taken` after each element.

    It remains a TensorFlow iterator, which a `tf.function` accepts as an argument; Keras' training
    loop needs that. Elements that a graph takes are not counted.
    """
    iterator._taken = taken
    kind: Any = type(iterator)
    iterator.__class__ = _counting(kind)
    counting: Iterator[Any] = iterator
    return counting


@functools.cache
def _counting(kind: Any) -> type:
    def take_next(self: Any) -> Any:
        element = kind.__next__(self)
        self._taken()
        return element

    return type("CountingIterator", (kind,), {"__next__": take_next})
