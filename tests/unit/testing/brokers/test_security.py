"""What of TLS, passwords and rights needs no broker."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.certificates import CertificateAuthority
from tfkafka.testing.brokers.rights import Right, right
from tfkafka.testing.brokers.security import Security
from tfkafka.testing.brokers.tokens import TokenIssuer

USERS = {"alice": "secret"}


@pytest.mark.parametrize(
    ("security", "protocol"),
    [
        (Security(users=USERS), "SASL_SSL"),
        (Security(("PLAIN",), None, USERS), "SASL_PLAINTEXT"),
        (Security(("OAUTHBEARER",)), "SASL_SSL"),
        (Security((), "server"), "SSL"),
        (Security((), "mutual", acls=True), "SSL"),
    ],
)
def test_protocol_of_the_listener(security, protocol):
    assert security.protocol == protocol
    assert "secret" not in repr(security)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"tls": True, "users": USERS}, "tls must be 'server', 'mutual' or None, not True"),
        ({"mechanisms": "PLAIN", "users": USERS}, "mechanisms must be a tuple of .*not 'PLAIN'"),
        ({"mechanisms": ("GSSAPI",), "users": USERS}, "mechanisms must be .*not .'GSSAPI',."),
        ({"certificate": "old", "users": USERS}, "certificate must be None, .*not 'old'"),
        ({}, "users must name at least one user, or mechanisms must be"),
        ({"mechanisms": ("OAUTHBEARER",), "users": USERS}, "users have passwords, for which"),
        ({"mechanisms": (), "users": USERS}, "users have passwords, for which mechanisms must"),
        ({"mechanisms": (), "tls": None}, "neither mechanisms nor tls"),
        (
            {"tls": None, "users": USERS, "certificate": "expired"},
            "certificate='expired' needs tls",
        ),
        ({"mechanisms": (), "acls": True}, "acls need to know the user"),
        ({"users": USERS, "issuer": TokenIssuer("file:///keys")}, "an issuer .* needs OAUTHBEARER"),
        ({"mechanisms": ("OAUTHBEARER",), "issuer": "me"}, "issuer must be a TokenIssuer or None"),
        ({"users": {"a b": "secret"}}, "'a b' is no name for a user"),
        ({"users": {"alice": ""}}, "the password of user alice is empty"),
        ({"users": {"alice": "a\nb"}}, "the password of user alice .* control characters"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, reason):
    with pytest.raises(BrokerError, match=reason):
        Security(**arguments)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        (None, None),
        ("expired", "certificate has expired"),
        ("wrong-host", "certificate is not valid for '127.0.0.1'"),
    ],
)
def test_certificate_has_the_flaw_that_was_ordered(tmp_path, flaw, reason):
    authority = CertificateAuthority(tmp_path)
    assert handshake(authority, authority.issue_for_broker(flaw)) == reason


def test_authorities_do_not_trust_each_other(tmp_path):
    one, other = CertificateAuthority(tmp_path / "one"), CertificateAuthority(tmp_path / "other")
    assert "certificate" in handshake(other, one.issue_for_broker())


def test_keys_of_tokens_are_no_private_ones_and_in_a_file_that_kafka_finds(tmp_path):
    issuer = TokenIssuer.in_folder(tmp_path)
    issuer.rotate()
    keys = json.loads(issuer.public_keys())["keys"]
    assert [key.keys() for key in keys] == [{"kty", "use", "alg", "kid", "n", "e"}] * 2
    assert json.loads((tmp_path / "keys.json").read_text())["keys"] == keys[:1]
    (tmp_path / "a b").mkdir()
    with pytest.raises(BrokerError, match=r"Kafka does not find keys of tokens in .*/a b, because"):
        TokenIssuer.in_folder(tmp_path / "a b")


def test_certificates_are_files_for_their_owner_in_a_format_of_kafka(tmp_path):
    folder = tmp_path / "authority"
    authority = CertificateAuthority(folder)
    settings = authority.client_settings("alice")
    text = Path(settings["ssl.key.location"]).read_text()
    assert text.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert text.count("-----BEGIN CERTIFICATE-----\n") == 1
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert {oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == {"0o600"}


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ({"topic": "t"}, ("TOPIC", "t", False)),
        ({"group": "g", "prefix": True}, ("GROUP", "g", True)),
        ({"transactional_id": "*"}, ("TRANSACTIONAL_ID", "*", False)),
        ({"cluster": True}, ("CLUSTER", "kafka-cluster", False)),
    ],
)
def test_right_is_on_one_thing(on, expected):
    assert right("alice", "READ", **on) == Right("alice", "READ", *expected)


@pytest.mark.parametrize("on", [{}, {"topic": "t", "group": "g"}, {"cluster": False}])
def test_right_on_nothing_or_on_several_things_is_refused(on):
    with pytest.raises(BrokerError, match="name one of topic, group, transactional_id and cluster"):
        right("alice", "READ", **on)


def test_unknown_operation_is_refused():
    with pytest.raises(BrokerError, match=r"operation must be one of ALL, READ, .*, not 'read'"):
        right("alice", "read", topic="t")


def handshake(authority: CertificateAuthority, certificate: Path) -> str | None:
    """Why a client that trusts the authority refuses a server at 127.0.0.1, or None."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate)
    client_context = ssl.create_default_context(cafile=str(authority.certificate))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    while pending:
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message.replace("IP address mismatch, ", "").rstrip(".")
    return None
