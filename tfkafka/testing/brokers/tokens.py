"""Tokens of OAUTHBEARER for tests. They are not signed: the broker believes what they say."""

from __future__ import annotations

import base64
import json
import time

LIFETIME_S = 3600


def unsigned_token(user: str, lifetime_s: float = LIFETIME_S) -> tuple[str, float]:
    """Return a JSON Web Token of a user, and when it ends, in seconds since 1970."""
    now = time.time()
    claims = {"sub": user, "iat": now, "exp": now + lifetime_s}
    # The signature, after the last dot, is empty.
    return ".".join([_encoded({"alg": "none"}), _encoded(claims), ""]), now + lifetime_s


def _encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
