"""The header that says of which record, and of which model, a prediction is."""

from __future__ import annotations

import numpy as np
import pytest

from tests import fillers
from tfkafka import native
from tfkafka.chunk import Chunk, Column, Position, TopicPartition
from tfkafka.errors import PredictionsError
from tfkafka.exactly_once import origins

SOURCES = TopicPartition("a.b-c_d", 0), TopicPartition("none", 5), TopicPartition("b" * 249, 2**31)
OFFSETS = [0, 9, 10, 99, 2**62, 2**63 - 1]


@pytest.fixture(params=fillers.NAMES)
def way(request, monkeypatch) -> None:
    library = fillers.native_library() if request.param == "native" else None
    monkeypatch.setattr(native, "library", lambda: library)


def chunk_of(offsets: list[int], source: list[int]) -> Chunk:
    values = Column.of([b"%d" % offset for offset in offsets], len(offsets))
    return Chunk(values, values, SOURCES, np.array(source, np.int32), np.array(offsets, np.int64))


def read_back(headers: list) -> Position:
    """The position that the headers of a prediction have."""
    one = np.fromiter([headers], object, 1)
    value = Column.of([b"1"], 1)
    numbers = np.zeros(1, np.int64)
    source = (TopicPartition("predictions", 3),)
    return origins.origin_of(
        Chunk(value, value, source, np.zeros(1, np.int32), numbers, numbers, one), 0
    )


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("model", ["model", "a/b", "/", "é ß 🜁", "7"])
def test_each_prediction_says_where_it_is_from(model):
    chunk = chunk_of([*OFFSETS, *OFFSETS], [0] * len(OFFSETS) + [2] * len(OFFSETS))
    written = origins.predictions(chunk, chunk.values, model)
    for index, (value, key, headers) in enumerate(written):
        ((name, origin),) = headers
        where = chunk.position(index)
        assert value == key == b"%d" % where.offset
        assert (name, origin.decode()) == ("tfkafka.source", "/".join(map(str, [*where, model])))
        assert read_back(headers) == where


@pytest.mark.usefixtures("way")
def test_parts_of_chunks_and_none():
    chunk = chunk_of(OFFSETS, [2, 0, 0, 2, 2, 0])
    for some in (chunk[2:5], chunk[::2], chunk[:0], chunk.select(np.array([5, 0]))):
        written = [*origins.predictions(some, some.values, "m")]
        assert [read_back(headers) for _, _, headers in written] == [
            some.position(index) for index in range(len(some))
        ]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        # A dead letter.
        [("tfkafka.topic", b"in"), ("tfkafka.partition", b"2"), ("tfkafka.offset", b"30")],
        [("tfkafka.source", None)],
        [("tfkafka.source", b"in/2/30")],
        [("tfkafka.source", b"in/2/x/m")],
        [("tfkafka.source", b"\xff/2/30/m")],
    ],
)
def test_what_is_no_prediction(headers):
    with pytest.raises(PredictionsError, match="topic predictions, partition 3, offset 0: not a"):
        read_back(headers)
