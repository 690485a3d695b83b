"""An OpenID Connect provider as clients and brokers see it.

It gives signed tokens to who knows a secret, and publishes its keys.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tfkafka.testing.brokers.settings import HOST
from tfkafka.testing.brokers.tokens import LIFETIME_S, TokenIssuer


class Provider(ThreadingHTTPServer):
    """A provider on a free port; `secrets` are those of its clients, by their names.

    Attributes:
        issuer: what brokers need to know of it.
        token_of: returns the token of a client, and its end, which is not sent.
    """

    def __init__(self, secrets: dict[str, str]):
        super().__init__((HOST, 0), _Handler)
        self.secrets = secrets
        self.issuer = TokenIssuer(f"{self._address}/keys", self._address)
        self.token_of: Callable[[str], tuple[str, float]] = self.issuer.token

    @property
    def _address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    @property
    def token_url(self) -> str:
        return f"{self._address}/token"


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        is_known = self.path == "/keys"
        self._answer(
            200 if is_known else 404, self.server.issuer.public_keys() if is_known else b""
        )

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user, secret = self._credentials()
        is_grant = form.get("grant_type") == ["client_credentials"]
        if not is_grant or self.server.secrets.get(user) != secret:
            self._answer(401, json.dumps({"error": "invalid_client"}).encode())
            return
        token, _ = self.server.token_of(user)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S}
        self._answer(200, json.dumps(answer).encode())

    def _credentials(self) -> tuple[str, str]:
        _, _, encoded = self.headers.get("Authorization", "").partition(" ")
        user, _, secret = base64.b64decode(encoded).decode().partition(":")
        return user, secret

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def provider(secrets: dict[str, str]) -> Iterator[Provider]:
    """Yield a provider that runs until the block ends."""
    with Provider(secrets) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
