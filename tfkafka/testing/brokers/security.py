"""How clients of an embedded broker prove who they are, and what they may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers.certificates import FLAWS, Flaw
from tfkafka.testing.brokers.tokens import TokenIssuer

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER")
TLS = ("server", "mutual", None)


@dataclass(frozen=True)
class Security:
    """A secured listener of an embedded broker, for tests.

    Beside it the broker keeps the listener of `bootstrap_servers`, on 127.0.0.1 and without
    security. Whoever uses that may do everything: it is a super user.

    Args:
        mechanisms: of SASL, as Kafka names them: SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, OAUTHBEARER
            (whose tokens are signed, and name the user); empty: no passwords, TLS alone.
        tls: "server": the broker has a certificate; "mutual": clients need one, too, and without
            SASL its common name is the user; None: no TLS.
        users: passwords by the names of users.
        acls: True: users may do what they were granted, and nothing else; False: everything.
        certificate: the flaw of the broker's certificate: "expired", "wrong-host" or None.
        issuer: whose tokens OAUTHBEARER accepts, for example those of a provider that a test
            runs; None: those of `client_configuration` alone.

    Raises:
        BrokerError: an argument is none of these, or they do not go together.

    Example:
        security = Security(users={"alice": "secret"}, acls=True)
        broker = embedded.start("kafka", "3.9.2", security=security)
        broker.grant("alice", "READ", topic="susy-train")
        dataset = tfkafka.KafkaDataset(
            "susy-train",
            servers=broker.secured_servers,
            configuration=broker.client_configuration("alice", "SCRAM-SHA-512"),
            decode=tfkafka.CsvDecoder(18, label="key"),
        )
    """

    mechanisms: tuple[str, ...] = ("SCRAM-SHA-512",)
    tls: Literal["server", "mutual"] | None = "server"
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    acls: bool = False
    certificate: Flaw | None = None
    issuer: TokenIssuer | None = None

    def __post_init__(self) -> None:
        if self.tls not in TLS:
            raise BrokerError(f"tls must be 'server', 'mutual' or None, not {self.tls!r}")
        if isinstance(self.mechanisms, str) or not set(self.mechanisms) <= set(MECHANISMS):
            raise BrokerError(
                f"mechanisms must be a tuple of {', '.join(MECHANISMS)}, not {self.mechanisms!r}"
            )
        if self.certificate not in (None, *FLAWS):
            raise BrokerError(
                f"certificate must be None, {' or '.join(map(repr, FLAWS))}, "
                f"not {self.certificate!r}"
            )
        if not isinstance(self.issuer, TokenIssuer | None):
            raise BrokerError(f"issuer must be a TokenIssuer or None, not {self.issuer!r}")
        self._refuse_what_does_not_fit()
        for user, password in self.users.items():
            refuse_odd_name(user)
            # Kafka's syntax for passwords ends at a line's end.
            if not password or not password.isprintable():
                raise BrokerError(f"the password of user {user} is empty or has control characters")

    def _refuse_what_does_not_fit(self) -> None:
        with_passwords = set(self.mechanisms) - {"OAUTHBEARER"}
        if with_passwords and not self.users:
            raise BrokerError("users must name at least one user, or mechanisms must be ()")
        if self.users and not with_passwords:
            raise BrokerError("users have passwords, for which mechanisms must name one")
        if not self.mechanisms and not self.tls:
            raise BrokerError("neither mechanisms nor tls: that is a broker without security")
        if self.certificate and not self.tls:
            raise BrokerError(f"certificate={self.certificate!r} needs tls")
        if self.issuer and "OAUTHBEARER" not in self.mechanisms:
            raise BrokerError("an issuer of tokens needs OAUTHBEARER among the mechanisms")
        if self.acls and not self.mechanisms and self.tls != "mutual":
            raise BrokerError("acls need to know the user: name mechanisms, or set tls='mutual'")

    @property
    def protocol(self) -> str:
        """Kafka's name for the protocol of the listener."""
        encryption = "SSL" if self.tls else "PLAINTEXT"
        return f"SASL_{encryption}" if self.mechanisms else encryption

    @property
    def scram(self) -> list[str]:
        """Those of the mechanisms whose passwords the cluster keeps."""
        return [mechanism for mechanism in self.mechanisms if mechanism.startswith("SCRAM")]


def refuse_odd_name(user: str) -> None:
    # It becomes a word in Kafka's settings, and part of the name of a file.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", user):
        raise BrokerError(f"{user!r} is no name for a user: use letters of ASCII, digits, - and _")
