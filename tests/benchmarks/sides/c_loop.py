"""The ceilings in C: messages are taken in batches and dropped; records are produced in a loop."""

from __future__ import annotations

import ctypes
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.benchmarks.meter import measured
from tests.benchmarks.sides.writing import into_fresh_topics
from tests.benchmarks.worker import Round

SOURCE = Path(__file__).with_suffix(".cc")
_REASON_BYTES = 512


def build(folder: Path) -> Path:
    """Compile the loop into a folder, by the compiler that compiles the native library.

    Raises:
        NoCompilerError: there is none.
    """
    from tfkafka.native import build, sources

    compiler, library = build.find_compiler(folder), folder / "c_loop.so"
    command = [
        *compiler,
        *build.FLAGS,
        *build.LINK_FLAGS,
        f"-I{sources.LIBRARY.parent}",
        str(SOURCE),
        "-o",
        str(library),
        *build.LIBRARIES,
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    return library


def bare_loop(
    servers: str, topic: str, records: int, library: str, settings: Mapping[str, object]
) -> Round:
    """Everything from the client's creation to its end, as in the loop of confluent-kafka."""
    from confluent_kafka import cimpl

    function = ctypes.CDLL(library).read_and_drop
    function.restype = ctypes.c_int64
    words = [*_words({"bootstrap.servers": servers, **settings}), None]
    c_settings = (ctypes.c_char_p * len(words))(*words)

    def work() -> None:
        error = ctypes.create_string_buffer(_REASON_BYTES)
        found = function(
            cimpl.__file__.encode(),
            c_settings,
            topic.encode(),
            ctypes.c_int64(records),
            error,
            ctypes.c_size_t(_REASON_BYTES),
        )
        assert found == records, f"{found} of {records} records {error.value.decode()}"

    return lambda _number: measured(work)


def produce_loop(
    servers: str,
    topic: str,
    features: np.ndarray,
    library: str,
    settings: Mapping[str, object],
) -> Round:
    """Rows of an array as records: from the client's creation until all are acknowledged."""
    from confluent_kafka import cimpl

    function = ctypes.CDLL(library).write_and_flush
    function.restype = ctypes.c_int64
    words = [*_words({"bootstrap.servers": servers, **settings}), None]
    c_settings = (ctypes.c_char_p * len(words))(*words)
    offsets = np.arange(len(features) + 1, dtype=np.int64) * features[0].nbytes

    def work(name: str) -> None:
        error = ctypes.create_string_buffer(_REASON_BYTES)
        written = function(
            cimpl.__file__.encode(),
            c_settings,
            name.encode(),
            ctypes.c_void_p(features.ctypes.data),
            ctypes.c_void_p(offsets.ctypes.data),
            ctypes.c_int64(len(features)),
            error,
            ctypes.c_size_t(_REASON_BYTES),
        )
        assert written == len(features), f"{written} records {error.value.decode()}"

    return into_fresh_topics(servers, f"{topic}-c", lambda name: measured(lambda: work(name)))


def _words(settings: Mapping[str, object]) -> list[bytes]:
    """Names and values as librdkafka takes them in C."""
    words = []
    for name, value in settings.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += [name.encode(), text.encode()]
    return words
