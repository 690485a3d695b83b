"""What brokers with security offer their clients, be it one or a cluster."""

from __future__ import annotations

from typing import Unpack

from tfkafka.config import Settings
from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import rights
from tfkafka.testing.brokers.listener import SecuredListener
from tfkafka.testing.brokers.rights import On


class Secured:
    """Brokers that may have a listener with security; see `Security`."""

    bootstrap_servers: str
    _secured: SecuredListener | None
    _secured_addresses: tuple[str, ...]

    @property
    def secured_servers(self) -> str:
        """The addresses of the listeners with security, as `bootstrap_servers`; see `Security`."""
        self._with_security()
        return ",".join(self._secured_addresses)

    def client_configuration(self, user: str, mechanism: str | None = None) -> Settings:
        """Return librdkafka's settings with which a user can use `secured_servers`.

        With tls="mutual" they name a certificate of this user, which is issued now. Those of
        OAUTHBEARER have a function, `oauth_cb`, that returns a token.

        Args:
            user: one of `Security.users`; with OAUTHBEARER, and without mechanisms, any name.
            mechanism: one of `Security.mechanisms`; None where there are none.

        Raises:
            BrokerError: there is no such user or mechanism, or no security.
        """
        return self._with_security().client_settings(user, mechanism)

    def grant(self, user: str, operation: str, **on: Unpack[On]) -> None:
        """Grant a right on one topic, group or transactional id, or on the cluster.

        Args:
            operation: as Kafka names it: `"READ"`, `"WRITE"`, `"DESCRIBE"`, `"ALL"`, ...
            on: one of `topic`, `group` and `transactional_id` with its name, `"*"` for each one, or
                `cluster=True`; with `prefix=True` all whose names begin like this.

        Raises:
            BrokerError: the operation is unknown, or none or several things are named.
        """
        self._with_security()
        rights.grant(self._that_run(), rights.right(user, operation, **on))

    def revoke(self, user: str, operation: str, **on: Unpack[On]) -> None:
        """Revoke a right that was granted with the same arguments.

        Raises BrokerError where it was not.
        """
        self._with_security()
        rights.revoke(self._that_run(), rights.right(user, operation, **on))

    def _that_run(self) -> list[str]:
        """Return the addresses, without security, of the brokers that answer."""
        return self.bootstrap_servers.split(",")

    def _with_security(self) -> SecuredListener:
        if self._secured is None:
            raise BrokerError(
                f"the broker at {self.bootstrap_servers} knows of no security: "
                f"start it with security=Security(...)"
            )
        return self._secured
