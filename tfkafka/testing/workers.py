"""One broker for all workers of pytest-xdist, started by their controller when one asks for it.

A worker could not start it for the others: the broker would end with this worker, which may crash
or have no more tests. The controller lives as long as all of them, and the broker ends with it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import TYPE_CHECKING

from tfkafka.errors import BrokerError

if TYPE_CHECKING:
    from tfkafka.testing.brokers.embedded import EmbeddedBroker
    from tfkafka.testing.brokers.shared import SharedBroker

# Host, port and a key.
Address = tuple[str, int, str]
HOST = "127.0.0.1"
WAITING_WORKERS = 128
STOP = ""


class SharedBrokers:
    """Starts a broker of each version that a worker asks for, once.

    Attributes:
        address: where to ask, for `ask`.
    """

    def __init__(self) -> None:
        key = secrets.token_bytes(16)
        self._listener = Listener((HOST, 0), backlog=WAITING_WORKERS, authkey=key)
        self.address: Address = (*self._listener.address, key.hex())
        self._brokers: list[EmbeddedBroker] = []
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
        with (
            tempfile.TemporaryDirectory(prefix="tfkafka-", ignore_cleanup_errors=True) as folder,
            self._listener,
        ):
            # A worker may be gone before it has its answer.
            while True:
                with (
                    contextlib.suppress(OSError, EOFError, AuthenticationError),
                    self._listener.accept() as connection,
                ):
                    version = connection.recv_bytes().decode()
                    if version == STOP:
                        break
                    connection.send_bytes(self._answer(Path(folder), version))
            for broker in self._brokers:
                broker.stop()

    def _answer(self, folder: Path, version: str) -> bytes:
        if version not in self._answers:
            self._answers[version] = json.dumps(self._start(folder / version, version)).encode()
        return self._answers[version]

    def _start(self, folder: Path, version: str) -> dict[str, str]:
        from tfkafka.testing.brokers import embedded

        try:
            self._brokers.append(embedded.start(folder, version, progress=False))
        except BrokerError as error:
            return {"error": str(error)}
        return {"folder": str(folder), "servers": self._brokers[-1].bootstrap_servers}


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
