"""Damaged records: no exception, no crash, nothing on stderr, and the answers of the references."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import isolated

SECONDS, SEED = 1.0, 15


@pytest.mark.parametrize("kind", ["tensor", "example", "json", "avro", "protobuf", "png", "jpeg"])
def test_damaged_records(kind, tmp_path):
    pytest.importorskip("tensorflow")
    log = tmp_path / "stderr"
    rounds, decoded, bad = isolated.run(fuzz_with_log, kind, log)
    # Damage within the compressed data of JPEG is found by libjpeg alone, which writes a line.
    assert kind == "jpeg" or log.read_text() == ""
    assert rounds and decoded and bad


def fuzz_with_log(kind: str, log: Path) -> tuple[int, int, int]:
    """What `fuzz` returns; all that decoding writes to stderr is in the log."""
    from tests.unit.decoding.fuzz import fuzz, stderr_into

    with stderr_into(log):
        return fuzz(kind, SECONDS, SEED)
