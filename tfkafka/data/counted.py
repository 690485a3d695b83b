"""Iterators of datasets that count what a Python loop has taken of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any


def count_taken(iterator: Any, taken: Callable[[], None]) -> Iterator[Any]:
    """Return the same iterator, which calls `taken` after each element.

    It stays an iterator of TensorFlow, which a `tf.function` accepts as an argument, as Keras'
    training loop needs it. What a graph takes is not counted.
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
