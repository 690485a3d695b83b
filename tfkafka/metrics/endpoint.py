"""A meter's numbers by HTTP: `/metrics` for Prometheus, `/healthz` for a monitor."""

from __future__ import annotations

import contextlib
import http.server
import logging
import socket
import socketserver
import threading
import urllib.parse

from tfkafka._util import arguments
from tfkafka._util.processes import Owner, close_in_children
from tfkafka.errors import MetricsError
from tfkafka.metrics.meter import RunningMeter

METRICS, HEALTH = "/metrics", "/healthz"
# Without progress for so long, health is 503; `?within=SECONDS` asks for another limit.
WITHIN_S = 60.0
_CLIENT_S = 5.0
_LOOK_S = 0.1

_log = logging.getLogger(__name__)


class Endpoint:
    """A server in a thread of its own, between `open` and `close`.

    Raises MetricsError without prometheus-client.
    """

    def __init__(self, host: str, port: int, meter: RunningMeter):
        self._host, self._port = host, port
        self._handler = _handler(meter)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._owner = Owner()

    def open(self) -> int:
        """Listen, unless it does, and return the port. Raises MetricsError where it cannot."""
        if self._server is None:
            self._server = self._listening()
            # As a free port was chosen the first time, so it stays.
            self._port = self._server.server_address[1]
            serve = self._server.serve
            self._thread = threading.Thread(target=serve, name="tfkafka-metrics", daemon=True)
            self._thread.start()
        return self._port

    def close(self) -> None:
        """Stop listening, and end the thread. Safe to call twice."""
        thread = self._thread
        self.end()
        # A forked child has no thread that would end.
        if thread is not None and self._owner.is_here():
            thread.join()

    def end(self) -> None:
        """Stop listening, and have the thread end without waiting for it.

        Any thread may call it, at any moment: that of the server, too, where it frees memory.
        """
        server = self._server
        self._server = self._thread = None
        if server is not None:
            server.is_ending = True
            # Not in a forked child, whose parent has the same socket.
            if self._owner.is_here():
                with contextlib.suppress(OSError):
                    server.socket.shutdown(socket.SHUT_RDWR)

    def _listening(self) -> _Server:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            family, _, _, _, address = found[0]
            return _Server(family, address, self._handler)
        except OSError as error:
            raise MetricsError(
                f"metrics_port: nobody can listen on {self._host}, port {self._port} "
                f"({error.strerror}): give another one, or 0 for a free port"
            ) from error


class _Server(socketserver.ThreadingTCPServer):
    """A server of HTTP. Python's own looks up the host's name first, which may take seconds."""

    allow_reuse_address = True
    daemon_threads = True
    timeout = _LOOK_S
    is_ending = False

    def __init__(
        self, family: int, address: object, handler: type[http.server.BaseHTTPRequestHandler]
    ):
        self.address_family = family
        super().__init__(address, handler)  # type: ignore[arg-type]  # that of its family
        close_in_children(self.socket)

    def serve(self) -> None:
        """Answer until `is_ending` is set; `shutdown` would wait until this has ended."""
        with self:
            while not self.is_ending:
                self.handle_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""
        _log.debug("metrics: %s was not answered", client_address, exc_info=True)


def _handler(meter: RunningMeter) -> type[http.server.BaseHTTPRequestHandler]:
    """Return what answers requests. Raises MetricsError without prometheus-client."""
    try:
        from tfkafka.metrics.exposition import CONTENT_TYPE_LATEST, Page
    except ImportError as error:
        raise MetricsError(
            "metrics_port needs prometheus-client, which is not installed: "
            "pip install 'tfkafka[metrics]'"
        ) from error
    page = Page(meter)

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _CLIENT_S

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == METRICS:
                self._answer(200, CONTENT_TYPE_LATEST, page.text())
            elif path == HEALTH:
                self._health(query)
            else:
                self._line(404, f"there are {METRICS} and {HEALTH}")

        def _health(self, query: str) -> None:
            asked = urllib.parse.parse_qs(query).get("within", [str(WITHIN_S)])[-1]
            try:
                within_s = arguments.seconds("within", float(asked))
            except ValueError:
                self._line(400, f"within is {arguments.shown(asked)}, must be seconds")
                return
            is_well, reason = meter.health(within_s)
            self._line(200 if is_well else 503, reason)

        def _line(self, status: int, text: str) -> None:
            self._answer(status, "text/plain; charset=utf-8", f"{text}\n".encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log no request."""

    return Handler
