"""Addresses that are none are refused before anything is asked."""

from __future__ import annotations

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.external import ExternalBroker


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:", ":9092", "localhost:kafka", "localhost:65536", "h:0"]
)
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(BrokerError) as raised:
        ExternalBroker(address)
    assert str(raised.value) == f"{address!r} is not the address of a broker: HOST:PORT is expected"


def test_the_wrong_one_of_several_addresses_is_named():
    with pytest.raises(BrokerError, match="'two' is not the address of a broker"):
        ExternalBroker("one:9092, two")
