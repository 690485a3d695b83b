"""What identifies the records before an offset, without a broker."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import TopicPartition as Place

from tests.unit.messages import MOST_BYTES, Messages, message
from tfkafka.chunk import TopicPartition
from tfkafka.client.fill import PythonFiller
from tfkafka.client.identity import Identities
from tfkafka.client.lineage import Committed, Lineage

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


def test_a_position_has_the_epoch_of_the_record_before_it():
    lineage = Lineage()
    assert lineage.before(A, 5) is lineage.latest(A) is None
    lineage.note(A, 10, 1)
    lineage.note(A, 15, 3)
    epochs = {offset: lineage.before(A, offset) for offset in (10, 11, 15, 16, 99)}
    assert epochs == {10: None, 11: 1, 15: 1, 16: 3, 99: 3}
    assert lineage.latest(A) == 3 and lineage.before(B, 11) is None


def test_reading_again_forgets_what_came_later():
    lineage = Lineage()
    lineage.note(A, 10, 1)
    lineage.note(A, 15, 3)
    lineage.begin(A, 12, 2)
    assert [lineage.before(A, offset) for offset in (11, 12, 99)] == [1, 2, 2]
    lineage.begin(A, 0, None)
    assert lineage.before(A, 99) is None


def filled(messages, alone=None) -> Lineage:
    lineage = Lineage()
    filler = PythonFiller(Messages(messages), False, alone, lineage)
    while len(filler.fill(0.1, 2, MOST_BYTES).chunk):
        pass
    return lineage


@pytest.mark.parametrize("others", [False, True])
def test_epochs_of_records_are_noted(others):
    epochs = {4: 1, 5: 1, 6: 1, 7: 2, 9: 4, 10: 4}
    messages = [message(offset=offset, leader_epoch=epoch) for offset, epoch in epochs.items()]
    if others:
        messages = [
            each
            for mine in messages
            for each in (message(partition=1, offset=mine.offset(), leader_epoch=8), mine)
        ]
    lineage = filled(messages, None if others else A)
    found = {offset: lineage.before(A, offset + 1) for offset in epochs}
    assert found == epochs
    assert lineage.before(A, 9) == 2, "offset 8 has no record"
    assert lineage.latest(B) == (8 if others else None)


def test_old_records_have_no_epoch():
    lineage = filled([message(offset=1), message(offset=2)], A)
    assert lineage.before(A, 3) is None


def described(place: Place) -> tuple:
    return place.topic, place.partition, place.offset, place.metadata, place.leader_epoch


def test_a_consumer_is_given_the_epoch_to_compare():
    lineage = Lineage(Identities({"t": "id"}, "c"))
    lineage.begin(A, 7, 3)
    places = lineage.to_read({A: 7, B: 0})
    assert [*map(described, places)] == [("t", 0, 7, "", 3), ("t", 1, 0, "", None)]


def test_a_commit_names_its_topic():
    known = Identities()
    lineage = Lineage(known)
    lineage.begin(A, 7, 3)
    assert described(*lineage.to_commit({A: 7})) == ("t", 0, 7, "", 3)
    known.topics["t"], known.cluster = None, "c"
    assert described(*lineage.to_commit({A: 7})) == ("t", 0, 7, "", 3), "before Kafka 2.8"
    known.topics["t"] = "id"
    assert described(*lineage.to_commit({A: 7})) == ("t", 0, 7, "topic-id=id cluster-id=c", 3)


@pytest.mark.parametrize(
    ("metadata", "is_used"),
    [
        ("topic-id=id cluster-id=c", True),
        ("topic-id=other cluster-id=c", False),
        # MirrorMaker copies a group's offsets with their metadata.
        ("topic-id=other cluster-id=d", True),
        ("by another program: topic-id=other cluster-id=c", True),
        ("", True),
        (None, True),
    ],
)
def test_an_offset_of_an_earlier_topic_is_not_used(metadata, is_used, caplog):
    lineage = Lineage(Identities({"t": "id"}, "c"))
    places = [Place("t", 0, 7, metadata or "", 3), Place("t", 1, -1001)]
    if metadata is None:
        places[0] = Place("t", 0, 7, leader_epoch=3)
    with caplog.at_level(logging.WARNING):
        found = lineage.committed(places)
    assert found == ({A: Committed(7, 3)} if is_used else {})
    warned = caplog.text.count("topic t was deleted and created again (its id is id, was other)")
    assert warned == (not is_used)


def test_where_an_id_is_unknown_every_offset_is_used():
    """Of a broker before Kafka 2.8, or of a program that only looks."""
    places = [Place("t", 0, 7, "topic-id=other cluster-id=c")]
    for known in (Identities(), Identities({"t": None}, "c")):
        assert Lineage(known).committed(places) == {A: Committed(7, None)}
