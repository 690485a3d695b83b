"""Everything that connects, with each way to prove who one is, on both versions of Kafka.

make test has a part; make test-secured has it all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest

from tests import oidc
from tests.integration.tfkafka.clients import CLIENTS, RECORDS, Target, attempt, check
from tfkafka import Admin, write
from tfkafka.errors import ConfigurationError, ReadError
from tfkafka.testing.brokers.embedded import EmbeddedBroker, Security

USER, PASSWORD, SECRET = "alice", "Pa55word-alice", "Pa55word-oidc"
# Machines are slow at times; 3 s is what is promised.
LONGEST_S = 9.0
VERSIONS = ("3.9.2", "4.4.0")
SASL = ("SCRAM-SHA-512", "PLAIN", "OAUTHBEARER")
# By a function of Python, and by an endpoint that librdkafka asks.
WAYS = ("SCRAM-SHA-512", "PLAIN", "mTLS", "OAUTHBEARER", "OIDC")
# With a function, confluent-kafka 2.16 takes a second for each client that it makes.
IN_EACH_RUN = [("4.4.0", "OIDC")]
MATRIX = [
    pytest.param(
        (version, way),
        id=f"{version}-{way}",
        marks=() if (version, way) in IN_EACH_RUN else pytest.mark.secured,
    )
    for version in VERSIONS
    for way in WAYS
]
# Writing comes last, so that all the others find the same records.
NAMES = sorted([*CLIENTS, "learn"], key="write".__eq__)
ELEMENTS = dict.fromkeys(NAMES, RECORDS) | {"KafkaMiniBatchDataset": 1, "write": 1}


@pytest.fixture(scope="module")
def broker_of(kafka_factory) -> Callable[[str, bool], EmbeddedBroker]:
    """broker_of(version, mutual) -> a broker that asks for certificates of clients, or has SASL."""

    @cache
    def of(version: str, mutual: bool) -> EmbeddedBroker:
        security = (
            Security((), "mutual", acls=True)
            if mutual
            else Security(SASL, "server", {USER: PASSWORD}, acls=True)
        )
        broker = kafka_factory(version, security=security, progress=False)
        for kind in ("topic", "group", "transactional_id"):
            broker.grant(USER, "ALL", **{kind: "*"})
        return broker

    return of


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with oidc.provider({USER: SECRET}) as address:
        yield address


def by_endpoint(endpoint: str, secret: str = SECRET) -> dict[str, object]:
    return {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": USER,
        "sasl.oauthbearer.client.secret": secret,
        "sasl.oauthbearer.token.endpoint.url": endpoint,
    }


def settings_of(broker: EmbeddedBroker, way: str, endpoint: str) -> dict[str, object]:
    if way == "mTLS":
        return dict(broker.client_configuration(USER))
    if way == "OIDC":
        tls = {
            name: value
            for name, value in broker.client_configuration(USER, "PLAIN").items()
            if not name.startswith("sasl.")
        }
        return tls | by_endpoint(endpoint)
    return dict(broker.client_configuration(USER, way))


@pytest.fixture
def at(broker_of, endpoint, group, request) -> Target:
    """Where alice connects, with two topics that are named after the test."""
    version, way = request.param
    broker = broker_of(version, way == "mTLS")
    for topic in (group, f"{group}-out"):
        Admin(broker.bootstrap_servers).create_topic(topic)
    write(broker.bootstrap_servers, group, ["1,2"] * RECORDS, ["1"] * RECORDS)
    settings = settings_of(broker, way, endpoint)
    return Target(broker.secured_servers, settings, group, f"{group}-out", group)


@pytest.mark.parametrize("at", MATRIX, indirect=True)
def test_all_that_connects(at, learner, record_property):
    seconds, found = {}, {}
    for name in NAMES:
        client, _ = CLIENTS.get(name, (learner, None))
        began = time.monotonic()
        found[name] = client(replace(at, group=f"{at.group}-{name}"))
        seconds[name] = round(time.monotonic() - began, 2)
    record_property("seconds", json.dumps(seconds))
    print(seconds)
    assert found == ELEMENTS


def test_tokens_by_a_function(broker_of, endpoint, group):
    broker = broker_of("4.4.0", False)
    Admin(broker.bootstrap_servers).create_topic(group)
    settings = settings_of(broker, "OAUTHBEARER", endpoint)
    assert write(broker.secured_servers, group, ["1"] * RECORDS, configuration=settings) == RECORDS
    assert Admin(broker.secured_servers, settings).record_count(group) == RECORDS


def raise_error(_configuration: str) -> None:
    raise OSError("the vault is closed")


WRONG = {
    "secret": r'token: .*"invalid_client".*\): check the settings sasl\.',
    "endpoint": r"token: Failed to connect to 127\.0\.0\.1:1 .*\): check the settings sasl\.",
    "function": r"^oauth_cb raised OSError: it must return a token",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_token(broker_of, endpoint, learner, record_property, wrong):
    broker = broker_of("4.4.0", False)
    settings = settings_of(broker, "OIDC", endpoint)
    if wrong == "secret":
        settings |= by_endpoint(endpoint, "Pa55word-wrong")
    elif wrong == "endpoint":
        settings |= by_endpoint("http://127.0.0.1:1/token")
    else:
        settings = settings_of(broker, "OAUTHBEARER", endpoint) | {"oauth_cb": raise_error}
    seconds = {}
    for name in NAMES:
        client, kind = CLIENTS.get(name, (learner, ReadError))
        failure = attempt(client, Target(broker.secured_servers, settings))
        seconds[name] = round(failure.seconds, 2)
        if wrong == "function":
            check(failure, ConfigurationError, WRONG[wrong], None)
        else:
            check(failure, kind, WRONG[wrong], broker.secured_servers)
        assert failure.seconds < LONGEST_S, "it comes as late as a time-out"
    record_property("seconds to the reason", json.dumps(seconds))
    print(seconds)
