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
from tfkafka.errors import BrokerError, ConfigurationError, ReadError
from tfkafka.testing import wait_for
from tfkafka.testing.brokers import embedded
from tfkafka.testing.brokers.embedded import EmbeddedBroker, Security
from tfkafka.testing.brokers.tokens import TokenIssuer

USER, PASSWORD, SECRET = "alice", "Pa55word-alice", "Pa55word-oidc"
# Machines are slow at times; 3 s is what is promised, and time-outs are of 60 s and more.
LONGEST_S = 45.0
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
def broker_of(kafka_factory, provider) -> Callable[[str, bool], EmbeddedBroker]:
    """broker_of(version, mutual) -> a broker that asks for certificates of clients, or has SASL."""

    @cache
    def of(version: str, mutual: bool) -> EmbeddedBroker:
        security = (
            Security((), "mutual", acls=True)
            if mutual
            else Security(SASL, "server", {USER: PASSWORD}, acls=True, issuer=provider.issuer)
        )
        broker = kafka_factory(version, security=security, progress=False)
        for kind in ("topic", "group", "transactional_id"):
            broker.grant(USER, "ALL", **{kind: "*"})
        return broker

    return of


@pytest.fixture(scope="module")
def provider() -> Iterator[oidc.Provider]:
    with oidc.provider({USER: SECRET}) as running:
        yield running


def by_endpoint(url: str, secret: str = SECRET) -> dict[str, object]:
    return {
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": USER,
        "sasl.oauthbearer.client.secret": secret,
        "sasl.oauthbearer.token.endpoint.url": url,
    }


def settings_of(broker: EmbeddedBroker, way: str, provider: oidc.Provider) -> dict[str, object]:
    if way == "mTLS":
        return dict(broker.client_configuration(USER))
    if way == "OIDC":
        tls = {
            name: value
            for name, value in broker.client_configuration(USER, "PLAIN").items()
            if not name.startswith("sasl.")
        }
        return tls | by_endpoint(provider.token_url)
    return dict(broker.client_configuration(USER, way))


@pytest.fixture
def at(broker_of, provider, group, request) -> Target:
    """Where alice connects, with two topics that are named after the test."""
    version, way = request.param
    broker = broker_of(version, way == "mTLS")
    for topic in (group, f"{group}-out"):
        Admin(broker.bootstrap_servers).create_topic(topic)
    write(broker.bootstrap_servers, group, ["1,2"] * RECORDS, ["1"] * RECORDS)
    settings = settings_of(broker, way, provider)
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


def test_tokens_by_a_function(broker_of, provider, group):
    broker = broker_of("4.4.0", False)
    Admin(broker.bootstrap_servers).create_topic(group)
    settings = settings_of(broker, "OAUTHBEARER", provider)
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
def test_no_token(broker_of, provider, learner, record_property, wrong):
    broker = broker_of("4.4.0", False)
    settings = settings_of(broker, "OIDC", provider)
    if wrong == "secret":
        settings |= by_endpoint(provider.token_url, "Pa55word-wrong")
    elif wrong == "endpoint":
        settings |= by_endpoint("http://127.0.0.1:1/token")
    else:
        settings = settings_of(broker, "OAUTHBEARER", provider) | {"oauth_cb": raise_error}
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


def altered(token: str) -> str:
    """A token with another signature."""
    head, claims, signature = token.split(".")
    other = "B" if signature[9] == "A" else "A"
    return f"{head}.{claims}.{signature[:9]}{other}{signature[10:]}"


FLAWED: dict[str, Callable[[TokenIssuer], str]] = {
    "signature": lambda issuer: altered(issuer.token(USER)[0]),
    "issuer": lambda issuer: issuer.token(USER, iss="https://another.example")[0],
    "audience": lambda issuer: issuer.token(USER, aud="another")[0],
    "end": lambda issuer: issuer.token(USER, -600)[0],
}
REFUSED = r"\(it refuses the token: invalid_token\): check its signature, issuer, audience and end"
# librdkafka looks at the end itself, and takes a function's word for it.
ENDED = r"\(the provider's token has ended 60\d s ago\): check the clocks of this machine and of "
REFUSALS = [
    pytest.param(
        version,
        way,
        flaw,
        id=f"{version}-{way}-{flaw}",
        marks=()
        if (version, way) in IN_EACH_RUN and flaw in ("signature", "end")
        else pytest.mark.secured,
    )
    for version in VERSIONS
    for way in ("OAUTHBEARER", "OIDC")
    for flaw in FLAWED
]
# A broker's answer is the same for each flaw, so all clients need to see only one of them.
SEEN_BY_ALL = "audience"


@pytest.mark.parametrize(("version", "way", "flaw"), REFUSALS)
def test_flawed_tokens(
    broker_of, provider, learner, monkeypatch, record_property, version, way, flaw
):
    given = []

    def flawed(_: str) -> tuple[str, float]:
        given.append(FLAWED[flaw](provider.issuer))
        return given[-1], time.time() + 600

    broker = broker_of(version, False)
    settings = settings_of(broker, way, provider)
    if way == "OIDC":
        monkeypatch.setattr(provider, "token_of", flawed)
    else:
        settings["oauth_cb"] = flawed
    words = ENDED if (way, flaw) == ("OIDC", "end") else REFUSED
    seconds = {}
    for name in NAMES if flaw == SEEN_BY_ALL else ["Admin"]:
        client, kind = CLIENTS.get(name, (learner, ReadError))
        failure = attempt(client, Target(broker.secured_servers, settings))
        seconds[name] = round(failure.seconds, 2)
        check(failure, kind, words, broker.secured_servers)
        assert failure.seconds < LONGEST_S, "it comes as late as a time-out"
        assert given and not any(part in failure.line for part in ".".join(given).split("."))
    record_property("seconds to the reason", json.dumps(seconds))
    print(seconds)


def answers(broker: EmbeddedBroker, settings: dict[str, object]) -> bool:
    try:
        Admin(broker.secured_servers, settings).topics()
    except BrokerError:
        return False
    return True


@pytest.mark.parametrize("version", [pytest.param("3.9.2", marks=pytest.mark.secured), "4.4.0"])
def test_new_key_of_the_provider(broker_of, provider, version):
    broker = broker_of(version, False)
    settings = settings_of(broker, "OIDC", provider)
    provider.issuer.rotate()
    # A machine that is slow enough may have it refused again and again.
    wait_for(lambda: answers(broker, settings), "the broker to know the key")
    assert "Unable to find a suitable verification key" in broker.logs()


@pytest.mark.secured
@pytest.mark.parametrize("version", VERSIONS)
def test_tokens_without_a_provider(kafka_factory, version):
    """Whoever restarts the broker from its folder alone needs to know nothing of its keys."""
    broker = kafka_factory(version, security=Security(("OAUTHBEARER",)), progress=False)
    again = embedded.attach(broker.folder.path)
    again.restart()
    try:
        alice = broker.client_configuration(USER, "OAUTHBEARER")
        assert Admin(broker.secured_servers, alice).topics() == []
        stranger = TokenIssuer("file:///keys.json")
        settings = {**alice, "oauth_cb": lambda _: stranger.token(USER)}
        failure = attempt(CLIENTS["Admin"][0], Target(broker.secured_servers, settings))
    finally:
        again.stop()
    check(failure, BrokerError, REFUSED, broker.secured_servers)
