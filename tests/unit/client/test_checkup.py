"""What `tfkafka check` makes of addresses that answer late, as on a slow machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tfkafka.client import checkup
from tfkafka.client.names import Address
from tfkafka.client.probe import Listener, Problem

LISTENER = Listener({}, None)
WRONG = Problem("it speaks HTTP, not Kafka's protocol", "name the port of a Kafka listener")
A, B = Address("a.example", 9092), Address("b.example", 9092)

Outcome = Listener | Problem | None


@pytest.fixture
def probed(monkeypatch) -> Callable[..., list[Address]]:
    """probed({address: outcomes}) -> the addresses that are probed from then on."""

    def prepare(outcomes: dict[Address, list[Outcome]]) -> list[Address]:
        asked: list[Address] = []

        def probe(address: Address, _settings) -> Listener | None:
            asked.append(address)
            found = outcomes[address].pop(0)
            if isinstance(found, Problem):
                raise found
            return found

        monkeypatch.setattr(checkup, "probe", probe)
        return asked

    return prepare


def test_an_address_that_is_silent_at_first_answers(probed):
    asked = probed({A: [None, None, LISTENER]})
    assert next(checkup.check_cluster(str(A))).status == "ok"
    assert asked == [A] * 3


def test_an_address_that_stays_silent_is_a_warning(probed):
    probed({A: [None] * 3})
    found = next(checkup.check_cluster(str(A)))
    assert (found.status, "nothing is answered" in found.found) == ("warning", True)


def test_one_of_the_addresses_is_enough(probed):
    asked = probed({A: [None], B: [LISTENER]})
    found = next(checkup.check_cluster(f"{A},{B}"))
    assert (found.status, found.found) == ("ok", f"Kafka answers at {B}")
    assert Counter(asked) == {A: 1, B: 1}


def test_what_is_wrong_is_said_at_once(probed):
    asked = probed({A: [None], B: [WRONG]})
    assert next(checkup.check_cluster(f"{A},{B}")).status == "failed"
    assert Counter(asked) == {A: 1, B: 1}


def test_each_broker_is_needed(probed):
    asked = probed({A: [LISTENER], B: [None, LISTENER]})
    assert checkup._probe([A, B], {}, 2) == ({A: LISTENER, B: LISTENER}, {})
    assert Counter(asked) == {A: 1, B: 2}
