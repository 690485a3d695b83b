"""A TCP proxy before a Kafka broker, whose connections a test can cut.

Brokers tell clients their own addresses, and those of the other brokers; in the answers that go
through here they are replaced by the proxies', so that no client goes past them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

HOST = "127.0.0.1"


class Proxy:
    """Listens on a free port. `cut` breaks all connections, `refuse` also new ones.

    Args:
        bootstrap_servers: the broker's address.
        ports: the port of each broker's proxy by the broker's port, shared by the proxies of a
            cluster; None: there is one broker.

    Attributes:
        is_holding: set while an answer is held back: see `hold`.
    """

    def __init__(self, bootstrap_servers: str, ports: dict[int, int] | None = None):
        self._target = int(bootstrap_servers.rpartition(":")[2])
        self._listener = socket.create_server((HOST, 0))
        self._port = self._listener.getsockname()[1]
        self._ports = {} if ports is None else ports
        self._ports[self._target] = self._port
        self._open: set[socket.socket] = set()
        self._refusing = False
        self.cuts = 0
        self._wanted: bytes | None = None
        self._may_pass = threading.Event()
        self.is_holding = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self._port}"

    def cut(self) -> None:
        """Break all connections; returns how many there were in `cuts`."""
        for connection in list(self._open):
            self.cuts += 1
            _close(connection)

    def refuse(self) -> None:
        self._refusing = True
        self.cut()

    def allow(self) -> None:
        self._refusing = False

    def hold(self, content: bytes) -> None:
        """Hold back the next answer of the broker that has this content, until `release`."""
        self._may_pass.clear()
        self._wanted = content

    def advertise(self, port: int) -> None:
        """Name another port than this proxy's, as a broker does that is set up wrongly."""
        self._ports[self._target] = port

    def release(self) -> None:
        self._may_pass.set()

    def close(self) -> None:
        self.release()
        self.refuse()
        _close(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refusing:
                    client.close()
                    continue
                try:
                    broker = socket.create_connection((HOST, self._target))
                except ConnectionRefusedError:
                    client.close()  # as the broker's own port does while the broker is dead
                    continue
                self._open |= {client, broker}
                for source, sink, change in (
                    (client, broker, bytes),
                    (broker, client, self._as_ours),
                ):
                    threading.Thread(
                        target=self._pump, args=(source, sink, change), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, change) -> None:
        """Whole messages, 4 bytes of length and then so many, so that none is changed in part."""
        with contextlib.suppress(OSError, EOFError):
            while True:
                head = _read(source, 4)
                sink.sendall(head + change(_read(source, struct.unpack(">i", head)[0])))
        for connection in (source, sink):
            self._open.discard(connection)
            _close(connection)

    def _as_ours(self, message: bytes) -> bytes:
        if self._wanted is not None and self._wanted in message:
            self._wanted = None
            self.is_holding.set()
            self._may_pass.wait()
            self.is_holding.clear()
        for theirs, ours in self._ports.items():
            message = message.replace(_address(theirs), _address(ours))
        return message


def _address(port: int) -> bytes:
    """As answers have it: the end of the host's name, and the port."""
    return HOST.encode() + struct.pack(">i", port)


def _read(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
