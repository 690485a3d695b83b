"""Certificates for tests: of brokers, of their clients, and of nobody whom they trust."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

from tfkafka.config import Settings
from tfkafka.testing.brokers import private
from tfkafka.testing.brokers.settings import HOST

# What is wrong with a broker's certificate; None: nothing.
Flaw = Literal["expired", "wrong-host"]
FLAWS = ("expired", "wrong-host")


class CertificateAuthority:
    """A new certificate authority, which no other trusts.

    Args:
        folder: for its certificate and all that it issues, as PEM files for their owner alone.

    Attributes:
        certificate: the file with its own certificate, for `ssl.ca.location`.

    Example:
        foreign = CertificateAuthority(tmp_path / "foreign")
        right = broker.client_configuration("alice", "SCRAM-SHA-512")
        untrusted = right | {"ssl.ca.location": str(foreign.certificate)}
        stranger = right | foreign.client_settings("alice")
    """

    def __init__(self, folder: Path):
        import trustme

        private.make_folder(folder)
        self._folder = folder
        self._authority = trustme.CA()
        self.certificate: Path = folder / "ca.pem"
        private.write(self.certificate, self._authority.cert_pem.bytes())

    def issue_for_broker(self, flaw: Flaw | None = None) -> Path:
        """Return a file with the key and the certificate of a broker on 127.0.0.1."""
        hosts = ["elsewhere.example"] if flaw == "wrong-host" else [HOST, "localhost"]
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        begin, end = (
            (now - 2 * day, now - day) if flaw == "expired" else (now - day, now + 30 * day)
        )
        return self._issue("broker", *hosts, not_before=begin, not_after=end)

    def client_settings(self, user: str) -> Settings:
        """Return librdkafka's settings for a certificate of this user, which is issued now."""
        # Java refuses a certificate with the empty list of alternative names of no address.
        address = f"{user}@clients.example"
        path = str(self._issue(f"client-{user}", address, common_name=user))
        return Settings({"ssl.certificate.location": path, "ssl.key.location": path})

    def _issue(
        self,
        name: str,
        *identities: str,
        common_name: str | None = None,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> Path:
        issued = self._authority.issue_cert(
            *identities, common_name=common_name, not_before=not_before, not_after=not_after
        )
        path = self._folder / f"{name}.pem"
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        private.write(path, _as_pkcs8(issued.private_key_pem.bytes()) + chain)
        return path


def _as_pkcs8(key: bytes) -> bytes:
    """Return a private key in the only format that Kafka reads from PEM files."""
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
