"""What `native_status` says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tfkafka import native
from tfkafka.client.status import NativeStatus, native_status


def test_parts_with_different_reasons():
    status = NativeStatus(False, True, "no plugins", "", "/a/library.so", "2.16.0")
    assert str(status) == (
        "reading and writing: Python (no plugins); parsing: native\n"
        "librdkafka 2.16.0, library /a/library.so"
    )


def test_parts_with_the_same_reason():
    status = NativeStatus(False, False, "TFKAFKA_NATIVE=0", "TFKAFKA_NATIVE=0", None, "2.16.0")
    assert str(status) == (
        "reading, writing and parsing: Python (TFKAFKA_NATIVE=0)\n"
        "librdkafka 2.16.0, no native library"
    )


def test_it_is_what_the_loader_says():
    status = native_status()
    assert status.parser == (native.library() is not None) == (not status.parser_reason)
    assert status.filler == (not status.filler_reason)
    assert status.library == (str(native.PATH) if status.parser else None)


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_it_imports_no_tensorflow(wanted):
    code = "import sys, tfkafka; print(tfkafka.native_status()); print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {native.VARIABLE: wanted},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith("reading, writing and parsing: ")
    assert (lines[0] == "reading, writing and parsing: Python (TFKAFKA_NATIVE=0)") == (
        wanted == "0"
    )
    assert lines[2] == "False"
