"""What a group's stream says that ended without a record."""

from __future__ import annotations

import pytest

from tfkafka.chunk import TopicPartition
from tfkafka.reading.member import why_empty

AGAIN = "to read them again, use another group_id with auto.offset.reset=earliest"


def positions(*pairs: tuple[int | None, int]) -> dict[TopicPartition, tuple[int | None, int]]:
    return {TopicPartition("t", number): pair for number, pair in enumerate(pairs)}


def test_committed_offsets_and_ends_are_named():
    found = why_empty(positions((100, 100), (None, 7)), False)
    assert found.startswith(
        "topic t, partition 0: committed 100, ends at 100; "
        "topic t, partition 1: committed nothing, ends at 7; a group reads each record once: "
    )
    assert AGAIN in found and "for several epochs, use KafkaDataset" in found
    assert "a new group begins at the end" not in found


def test_where_a_new_group_begins_is_named_if_that_may_be_the_reason():
    found = why_empty(positions((5, 5)), True)
    assert (
        "ends at 5; a new group begins at the end unless auto.offset.reset=earliest, and" in found
    )


def test_many_partitions_are_not_all_named():
    found = why_empty(positions(*[(1, 1)] * 100), False)
    assert "partition 4: " in found and "partition 5: " not in found and "95 more partit" in found


def test_unknown_offsets_are_left_out():
    assert why_empty(None, False).startswith("a group reads each record once")


@pytest.mark.parametrize("begins_at_end", [True, False])
def test_a_member_without_a_partition(begins_at_end):
    assert "more members than the topic has partitions" in why_empty({}, begins_at_end)
