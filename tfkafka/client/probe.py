"""What listens at an address: Kafka or another program, with TLS or without, with SASL or without.

librdkafka reports most of it as a connection that is closed. So where a client gets no answer, one
connection is opened here, and a broker is asked what it asks of its clients. No password is sent.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tfkafka._util.background import in_background
from tfkafka.client.names import Address

_RESOLVE_S = 1.0
_CONNECT_S = 1.0
_ANSWER_S = 1.0
# With TLS 1.3 a broker refuses a client's certificate only after the handshake.
_ALERT_S = 0.1

_METADATA, _SASL_HANDSHAKE, _API_VERSIONS = 3, 17, 18
CONSUMER_GROUP_HEARTBEAT = 68
_ILLEGAL_SASL_STATE = 34
_LARGEST_ANSWER = 1 << 20
_FALSE = ("false", "f", "0")

_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = (62, 64)


class Problem(Exception):
    """Why a client cannot use an address.

    Args:
        reason: what is there.
        advice: what to do.
        may_pass: whether a broker that is starting looks the same.
    """

    def __init__(self, reason: str, advice: str, may_pass: bool = False):
        super().__init__(f"{reason}: {advice}")
        self.reason, self.advice, self.may_pass = reason, advice, may_pass


@dataclass(frozen=True)
class Listener:
    """A listener of a Kafka broker.

    Attributes:
        requests: the kinds of requests that the broker answers, as Kafka numbers them, and the
            newest version of each.
        mechanisms: what SASL offers; None: the listener has no SASL.
        brokers: where the cluster's brokers say that they are; empty where that is unknown: a
            listener with SASL tells it only to its users.
    """

    requests: Mapping[int, int]
    mechanisms: tuple[str, ...] | None
    brokers: tuple[Address, ...] = ()


class _Other(Exception):
    """An answer that is not Kafka's."""

    def __init__(self, answer: bytes):
        super().__init__(answer)
        self.answer = answer


def probe(address: Address, settings: Mapping[str, object]) -> Listener | None:
    """Return the listener at an address; None where it accepts connections and is silent.

    Args:
        settings: a client's, with those of TLS and SASL.

    Raises Problem where a client with these settings cannot use the address.
    """
    protocol = str(settings.get("security.protocol", "plaintext")).upper()
    has_tls = protocol.endswith("SSL")
    context = _context(settings) if has_tls else None
    try:
        with _connection(address, context) as connection:
            listener = _ask(connection, _mechanism(settings))
    except ssl.SSLCertVerificationError as error:
        raise _broker_certificate(error) from None
    except ssl.SSLError as error:
        if _is_about_certificate(error):
            if _has_hidden_certificate(settings):
                return None
            raise _client_certificate(settings) from None
        return _refuse_other_protocol(address, has_tls, protocol, b"")
    except TimeoutError:
        if _speaks_http(address):
            raise _another_program(b"HTTP/") from None
        return None
    except _Other as other:
        return _refuse_other_protocol(address, has_tls, protocol, other.answer)
    except OSError:
        return _refuse_other_protocol(address, has_tls, protocol, b"")
    _compare_sasl(listener, protocol, _mechanism(settings))
    return listener


