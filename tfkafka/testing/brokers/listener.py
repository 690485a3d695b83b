"""The listener with security of an embedded broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product

from tfkafka._util.waiting import wait_for
from tfkafka.config import Settings
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import rights
from tfkafka.testing.brokers.base import answers_metadata
from tfkafka.testing.brokers.certificates import CertificateAuthority
from tfkafka.testing.brokers.security import Security, refuse_odd_name
from tfkafka.testing.brokers.settings import HOST, KEYS_OF_TOKENS, Ports
from tfkafka.testing.brokers.tokens import TokenIssuer

NAME = "SECURED"
_PREFIX = f"listener.name.{NAME.lower()}."
LOGIN_DEADLINE_S = 30.0
_KAFKA = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class SecuredListener:
    """What a broker and its clients need for a listener with security."""

    security: Security
    authority: CertificateAuthority

    def broker_properties(self, ports: Ports) -> dict[str, object]:
        """Return the broker's settings for this listener, beside the two that it has anyway."""
        plain = f"PLAINTEXT://{HOST}:{ports.broker}"
        controller = f"CONTROLLER://{HOST}:{ports.metadata}"
        secured = f"{NAME}://{HOST}:{ports.secured}"
        protocols = f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{NAME}:{self.security.protocol}"
        return {
            "listeners": f"{plain},{secured},{controller}",
            "advertised.listeners": f"{plain},{secured}",
            "listener.security.protocol.map": protocols,
            **self.protection(),
        }

    def protection(self) -> dict[str, object]:
        """Return the broker's settings that protect its listener called `NAME`; issue its key."""
        of_listener = {**self._tls_properties(), **self._sasl_properties()}
        return {
            **{_PREFIX + name: of_listener[name] for name in of_listener},
            # The user of a certificate is its common name.
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/",
            **(_RIGHTS if self.security.acls else {}),
        }

    def client_settings(self, user: str, mechanism: str | None) -> Settings:
        """Return librdkafka's settings with which a user can use the listener."""
        settings = Settings({"security.protocol": self.security.protocol})
        if self.security.tls:
            settings["ssl.ca.location"] = str(self.authority.certificate)
        if self.security.tls == "mutual":
            refuse_odd_name(user)
            settings.update(self.authority.client_settings(user))
        if self.security.mechanisms or mechanism is not None:
            settings.update(self._login(user, mechanism))
        return settings

    def store_passwords(self, plain_servers: str, secured: Sequence[str]) -> None:
        """Let the cluster keep the passwords of SCRAM, and wait until each broker accepts them.

        Args:
            secured: the address of each broker's listener, HOST:PORT.
        """
        users = self.security.users
        for mechanism in self.security.scram:
            rights.store_passwords(plain_servers, mechanism, users)
            for address, user in product(secured, users):
                wait_for(
                    partial(self._lets_in, address, user, mechanism),
                    f"the broker to accept the password of {user}",
                    LOGIN_DEADLINE_S,
                    BrokerError,
                )

    def _lets_in(self, address: str, user: str, mechanism: str) -> bool:
        # Whatever the flaw of the certificate: only the password is tried here.
        trusting = {"enable.ssl.certificate.verification": False} if self.security.tls else {}
        settings = Settings({**self.client_settings(user, mechanism), **trusting})
        return answers_metadata(address, 1.0, settings)

    @cached_property
    def _issuer(self) -> TokenIssuer:
        """The issuer whose tokens the listener accepts."""
        return self.security.issuer or TokenIssuer.in_folder(self.authority.certificate.parent)

    def _login(self, user: str, mechanism: str | None) -> dict[str, object]:
        offered = self.security.mechanisms
        if mechanism not in offered:
            known = ", ".join(offered) or "no mechanism of SASL"
            raise BrokerError(f"the broker offers {known}, not {mechanism!r}")
        if mechanism == "OAUTHBEARER":
            refuse_odd_name(user)
            return {"sasl.mechanism": mechanism, "oauth_cb": lambda _: self._issuer.token(user)}
        if user not in self.security.users:
            known = ", ".join(self.security.users)
            raise BrokerError(f"the broker has no user {user!r}, but {known}")
        return {
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": self.security.users[user],
        }

    def _tls_properties(self) -> dict[str, object]:
        if not self.security.tls:
            return {}
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.authority.issue_for_broker(self.security.certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.certificate,
            "ssl.client.auth": "required" if self.security.tls == "mutual" else "none",
        }

    def _sasl_properties(self) -> dict[str, object]:
        if not self.security.mechanisms:
            return {}
        enabled: dict[str, object] = {"sasl.enabled.mechanisms": ",".join(self.security.mechanisms)}
        return enabled | {
            f"{mechanism.lower()}.{name}": value
            for mechanism in self.security.mechanisms
            for name, value in self._login_properties(mechanism).items()
        }

    def _login_properties(self, mechanism: str) -> dict[str, str]:
        if mechanism == "OAUTHBEARER":
            return self._checks_of_tokens()
        return {"sasl.jaas.config": self._jaas(mechanism)}

    def _checks_of_tokens(self) -> dict[str, str]:
        return {
            # Kafka logs in itself as well, and needs a token of its own for that, which nobody
            # checks.
            "sasl.jaas.config": f"{_KAFKA}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
            "sasl.server.callback.handler.class": f"{_KAFKA}.oauthbearer."
            "OAuthBearerValidatorCallbackHandler",
            KEYS_OF_TOKENS: self._issuer.keys_url,
            "sasl.oauthbearer.expected.issuer": self._issuer.name,
            "sasl.oauthbearer.expected.audience": self._issuer.audience,
        }

    def _jaas(self, mechanism: str) -> str:
        if mechanism != "PLAIN":
            return f"{_KAFKA}.scram.ScramLoginModule required;"
        users = self.security.users.items()
        options = (f" user_{user}={_quoted(password)}" for user, password in users)
        return f"{_KAFKA}.plain.PlainLoginModule required{''.join(options)};"


_RIGHTS: dict[str, object] = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Whoever uses the listener without security.
    "super.users": "User:ANONYMOUS",
}


def _quoted(password: str) -> str:
    return '"' + password.replace("\\", "\\\\").replace('"', '\\"') + '"'
