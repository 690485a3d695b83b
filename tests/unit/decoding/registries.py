"""A server that speaks as a schema registry, for what a real one does not do on demand."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager


class Registry(http.server.BaseHTTPRequestHandler):
    """Has schemas, for whoever says what the server wants to hear; it registers none."""

    def do_GET(self):
        if self.path == "/subjects":
            self.answer(200, [])
            return
        number = int(self.path.partition("?")[0].rpartition("/")[2])
        self.server.asked.append(number)
        wanted, schemas = self.server.authorization, self.server.schemas
        if wanted is not None and self.headers["Authorization"] != wanted:
            self.answer(401, {"error_code": 401, "message": "Unauthorized"})
        elif number not in schemas:
            self.answer(404, {"error_code": 40403, "message": "Schema not found"})
        else:
            self.answer(200, {"schema": json.dumps(schemas[number])})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(404, {"error_code": 40401, "message": "Subject not found"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def registry(schemas, authorization=None, context=None, asked=None):
    """The address of a registry.

    Args:
        schemas: its schemas by their numbers, which may change meanwhile.
        authorization: the header that it wants to hear; None: any.
        context: the ssl.SSLContext of an https server.
        asked: a list to which each number is appended that is asked for.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        server.schemas, server.authorization = schemas, authorization
        server.asked = [] if asked is None else asked
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        scheme = "http" if context is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