@contextmanager
def _connection(address: Address, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with _connect(address) as plain:
        plain.settimeout(_ANSWER_S)
        if context is None:
            yield plain
            return
        with context.wrap_socket(plain, server_hostname=address.host) as secure:
            yield secure


def _connect(address: Address) -> socket.socket:
    try:
        found = in_background(
            lambda: socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        ).result(_RESOLVE_S)
    except TimeoutError:
        raise Problem(
            f"the name {address.host} is not resolved within {_RESOLVE_S:.0f} s",
            "check the name server",
            may_pass=True,
        ) from None
    except (OSError, UnicodeError):
        raise Problem(
            f"the host name {address.host} is unknown", "correct the address", may_pass=True
        ) from None
    problem: Problem | None = None
    for family, kind, number, _, place in found:
        try:
            connection = socket.socket(family, kind, number)
        except OSError as error:
            problem = _unconnected(error)
            continue
        connection.settimeout(_CONNECT_S / len(found))
        try:
            connection.connect(place)
            return connection
        except OSError as error:
            connection.close()
            problem = _unconnected(error)
    assert problem is not None  # getaddrinfo raises where it finds nothing
    raise problem


def _unconnected(error: OSError) -> Problem:
    if isinstance(error, ConnectionRefusedError):
        reason, advice = "connection refused", "start a broker, or name the right address"
    elif isinstance(error, TimeoutError):
        reason = f"no connection within {_CONNECT_S:.0f} s"
        advice = "check the address, the network and its firewalls"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        reason = "too many open files, so that none is left for a connection"
        advice = "raise the limit (ulimit -n), or keep fewer datasets and clients"
    else:
        reason = (error.strerror or str(error)).lower()
        advice = "check the address and the network"
    return Problem(reason, advice, may_pass=True)


def _ask(connection: socket.socket, mechanism: str) -> Listener:
    if isinstance(connection, ssl.SSLSocket):
        _refuse_alert(connection)
    versions = request(connection, _API_VERSIONS, 0, b"")
    (count,) = struct.unpack_from(">i", versions, 2)
    rows = list(struct.iter_unpack(">hhh", versions[6 : 6 + 6 * count]))
    name = mechanism.encode()
    answer = request(connection, _SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
    (code,) = struct.unpack_from(">h", answer)
    mechanisms = None if code == _ILLEGAL_SASL_STATE else tuple(_texts(answer[2:]))
    knows = any(key == _METADATA and oldest <= 1 <= newest for key, oldest, newest in rows)
    brokers = _brokers(connection) if mechanisms is None and knows else ()
    return Listener({key: newest for key, _, newest in rows}, mechanisms, brokers)


def _brokers(connection: socket.socket) -> tuple[Address, ...]:
    """Return the addresses in a cluster's metadata; nothing where it does not send them."""
    try:
        return tuple(_addresses(request(connection, _METADATA, 1, struct.pack(">i", 0))))
    except (_Other, OSError, struct.error, UnicodeError):
        return ()


def _addresses(metadata: bytes) -> list[Address]:
    (count,), place, found = struct.unpack_from(">i", metadata), 4, []
    for _ in range(count):
        host, place = _text(metadata, place + 4)
        found.append(Address(host, *struct.unpack_from(">i", metadata, place)))
        _, place = _text(metadata, place + 4)  # the rack
    return found


def _refuse_alert(connection: ssl.SSLSocket) -> None:
    connection.settimeout(_ALERT_S)
    try:
        answer = connection.recv(64)
    except TimeoutError:
        connection.settimeout(_ANSWER_S)
        return
    raise _Other(answer)


def request(connection: socket.socket, kind: int, version: int, body: bytes) -> bytes:
    """Send a request of Kafka's protocol, and return the body of the answer."""
    client = b"tfkafka"
    head = struct.pack(">hhih", kind, version, kind, len(client)) + client
    connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    start = _read(connection, 8)
    size, number = struct.unpack(">ii", start)
    if not 10 <= size <= _LARGEST_ANSWER or number != kind:
        raise _Other(start)
    return _read(connection, size - 4)


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise _Other(data)
        data += part
    return data


def _texts(data: bytes) -> Iterator[str]:
    (count,), place = struct.unpack_from(">i", data), 4
    for _ in range(count):
        text, place = _text(data, place)
        yield text


def _text(data: bytes, place: int) -> tuple[str, int]:
    """Return the text at a place, "" where there is none, and the place after it."""
    (length,) = struct.unpack_from(">h", data, place)
    end = place + 2 + max(0, length)
    return data[place + 2 : end].decode(), end


def _context(settings: Mapping[str, object]) -> ssl.SSLContext:
    """Return a TLS client that checks what librdkafka checks with these settings."""
    if str(settings.get("enable.ssl.certificate.verification", "true")).lower() in _FALSE:
        return _trusting_all()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    algorithm = settings.get("ssl.endpoint.identification.algorithm", "https")
    context.check_hostname = algorithm == "https"
    if location := settings.get("ssl.ca.location"):
        path = str(location)
        is_folder = os.path.isdir(path)
        context.load_verify_locations(*((None, path) if is_folder else (path, None)))
    elif text := settings.get("ssl.ca.pem"):
        context.load_verify_locations(cadata=str(text))
    else:
        context.load_default_certs()
    if certificate := settings.get("ssl.certificate.location"):
        key = settings.get("ssl.key.location", certificate)
        # Without a password OpenSSL would ask for one at the terminal.
        password = str(settings.get("ssl.key.password", ""))
        context.load_cert_chain(str(certificate), str(key), password)
    return context


def _trusting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _mechanism(settings: Mapping[str, object]) -> str:
    return str(settings.get("sasl.mechanism", settings.get("sasl.mechanisms", "GSSAPI")))


def _broker_certificate(error: ssl.SSLCertVerificationError) -> Problem:
    code, words = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return Problem("its certificate has expired", "renew it, or correct this machine's clock")
    if code == _NOT_YET_VALID:
        return Problem("its certificate is not valid yet", "correct this machine's clock")
    if code in _OTHER_HOST:
        return Problem(
            f"its certificate is for another host: {words.rstrip('.')}",
            "use the host name that is in the certificate, or issue one for this host",
        )
    return Problem(
        f"its certificate is not trusted: {words}",
        "set ssl.ca.location to the certificate of the CA that signed it",
    )


def _is_about_certificate(error: ssl.SSLError) -> bool:
    """Return whether the broker refused the client's certificate, or that there was none."""
    reason = error.reason or ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or reason.endswith("UNKNOWN_CA"))


def _has_hidden_certificate(settings: Mapping[str, object]) -> bool:
    """Return whether the client has a certificate that `_context` cannot load."""
    names = ("ssl.keystore.location", "ssl.certificate.pem", "ssl.key.pem")
    return any(settings.get(name) for name in names)


def _client_certificate(settings: Mapping[str, object]) -> Problem:
    if settings.get("ssl.certificate.location"):
        return Problem(
            "it refuses the client's certificate",
            "set ssl.certificate.location to one of a CA that the broker trusts",
        )
    return Problem(
        "it requires a certificate of the client, and there is none",
        "set ssl.certificate.location and ssl.key.location",
    )


def _refuse_other_protocol(
    address: Address, has_tls: bool, protocol: str, answer: bytes
) -> Listener | None:
    """Raise Problem where an address does not speak the protocol that is set.

    Returns None where its answer to a TLS handshake is late, so that it is not known.
    """
    try:
        problem = _other_protocol(address, has_tls, protocol, answer)
    except TimeoutError:
        return None
    raise problem from None


def _other_protocol(address: Address, has_tls: bool, protocol: str, answer: bytes) -> Problem:
    """Return what is wrong where an address does not speak the protocol that is set."""
    if not has_tls and _is_text(answer):
        return _another_program(answer)
    other = _try(address, None if has_tls else _trusting_all())
    if isinstance(other, bytes) and _is_text(other):
        return _another_program(other)
    if isinstance(other, Listener):
        part = "PLAINTEXT" if has_tls else "SSL"
        advice = part if other.mechanisms is None else f"SASL_{part}"
        speaks = "does not speak TLS" if has_tls else "speaks TLS"
        return Problem(
            f"it {speaks}, and security.protocol is {protocol}",
            f"set security.protocol to {advice}",
        )
    if has_tls and _speaks_tls(address):
        return Problem(
            "it closes the connection after the TLS handshake",
            "check the certificates, and that this is the port of a Kafka listener",
            may_pass=True,
        )
    if not has_tls and _speaks_tls(address):
        return Problem(
            f"it speaks TLS, and security.protocol is {protocol}",
            "set security.protocol to SSL or SASL_SSL",
        )
    return Problem(
        "it closes the connection without an answer",
        "name the port of a Kafka listener",
        may_pass=True,
    )


def _try(address: Address, context: ssl.SSLContext | None) -> Listener | bytes | None:
    """Return the listener, or the answer of another program; None where there is neither."""
    try:
        with _connection(address, context) as connection:
            return _ask(connection, "")
    except _Other as other:
        return other.answer
    except TimeoutError:
        return b"HTTP/" if context is None and _speaks_http(address) else None
    except (OSError, Problem):
        return None


def _speaks_tls(address: Address) -> bool:
    try:
        with _connection(address, _trusting_all()):
            return True
    except ssl.SSLError as error:
        return _is_about_certificate(error)
    except TimeoutError:
        raise
    except (OSError, Problem):
        return False


def _speaks_http(address: Address) -> bool:
    """Return whether HTTP is answered: such a server waits for the end of a line."""
    try:
        with _connection(address, None) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except (OSError, Problem):
        return False


def _is_text(answer: bytes) -> bool:
    return len(answer) >= 4 and all(32 <= byte < 127 for byte in answer[:4])


def _another_program(answer: bytes) -> Problem:
    what = "HTTP" if answer.startswith(b"HTTP") else f"another protocol ({answer[:8]!r})"
    return Problem(f"it speaks {what}, not Kafka's protocol", "name the port of a Kafka listener")


def _compare_sasl(listener: Listener, protocol: str, mechanism: str) -> None:
    has_sasl, transport = protocol.startswith("SASL_"), protocol.removeprefix("SASL_")
    offered = listener.mechanisms
    if has_sasl and offered is None:
        raise Problem(
            f"it has no SASL, and security.protocol is {protocol}",
            f"set security.protocol to {transport}",
        )
    if offered is None:
        return
    listed = ", ".join(offered)
    if not has_sasl:
        raise Problem(
            f"it requires SASL, and security.protocol is {protocol}",
            f"set security.protocol to SASL_{transport}, sasl.mechanism ({listed}), sasl.username "
            f"and sasl.password",
        )
    if mechanism not in offered:
        raise Problem(
            f"it does not offer the SASL mechanism {mechanism}",
            f"set sasl.mechanism to one of those that it offers: {listed}",
        )
