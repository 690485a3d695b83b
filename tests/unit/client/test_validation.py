"""Which starts a broker has compared with its log, without a broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.unit.messages import fill, message
from tfkafka.chunk import TopicPartition
from tfkafka.client.lineage import Lineage
from tfkafka.client.validation import Validation

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class FakeClient:
    """Notes the offsets of `seek`; raises `error` for partition 0, where there is one."""

    def __init__(self):
        self.sought: list[tuple[int, int, int]] = []
        self.error: int | None = None

    def seek(self, place) -> None:
        if place.partition == 0 and self.error is not None:
            raise KafkaException(KafkaError(self.error, "not now"))
        self.sought.append((place.partition, place.offset, place.leader_epoch))


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def validation(client) -> Validation:
    lineage = Lineage()
    lineage.begin(A, 5, 2)
    lineage.begin(B, 7, 3)
    return Validation(client, lineage)


def test_starts_are_validated_where_an_epoch_is_known(validation, client):
    validation.add({A: 5, B: 7, TopicPartition("t", 2): 9})
    assert client.sought == [(0, 5, 2), (1, 7, 3)] and not validation.is_waiting(A)


def test_nothing_is_delivered_until_it_can_be_asked(validation, client):
    """While earlier partitions are still being stopped, librdkafka takes no seek."""
    client.error = KafkaError._STATE
    validation.add({A: 5, B: 7})
    assert validation.is_waiting(A) and not validation.is_waiting(B)
    chunk = fill(message(partition=partition, offset=7) for partition in (0, 1))
    assert validation.without_waiting(chunk).next_offsets == {B: 8}
    client.error = None
    validation.ask()
    validation.ask()
    assert client.sought == [(1, 7, 3), (0, 5, 2)]
    assert validation.without_waiting(chunk) is chunk


@pytest.mark.parametrize("drop", [lambda each: each.drop([A]), lambda each: each.drop_all()])
def test_what_is_lost_is_not_asked_about(validation, client, drop):
    client.error = KafkaError._STATE
    validation.add({A: 5})
    drop(validation)
    client.error = None
    validation.ask()
    assert not client.sought


def test_another_error_is_raised(validation, client):
    client.error = KafkaError._FATAL
    with pytest.raises(KafkaException, match="not now"):
        validation.add({A: 5})
