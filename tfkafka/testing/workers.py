"""One broker for all workers of pytest-xdist, started by their controller when one asks for it.

A worker could not start it for the others: the broker would end with this worker, which may crash
or have no more tests. The controller lives as long as all of them, and the broker ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import struct
import tempfile
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Client,
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from pathlib import Path
from typing import TYPE_CHECKING

from tfkafka.errors import BrokerError

if TYPE_CHECKING:
    from tfkafka.testing.brokers.shared import SharedBroker

# Host, port and a key.
Address = tuple[str, int, str]
HOST = "127.0.0.1"
WAITING_WORKERS = 128
# Others wait meanwhile. A worker answers at once, unless the machine is busy.
SILENCE_S = 10
STOP = ""


class SharedBrokers:
    """Starts a broker of each version that a worker asks for, once.

    Attributes:
        address: where to ask, for `ask`.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._listener = Listener((HOST, 0), backlog=WAITING_WORKERS)
        self.address: Address = (*self._listener.address, self._key.hex())
        self._brokers = contextlib.ExitStack()
        self._answers: dict[str, bytes] = {}
        # The kernel ends a broker with the thread that started it: one that lives to the end.
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop all brokers, and wait until they have ended."""
        with _connected(self.address) as connection:
            connection.send_bytes(STOP.encode())
        self._thread.join()

    def _serve(self) -> None:
        with self._listener, self._brokers:
            while self._serve_one():
                pass

    def _serve_one(self) -> bool:
        """Answer who connects next; return False where it asks to stop."""
        # A worker may be gone before it has its answer, and anybody may connect.
        with (
            contextlib.suppress(OSError, EOFError, AuthenticationError),
            self._listener.accept() as connection,
        ):
            _limit_silence(connection)
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            version = connection.recv_bytes().decode()
            if version == STOP:
                return False
            connection.send_bytes(self._answer(version))
        return True

    def _answer(self, version: str) -> bytes:
        if version not in self._answers:
            self._answers[version] = json.dumps(self._start(version)).encode()
        return self._answers[version]

    def _start(self, version: str) -> dict[str, str]:
        try:
            from tfkafka.testing.brokers import embedded

            temporary = tempfile.TemporaryDirectory(prefix="tfkafka-", ignore_cleanup_errors=True)
            folder = self._brokers.enter_context(temporary)
            broker = embedded.start(folder, version, progress=False)
        except BrokerError as error:
            return {"error": str(error)}
        except Exception as error:
            return {"error": f"Kafka {version} did not start: {type(error).__name__}: {error}"}
        self._brokers.callback(broker.stop)
        return {"folder": folder, "servers": broker.bootstrap_servers}


def ask(address: Address, version: str) -> SharedBroker:
    """Return the broker of this version that all workers share, once it answers.

    Args:
        address: that of a `SharedBrokers`.
        version: one of `known_versions()`.

    Raises:
        BrokerError: the broker does not start.
    """
    from tfkafka.testing.brokers.shared import SharedBroker

    with _connected(address) as connection:
        connection.send_bytes(version.encode())
        answer: dict[str, str] = json.loads(connection.recv_bytes())
    if "error" in answer:
        raise BrokerError(answer["error"])
    return SharedBroker(Path(answer["folder"]), answer["servers"], version)


def _connected(address: Address) -> Connection:
    host, port, key = address
    return Client((host, port), authkey=bytes.fromhex(key))


def _limit_silence(connection: Connection) -> None:
    """Let each read of a connection fail with an OSError after `SILENCE_S`."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        # Where the process has a default time-out, Python has made both non-blocking.
        same.setblocking(True)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE_S, 0))
