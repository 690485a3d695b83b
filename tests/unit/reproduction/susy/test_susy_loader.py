"""Where rows come from, how far they are read and what is shown meanwhile."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from reproduction.susy import loader, synthetic, unpack
from reproduction.susy.loader import load
from tests.unit.reproduction.susy.http_server import Reply, SusyServer
from tests.unit.reproduction.susy.samples import (
    FORMS,
    ROWS,
    TEXT,
    frame_of,
    zipped,
)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_rows_from_a_path_and_from_an_address(
    form: str, tmp_path: Path, server: SusyServer
) -> None:
    path = tmp_path / "name-that-says-nothing"
    path.write_bytes(FORMS[form])
    from_file = load(path, ROWS)
    from_url = load(server.url("data", Reply(FORMS[form])), ROWS)
    for susy in (from_file, from_url):
        pd.testing.assert_frame_equal(susy.frame, frame_of(TEXT), check_exact=True)
        assert susy.notice is None
    assert (from_file.origin, from_url.origin) == ("file", "url")
    assert from_file.where.startswith(str(path))


def test_rows_are_the_first_and_blocks_join_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(loader, "READ_BYTES", 700)
    path = tmp_path / "rows.csv"
    path.write_bytes(TEXT)
    for rows in (1, 2, 150, ROWS - 1, ROWS):
        pd.testing.assert_frame_equal(load(path, rows).frame, frame_of(TEXT, rows))


def test_a_body_that_is_gzip_and_says_so_in_its_encoding_is_read_as_gzip(
    server: SusyServer,
) -> None:
    reply = Reply(FORMS["gzip"], headers={"Content-Encoding": "gzip"})
    pd.testing.assert_frame_equal(load(server.url("a", reply), ROWS).frame, frame_of(TEXT))


def test_synthetic_passes_rows_and_seed_on_without_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    made = frame_of(TEXT)
    monkeypatch.setattr(
        synthetic, "generate", lambda rows, seed: asked.append((rows, seed)) or made
    )
    susy = load("synthetic", 7, seed=5)
    assert asked == [(7, 5)]
    assert (susy.origin, susy.notice) == ("synthetic", None)
    assert susy.frame is made


def test_auto_without_uci_is_synthetic_and_cannot_be_missed(
    monkeypatch: pytest.MonkeyPatch, server: SusyServer
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("gone"))
    monkeypatch.setattr(synthetic, "generate", lambda rows, seed: frame_of(TEXT, rows))
    susy = load("auto", 10)
    assert susy.origin == "synthetic"
    lines = susy.notice.splitlines()
    assert lines[0] == lines[-1] == "=" * 78
    assert "SYNTHETIC" in lines[1]
    assert "404" in susy.notice and "/gone" in susy.notice


@pytest.mark.parametrize("form", ["plain", "gzip", "zip of gzip, stored"])
def test_a_large_body_is_not_read_to_its_end(form: str, server: SusyServer) -> None:
    body = gzip.compress(TEXT) * 400
    body = {
        "plain": TEXT * 400,
        "gzip": body,
        "zip of gzip, stored": zipped({"SUSY.csv.gz": body}, zipfile.ZIP_STORED),
    }[form]
    assert len(body) > 20_000_000
    susy = load(server.url("large", Reply(body)), ROWS)
    pd.testing.assert_frame_equal(susy.frame, frame_of(TEXT))
    (seen,) = server.seen
    assert seen.done.wait(20), "the connection was not closed"
    # What was sent beyond the 60 to 150 kB that are needed lies in the sockets' buffers.
    assert seen.sent < len(body) // 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [(Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False)],
)
def test_a_download_shows_a_bar_on_a_terminal(
    stream: type[io.StringIO],
    progress: bool,
    shown: bool,
    server: SusyServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = stream()
    monkeypatch.setattr(sys, "stderr", screen)
    load(server.url("a", Reply(TEXT)), ROWS, progress=progress)
    assert ("SUSY from 127.0.0.1" in screen.getvalue()) is shown
