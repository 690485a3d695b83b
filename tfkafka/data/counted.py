"""Iterators of datasets that count what a Python loop has taken of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any


def count_taken(iterator: Iterator[Any], taken: Callable[[], None]) -> Iterator[Any]:
    """Return the same iterator, which calls `taken` after each element.

    It stays an iterator of TensorFlow, which a `tf.function` accepts as an argument, as Keras'
    training loop needs it. What a graph takes is not counted.
    """
    iterator._taken = taken
    iterator.__class__ = _counting(type(iterator))
    return iterator


@functools.cache
def _counting(kind: type) -> type:
    class CountingIterator(kind):
        def __next__(self) -> Any:
            element = super().__next__()
            self._taken()
            return element

    return CountingIterator
