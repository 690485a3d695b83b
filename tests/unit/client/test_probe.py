"""What is found at an address, on small servers of our own."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.unit.client.listeners import (
    HEARTBEAT,
    HOST,
    Certificates,
    closing,
    http,
    kafka,
    server,
    silent,
    ssh,
)
from tfkafka.client import probe as probing
from tfkafka.client.names import Address, parse_addresses
from tfkafka.client.probe import Listener, Problem, probe
from tfkafka.testing import wait_for

SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve() -> Iterator[Callable[..., Address]]:
    """serve(answer, context=None) -> the address of a server."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: parse_addresses(stack.enter_context(server(*arguments)))[0]


def found(address: Address, settings: dict[str, str] | None = None) -> Listener:
    """What is there; asked again where a slow machine answers too late."""
    return wait_for(lambda: probe(address, settings or {}), f"an answer of {address}")


def refusal(address: Address, settings: dict[str, str] | None = None) -> Problem:
    with pytest.raises(Problem) as raised:
        found(address, settings)
    assert raised.value.reason and raised.value.advice and "\n" not in str(raised.value)
    return raised.value


def test_a_broker(serve):
    assert found(serve(kafka())) == Listener({3: 12, 18: 4, HEARTBEAT: 1}, None)


def test_a_process_without_file_descriptors_is_not_the_brokers_fault(serve):
    address = serve(kafka())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As if none beside the standard streams were free; those that are open stay open.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(Problem, match=r"^too many open files.*: raise the limit \(ulimit -n"):
            probe(address, {})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_broker_with_sasl(serve):
    listener = found(serve(kafka(("PLAIN", "SCRAM-SHA-512"))), SASL)
    assert listener.mechanisms == ("PLAIN", "SCRAM-SHA-512")


def test_a_broker_with_tls(serve, certificates):
    assert found(serve(kafka(), certificates.context()), certificates.settings())
    mutual = serve(kafka(), certificates.context(mutual=True))
    assert found(mutual, certificates.settings("client"))


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_silent_broker_may_come_back(serve, certificates, has_tls):
    assert probe(serve(silent), certificates.settings() if has_tls else {}) is None


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        problem = refusal(Address(*unused.getsockname()))
    assert problem.reason == "connection refused" and problem.may_pass


def test_an_unknown_host():
    problem = refusal(Address("no-such-host.invalid", 9092))
    assert "host name no-such-host.invalid is unknown" in problem.reason


