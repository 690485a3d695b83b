"""A web server on 127.0.0.1 that serves SUSY as badly as one wants, and says what it was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WRITE_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """What one request gets."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""
    ranges: bool = False
    """Whether a Range is honoured, with 206."""
    range_shift: int = 0
    """Bytes by which the part that is sent begins after the one that was asked for."""
    silent: bool = False
    """Nothing at all is answered until the client hangs up or the server closes."""
    drip_after: int | None = None
    """Bytes of the body after which the rest comes one byte at a time, slowly."""


@dataclass
class Seen:
    """One request, and how many bytes of body were sent for it until it was `done`."""

    path: str
    range: str | None
    sent: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class SusyServer:
    """Context manager; `url(path, reply, …)` makes an address whose n-th request gets reply n."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._replies: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        # Silent replies end with `closing`; no need to wait for them.
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> SusyServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str, *replies: Reply) -> str:
        """The address of `path`; the last reply repeats. Without replies: 404."""
        self._replies[f"/{path}"] = list(replies) or [Reply(b"no such thing", 404)]
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def take(self, path: str, range_header: str | None) -> tuple[Reply, Seen]:
        """The next reply for `path`; the request is noted."""
        with self._lock:
            seen = Seen(path, range_header)
            self.seen.append(seen)
            replies = self._replies[path]
            return (replies.pop(0) if len(replies) > 1 else replies[0]), seen


def _handler(server: SusyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply, seen = server.take(self.path, self.headers.get("Range"))
            try:
                self._answer(reply, seen)
            except OSError:  # the client hung up
                pass
            finally:
                self.close_connection = True
                seen.done.set()

        def _answer(self, reply: Reply, seen: Seen) -> None:
            if reply.silent:
                server.closing.wait()
                return
            body, status, headers = reply.body, reply.status, dict(reply.headers)
            asked = re.fullmatch(r"bytes=(\d+)-", seen.range or "")
            if asked and reply.ranges:
                start = int(asked[1]) + reply.range_shift
                total, body, status = len(body), body[start:], 206
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            for part in self._parts(body[: reply.cut_after], reply):
                self.wfile.write(part)
                seen.sent += len(part)

        def _parts(self, body: bytes, reply: Reply) -> Iterable[bytes]:
            fast = len(body) if reply.drip_after is None else reply.drip_after
            view = memoryview(body)
            yield from (view[at : at + WRITE_BYTES][: fast - at] for at in _steps(fast))
            for at in range(fast, len(body)):
                if server.closing.wait(0.01):
                    return
                yield view[at : at + 1]

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _steps(size: int) -> Iterator[int]:
    return iter(range(0, size, WRITE_BYTES))
