"""Chunks of columns as batches of one size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.properties import few
from tfkafka.reading.batches import rebatched
from tfkafka.reading.elements import Columns, Metadata


def columns(begin: int, rows: int) -> Columns:
    """Columns of each kind, each of whose rows has its own number."""
    numbers = np.arange(begin, begin + rows)
    texts = np.array([b"%d" % number for number in numbers], object)
    return np.stack([numbers, -numbers], 1), {"x": numbers, "s": texts}, Metadata(*[numbers] * 7)


@few
@given(lengths=st.lists(st.integers(1, 30), max_size=8), size=st.integers(1, 40))
def test_each_row_is_in_one_batch_in_order(lengths, size):
    begins = np.cumsum([0, *lengths]).tolist()
    chunks = [(columns(begin, rows), rows) for begin, rows in zip(begins, lengths, strict=False)]
    batches = list(rebatched(chunks, size))
    total = sum(lengths)
    sizes = [len(matrix) for matrix, _, _ in batches]
    assert sizes == [size] * (total // size) + [total % size] * (total % size > 0)
    begin = 0
    for matrix, named, metadata in batches:
        expected, names, _ = columns(begin, len(matrix))
        assert np.array_equal(matrix, expected)
        assert list(named) == ["x", "s"]
        assert all(np.array_equal(named[name], names[name]) for name in names)
        assert isinstance(metadata, Metadata)
        assert all(np.array_equal(each, names["x"]) for each in metadata)
        begin += len(matrix)


def test_a_batch_comes_as_soon_as_it_is_full():
    taken = []

    def chunks():
        for begin in (0, 3, 6):
            taken.append(begin)
            yield columns(begin, 3), 3

    batches = rebatched(chunks(), 3)
    next(batches)
    assert taken == [0]