def test_a_name_server_that_does_not_answer(monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(probing, "_RESOLVE_S", 0.05)
    monkeypatch.setattr(probing.socket, "getaddrinfo", lambda *_, **__: asked.wait(30))
    problem = refusal(Address("slow.example", 9092))
    asked.set()
    assert "not resolved" in problem.reason and "name server" in problem.advice


def test_packets_that_are_dropped(monkeypatch):
    """A listener whose queue is full drops them, as a firewall does."""
    monkeypatch.setattr(probing, "_CONNECT_S", 0.1)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        problem = refusal(Address(*full.getsockname()))
    assert "no connection within" in problem.reason and "firewall" in problem.advice


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_web_server(serve, certificates, has_tls):
    problem = refusal(serve(http), certificates.settings() if has_tls else {})
    assert "speaks HTTP" in problem.reason and not problem.may_pass


def test_a_web_server_with_tls(serve, certificates):
    web = serve(http, certificates.context())
    assert "HTTP" in refusal(web).reason or "speaks TLS" in refusal(web).reason


@pytest.mark.parametrize("has_tls", [False, True])
def test_another_protocol(serve, certificates, has_tls):
    problem = refusal(serve(ssh), certificates.settings() if has_tls else {})
    assert "SSH-2.0-" in problem.reason and "Kafka listener" in problem.advice


@pytest.mark.parametrize("has_tls", [False, True])
def test_what_closes_each_connection_may_be_starting(serve, certificates, has_tls):
    problem = refusal(serve(closing), certificates.settings() if has_tls else {})
    assert "closes the connection" in problem.reason and problem.may_pass


@pytest.mark.parametrize(
    ("mechanisms", "mutual", "advice"),
    [
        (None, False, "set security.protocol to SSL"),
        (("PLAIN",), False, "set security.protocol to SASL_SSL"),
        (None, True, "set security.protocol to SSL or SASL_SSL"),
    ],
)
def test_plaintext_to_tls(serve, certificates, mechanisms, mutual, advice):
    address = serve(kafka(mechanisms), certificates.context(mutual=mutual))
    problem = refusal(address)
    assert "speaks TLS, and security.protocol is PLAINTEXT" in problem.reason
    assert problem.advice == advice


@pytest.mark.parametrize(
    ("mechanisms", "advice"), [(None, "PLAINTEXT"), (("PLAIN",), "SASL_PLAINTEXT")]
)
def test_tls_to_plaintext(serve, certificates, mechanisms, advice):
    problem = refusal(serve(kafka(mechanisms)), certificates.settings())
    assert "does not speak TLS, and security.protocol is SSL" in problem.reason
    assert problem.advice == f"set security.protocol to {advice}"


def test_certificates_of_the_broker(serve, certificates):
    settings = certificates.settings()
    cases = {
        "its certificate has expired": certificates.context(days=-1),
        "its certificate is not valid yet": certificates.context(begin=10, days=20),
        "its certificate is for another host.*'127.0.0.1'": certificates.context("h.example"),
    }
    for words, context in cases.items():
        with pytest.raises(Problem, match=words):
            found(serve(kafka(), context), settings)
    address = serve(kafka(), certificates.context())
    untrusted = refusal(address, certificates.settings(authority="foreign-ca"))
    assert "not trusted" in untrusted.reason and "ssl.ca.location" in untrusted.advice
    assert "not trusted" in refusal(address, {"security.protocol": "ssl"}).reason


def test_what_librdkafka_does_not_verify_is_not_verified(serve, certificates):
    other_host = serve(kafka(), certificates.context("h.example"))
    no_host = {"ssl.endpoint.identification.algorithm": "none"}
    assert found(other_host, certificates.settings() | no_host)
    untrusted = certificates.settings(authority="foreign-ca")
    for off in (False, "false"):
        assert found(other_host, untrusted | {"enable.ssl.certificate.verification": off})


def test_a_ca_as_text(serve, certificates):
    settings = {"security.protocol": "SSL", "ssl.ca.pem": certificates.path("ca").read_text()}
    assert found(serve(kafka(), certificates.context()), settings)


def test_certificates_of_the_client(serve, certificates, monkeypatch):
    monkeypatch.setattr(probing, "_ALERT_S", 10.0)
    mutual = serve(kafka(), certificates.context(mutual=True))
    missing = refusal(mutual, certificates.settings())
    assert "requires a certificate of the client" in missing.reason
    assert "ssl.certificate.location" in missing.advice
    foreign = refusal(mutual, certificates.settings("foreign"))
    assert "refuses the client's certificate" in foreign.reason
    # One that only librdkafka can load: nothing is said of it.
    hidden = certificates.settings() | {"ssl.certificate.pem": "..."}
    assert probe(mutual, hidden) is None


def test_sasl(serve):
    offered = serve(kafka(("PLAIN", "SCRAM-SHA-512")))
    without = refusal(offered)
    assert "requires SASL, and security.protocol is PLAINTEXT" in without.reason
    assert "SASL_PLAINTEXT" in without.advice and "(PLAIN, SCRAM-SHA-512)" in without.advice
    other = refusal(offered, SASL | {"sasl.mechanism": "SCRAM-SHA-256"})
    assert "does not offer the SASL mechanism SCRAM-SHA-256" in other.reason
    assert "PLAIN, SCRAM-SHA-512" in other.advice
    none = refusal(serve(kafka()), SASL)
    assert "has no SASL, and security.protocol is SASL_PLAINTEXT" in none.reason
    assert none.advice == "set security.protocol to PLAINTEXT"


def test_where_brokers_say_that_they_are(serve):
    places = ("a.example:9092", "::1:9093")
    listener = found(serve(kafka(brokers=places)))
    assert listener.brokers == (Address("a.example", 9092), Address("::1", 9093))
