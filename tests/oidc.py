"""An OpenID Connect provider as clients see it: it gives tokens to who knows a secret."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tfkafka.testing.brokers.settings import HOST
from tfkafka.testing.brokers.tokens import LIFETIME_S, unsigned_token


class _Provider(BaseHTTPRequestHandler):
    server: ThreadingHTTPServer
    secrets: dict[str, str]

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user, secret = self._credentials()
        if form.get("grant_type") != ["client_credentials"] or self.secrets.get(user) != secret:
            self._answer(401, {"error": "invalid_client"})
            return
        token, _ = unsigned_token(user)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S}
        self._answer(200, answer)

    def _credentials(self) -> tuple[str, str]:
        _, _, encoded = self.headers.get("Authorization", "").partition(" ")
        user, _, secret = base64.b64decode(encoded).decode().partition(":")
        return user, secret

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def provider(secrets: dict[str, str]) -> Iterator[str]:
    """Yield the address of its tokens; `secrets` are those of the clients, by their names."""
    handler = type("Provider", (_Provider,), {"secrets": secrets})
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}/token"
        server.shutdown()
        thread.join()
