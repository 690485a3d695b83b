"""Addresses that are none, and one where nobody answers."""

from __future__ import annotations

import socket

import pytest

from tfkafka.errors import BrokerError, ConfigurationError
from tfkafka.testing.brokers import external
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


def test_dead_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(external, "CONNECT_DEADLINE_S", 0.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(BrokerError, match=f"no Kafka broker at {address} answered in"):
            ExternalBroker(address)


@pytest.mark.parametrize("value", ["text", None])
def test_an_unknown_setting_is_refused_by_name(value: str | None):
    """Not as a broker that does not answer."""
    with pytest.raises(ConfigurationError, match=r"no\.such\.setting"):
        ExternalBroker("127.0.0.1:1", {"no.such.setting": value})
