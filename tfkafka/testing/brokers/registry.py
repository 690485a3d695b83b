"""A real schema registry from pip's Java: Apicurio, which speaks Confluent's protocol too.

It keeps its schemas in memory: what was registered is gone when it is stopped.
"""

from __future__ import annotations

import http.client
import json
import os
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tfkafka._util import arguments
from tfkafka._util.waiting import wait_for
from tfkafka.errors import BrokerError, TfkafkaError
from tfkafka.testing.brokers import jars
from tfkafka.testing.brokers.launch import JVM, READY_DEADLINE_S, STARTS_ON_FREE_PORTS
from tfkafka.testing.brokers.processes import JavaProcess, free_ports, start_java
from tfkafka.testing.brokers.settings import HOST

LOCK = "apicurio"
HEAP_MB = 300
LOG_LINES = 15
ANSWER_TIMEOUT_S = 2.0
# The first registration takes a second, and five on a busy machine; all later ones some 50 ms.
FIRST_TIMEOUT_S = 60.0
_FIRST = "tfkafka-is-ready"


class EmbeddedRegistry:
    """A schema registry in one Java process on 127.0.0.1; see `start`.

    Attributes:
        url: the address for `AvroDecoder(registry=)`.
    """

    def __init__(self, url: str, process: JavaProcess):
        self.url = url
        self._process = process

    def stop(self) -> None:
        """End it; what was registered is gone."""
        self._process.end()

    def __enter__(self) -> EmbeddedRegistry:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(
    folder: str | os.PathLike[str], *, die_with_parent: bool = True, progress: bool = True
) -> EmbeddedRegistry:
    """Start a schema registry, and return once it answers: after some 10 s.

    Args:
        folder: the folder for its log.
        die_with_parent: True: it ends with the thread that called this (Linux), however that ends;
            False: it runs until `stop()`.
        progress: whether to show a progress bar while it is downloaded, 160 MB, which happens once.

    Raises BrokerError where it cannot be downloaded or does not start.
    """
    path = arguments.path("folder", folder).resolve()
    arguments.flag("die_with_parent", die_with_parent)
    arguments.flag("progress", progress)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(f"cannot write to {path}: {error.strerror}") from error
    program, log = _unpacked(progress) / "quarkus-run.jar", path / "registry.log"
    for attempt in range(1, STARTS_ON_FREE_PORTS + 1):
        try:
            return _launch(program, log, die_with_parent)
        except BrokerError:
            # Another program can take a free port before Java binds to it.
            if attempt == STARTS_ON_FREE_PORTS or "already bound" not in _text(log):
                raise
    raise AssertionError("the loop returns or raises")


def _launch(program: Path, log: Path, die_with_parent: bool) -> EmbeddedRegistry:
    port, management = free_ports(2)
    flags = [f"-Xmx{HEAP_MB}M", *JVM]
    for name, its_port in (("http", port), ("management", management)):
        flags += [f"-Dquarkus.{name}.host={HOST}", f"-Dquarkus.{name}.port={its_port}"]
    process = start_java([*flags, "-jar", str(program)], log, die_with_parent)
    registry = EmbeddedRegistry(f"http://{HOST}:{port}/apis/ccompat/v7", process)

    def up() -> bool:
        if not process.running():
            raise BrokerError("it ended while starting")
        return _answers(registry.url)

    try:
        wait_for(up, "an answer", READY_DEADLINE_S)
        _register_first(registry.url)
    except TfkafkaError as error:
        tail = "\n".join(_text(log).splitlines()[-LOG_LINES:])
        registry.stop()
        raise BrokerError(
            f"the schema registry at {registry.url} did not come up: {error}; the end of {log}:\n"
            f"{tail}"
        ) from error
    except BaseException:
        registry.stop()
        raise
    return registry


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def _answers(url: str) -> bool:
    try:
        _request("GET", f"{url}/subjects", ANSWER_TIMEOUT_S)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False
    return True


def _register_first(url: str) -> None:
    """Register a schema and delete it, so that nobody else waits for the first registration."""
    subject = f"{url}/subjects/{_FIRST}"
    schema = json.dumps({"schema": '"null"'}).encode()
    try:
        _request("POST", f"{subject}/versions", FIRST_TIMEOUT_S, schema)
        for query in ("", "?permanent=true"):
            _request("DELETE", subject + query, FIRST_TIMEOUT_S)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise BrokerError(f"it registers no schema: {error}") from error


def _request(method: str, url: str, timeout_s: float, body: bytes | None = None) -> None:
    # Without the proxy of the environment, which does not reach this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    request = urllib.request.Request(url, body, kind, method=method)
    with opener.open(request, timeout=timeout_s):
        pass


def _unpacked(progress: bool) -> Path:
    """Return the folder with the registry's program; download and unpack it the first time."""
    lock = jars.read_program_lock(LOCK)
    folder = jars.folder_of(lock)
    target = folder / "unpacked"
    if not target.exists():
        archive = jars.fetch(lock, progress) / lock.jars[0].file_name
        with jars.temporary_folder(folder) as scratch:
            try:
                with tarfile.open(archive) as packed:
                    packed.extractall(scratch / "unpacked", filter="data")
                os.rename(scratch / "unpacked", target)
            except OSError as error:
                # Another process was sooner; it removes the archive only after its rename.
                if not target.exists():
                    raise BrokerError(
                        f"cannot unpack the schema registry to {target}: {error.strerror}; "
                        f"set {jars.CACHE_VARIABLE} to a folder with 200 MB of room"
                    ) from error
        archive.unlink(missing_ok=True)
    return target
