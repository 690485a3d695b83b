"""Small servers on 127.0.0.1 that stand for what a client may find at an address."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

HOST = "127.0.0.1"
ILLEGAL_SASL_STATE = 34
HEARTBEAT = 68

Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yield the address of a server that runs `answer` for each connection."""
    listener = socket.create_server((HOST, 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if context is None:
                answer(connection)
            else:
                with context.wrap_socket(connection, server_side=True) as secure:
                    answer(secure)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"{HOST}:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def silent(connection: socket.socket) -> None:
    """Read, and answer nothing."""
    while connection.recv(1024):
        pass


def closing(_connection: socket.socket) -> None:
    """Close at once."""


def ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    silent(connection)


def http(connection: socket.socket) -> None:
    """Wait for the end of a line, as web servers do."""
    data = b""
    while b"\n" not in data:
        part = connection.recv(1024)
        if not part:
            return
        data += part
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def kafka(
    mechanisms: tuple[str, ...] | None = None,
    newest_heartbeat: int = 1,
    brokers: tuple[str, ...] = (),
) -> Answer:
    """Answer as a broker's listener does, which offers these mechanisms of SASL.

    Args:
        brokers: where it says that the brokers are.
    """
    offered = b"".join(struct.pack(">h", len(m)) + m.encode() for m in mechanisms or ())
    code = ILLEGAL_SASL_STATE if mechanisms is None else 0
    handshake = struct.pack(">hi", code, len(mechanisms or ())) + offered
    versions = struct.pack(">hi", 0, 3) + struct.pack(">hhhhhh", 18, 0, 4, 3, 0, 12)
    versions += struct.pack(">hhh", HEARTBEAT, 0, newest_heartbeat)
    metadata = struct.pack(">i", len(brokers))
    for number, broker in enumerate(brokers):
        host, _, port = broker.rpartition(":")
        place = struct.pack(f">ih{len(host)}si", number, len(host), host.encode(), int(port))
        metadata += place + struct.pack(">h", -1)
    bodies = {18: versions, 17: handshake, 3: metadata + struct.pack(">ii", 0, 0)}

    def answer(connection: socket.socket) -> None:
        while head := connection.recv(4):
            (size,) = struct.unpack(">i", head)
            if size > 1000:  # not Kafka's protocol
                return
            kind, _, number = struct.unpack_from(">hhi", connection.recv(size))
            body = bodies[kind]
            connection.sendall(struct.pack(">ii", 4 + len(body), number) + body)

    return answer


class Certificates:
    """A CA's certificates in a folder, as the settings of clients and the contexts of servers."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._authority, self._foreign = trustme.CA(), trustme.CA()
        for name, authority in (("ca", self._authority), ("foreign-ca", self._foreign)):
            authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
        for name, authority in (("client", self._authority), ("foreign", self._foreign)):
            authority.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(
                str(folder / f"{name}.pem")
            )

    def settings(self, certificate: str | None = None, authority: str = "ca") -> dict[str, str]:
        found = {"security.protocol": "SSL", "ssl.ca.location": str(self.path(authority))}
        if certificate is not None:
            found["ssl.certificate.location"] = str(self.path(certificate))
        return found

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def context(
        self, host: str = HOST, days: int = 1, mutual: bool = False, begin: int = -30
    ) -> ssl.SSLContext:
        """Return a server's; its certificate is valid until that many days from now."""
        now = datetime.now(UTC)
        certificate = self._authority.issue_cert(
            host, not_before=now + timedelta(days=begin), not_after=now + timedelta(days=days)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if mutual:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
