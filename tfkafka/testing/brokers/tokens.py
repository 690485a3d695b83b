"""Tokens of OAUTHBEARER for tests, signed as providers of OpenID Connect sign theirs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfkafka.errors import BrokerError
from tfkafka.testing.brokers import private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LIFETIME_S = 3600
NAME, AUDIENCE = "https://issuer.example", "kafka"


class TokenIssuer:
    """An issuer whose tokens brokers check: signature (RS256), issuer, audience and end.

    Args:
        keys_url: where brokers read its public keys: `public_keys()` must be there before they
            start.
        name: the issuer, as its tokens name it.

    Attributes:
        audience: for whom its tokens are.

    Example:
        issuer = TokenIssuer("http://127.0.0.1:8080/keys")  # where a test serves public_keys()
        security = Security(("OAUTHBEARER",), issuer=issuer)
        token, end = issuer.token("alice")
    """

    def __init__(self, keys_url: str, name: str = NAME):
        self.keys_url: str = keys_url
        self.name: str = name
        self.audience: str = AUDIENCE
        self._keys: list[RSAPrivateKey] = []
        self.rotate()

    @classmethod
    def in_folder(cls, folder: Path) -> TokenIssuer:
        """Return a new issuer whose public keys are in a file of this folder.

        Raises BrokerError where the folder has a name that Kafka could not read it by.
        """
        path = folder.absolute() / "keys.json"
        url = path.as_uri()
        if url != f"file://{path}":
            # Seen with 3.9.2 and 4.4.0.
            raise BrokerError(
                f"Kafka does not find keys of tokens in {folder}, because a URL must encode "
                f"characters of this name: choose a folder with an ordinary name"
            )
        issuer = cls(url)
        private.write(path, issuer.public_keys())
        return issuer

    def rotate(self) -> None:
        """Sign with a new key from now on, and add it to `public_keys()`: publish them again."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._keys.append(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def token(
        self, user: str, lifetime_s: float = LIFETIME_S, **claims: object
    ) -> tuple[str, float]:
        """Return a token of a user, and when it ends, in seconds since 1970.

        Args:
            claims: what the token says instead, for example `aud="another"`.
        """
        now = time.time()
        end = now + lifetime_s
        said = {"iss": self.name, "aud": self.audience, "sub": user, "iat": now, "exp": end}
        header = {"alg": "RS256", "typ": "JWT", "kid": str(len(self._keys))}
        signed = f"{_json(header)}.{_json(said | claims)}"
        return f"{signed}.{self._signature(signed)}", end

    def public_keys(self) -> bytes:
        """Return its public keys as a JSON Web Key Set."""
        keys = []
        for number, key in enumerate(self._keys, 1):
            public = key.public_key().public_numbers()
            parts = {"n": _number(public.n), "e": _number(public.e)}
            keys.append({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": str(number), **parts})
        return json.dumps({"keys": keys}).encode()

    def _signature(self, text: str) -> str:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return _encoded(self._keys[-1].sign(text.encode(), PKCS1v15(), SHA256()))


def _json(part: Mapping[str, object]) -> str:
    return _encoded(json.dumps(part).encode())


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
