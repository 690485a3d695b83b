"""The place after so many elements of an iteration, against a simple model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.messages import fill, message
from tests.unit.properties import few
from tfkafka.chunk import TopicPartition
from tfkafka.errors import ManifestError, OffsetError
from tfkafka.reading import progress
from tfkafka.reading.progress import Place, ReadLog, Total


def delivered(log: ReadLog, chunks: list[list[tuple[int, bool]]]) -> list[tuple[int, int]]:
    """Deliver chunks of (partition, whether it is kept); return (partition, offset) of the kept."""
    offsets: dict[int, int] = {}
    kept = []
    for rows in chunks:
        places = []
        for partition, _ in rows:
            offsets[partition] = offsets.get(partition, -1) + 1
            places.append((partition, offsets[partition]))
        chunk = fill(message(partition=p, offset=o) for p, o in places)
        mask = np.array([is_kept for _, is_kept in rows], np.bool_)
        log.deliver(chunk, chunk.select(mask))
        kept += [place for place, (_, is_kept) in zip(places, rows, strict=True) if is_kept]
    return kept


ROWS = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=8)


@few
@given(chunks=st.lists(ROWS, max_size=8), spacing=st.integers(1, 20), data=st.data())
def test_what_follows_a_place_is_what_was_not_used(chunks, spacing, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "SPACING", spacing)
        log = ReadLog("t", Place())
        kept = delivered(log, chunks)
    assert log.elements == len(kept)
    used = data.draw(st.integers(0, len(kept)))
    place = log.after(used)
    after = {source.partition: offset for source, offset in place.next_offsets.items()}
    following = [(p, o) for p, o in kept if o >= after.get(p, 0)]
    assert following[place.skip :] == kept[used:]
    assert place.skip < spacing + 8
    for wrong in (-1, len(kept) + 1):
        with pytest.raises(ValueError, match="were delivered in this iteration"):
            log.after(wrong)


def test_a_resumed_iteration_counts_from_its_own_beginning():
    begin = Place({TopicPartition("t", 0): 0}, read=100, skip=3)
    log = ReadLog("t", begin)
    assert log.after(0) == begin
    delivered(log, [[(0, True)] * 8])
    assert log.elements == 5
    assert log.after(5).skip == 8
    assert log.after(5).read == 100


def test_the_end_is_refused_where_records_are_missing():
    log = ReadLog("t", Place(read=7), Total(10, None))
    delivered(log, [[(0, True), (0, False)]])
    with pytest.raises(OffsetError, match=r"topic t: .* had 10 records and have 9 now"):
        log.end()
    assert not log.is_whole and log.total is None


@pytest.mark.parametrize("expected", [None, Total(9, None), Total(9, 1)])
def test_the_end_is_whole_where_none_is_missing(expected):
    log = ReadLog("t", Place(read=7), expected)
    delivered(log, [[(0, True), (0, False)]])
    # The end of what is expected is known before it is asked for.
    assert log.is_whole == (expected is not None)
    log.end()
    assert log.is_whole and log.total == Total(9, 1)


@pytest.mark.parametrize("elements", [0, 2])
def test_a_decoder_that_takes_other_records_is_refused(elements):
    log = ReadLog("t", Place(), Total(2, elements))
    with pytest.raises(ManifestError, match=rf"topic t: 1 of the 2 .* and {elements} could be bef"):
        delivered(log, [[(0, True), (0, False)]])
    with pytest.raises(ManifestError):
        log.end()


@pytest.mark.parametrize(
    ("used", "begin", "elements"),
    [
        (100, Place(), 100),
        (90, Place(), 90),
        (90, Place(skip=30), 60),
        (100, Place(read=50, skip=20), 30),
        (90, Place(read=50, skip=20), None),
    ],
)
def test_the_total_that_counts_and_a_place_say(used, begin, elements):
    assert Total.of({"read": 100, "used": used}, begin) == Total(100, elements)


def test_a_place_survives_json():
    place = Place({TopicPartition("t", 3): 41, TopicPartition("t", 0): 7}, read=48, skip=2)
    assert Place.of("t", json.loads(json.dumps(place.to_json()))) == place
