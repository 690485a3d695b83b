"""UCI's addresses, the check of its counts, and the cache of its rows."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from reproduction.susy import cache, loader, parse
from reproduction.susy.errors import SusyDataError
from reproduction.susy.loader import load
from tests.unit.reproduction.susy.http_server import Reply, SusyServer
from tests.unit.reproduction.susy.samples import (
    FORMS,
    OTHER,
    ROOT,
    ROWS,
    TEXT,
    fails,
    frame_of,
)


def test_the_second_address_is_tried_when_the_first_fails(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loader, "UCI_ADDRESSES", (server.url("new"), server.url("old", Reply(FORMS["gzip"])))
    )
    susy = load("uci", ROWS)
    assert susy.origin == "uci" and susy.where.endswith("/old")
    assert [seen.path for seen in server.seen] == ["/new", "/old"]


def test_when_all_addresses_fail_each_reason_is_given(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Reply(b"<html>")
    monkeypatch.setattr(loader, "UCI_ADDRESSES", (server.url("new"), server.url("old", page)))
    text = fails("uci")
    assert "/new: the server answers 404" in text and "/old: a web page" in text


def test_wrong_class_counts_are_refused() -> None:
    frame = frame_of(TEXT)
    ones = int(frame["class"].sum())
    parse.check_first_100_000(frame, "here", (ROWS - ones, ones))
    with pytest.raises(SusyDataError, match=f"{ROWS - ones} of class 0 and {ones} of class 1"):
        parse.check_first_100_000(frame, "here", (ROWS - ones + 1, ones - 1))


def test_uci_rows_with_the_wrong_counts_are_refused_and_not_cached(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    row = ",".join(["1"] + ["0"] * 18) + "\n"
    reply = Reply(gzip.compress(row.encode() * 100_000, 1))
    monkeypatch.setenv("SUSY_URL", server.url("a", reply))
    assert "0 of class 0 and 100,000 of class 1" in fails("uci", 100_000)
    assert list(cached.iterdir()) == []
    assert load("uci", 99_999).origin == "uci"


def test_cached_rows_serve_as_many_or_fewer_without_a_request(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    load("uci", 200)
    for source, rows in (("uci", 200), ("auto", 200), ("uci", 20)):
        susy = load(source, rows)
        pd.testing.assert_frame_equal(susy.frame, frame_of(TEXT, rows))
        assert susy.origin == "uci" and "(cache)" in susy.where and susy.notice is None
    assert len(server.seen) == 1


def test_more_rows_than_cached_are_fetched_and_replace_the_old(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    load("uci", 200)
    assert len(load("uci", 201).frame) == 201
    assert len(server.seen) == 2
    (kept,) = cached.glob("rows-*")
    assert gzip.decompress(kept.read_bytes()).count(b"\n") == 201


def test_rows_cached_from_another_address_are_not_taken(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    load("uci", ROWS)
    monkeypatch.setenv("SUSY_URL", server.url("b", Reply(OTHER)))
    pd.testing.assert_frame_equal(load("uci", ROWS).frame, frame_of(OTHER))


def test_cache_dir_replaces_the_default(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cached: Path
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    load("uci", ROWS, cache_dir=tmp_path / "mine")
    assert (tmp_path / "mine" / cache.INDEX).exists() and not cached.exists()


def flip_a_byte(folder: Path) -> None:
    (path,) = folder.glob("rows-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove_the_rows(folder: Path) -> None:
    (path,) = folder.glob("rows-*")
    path.unlink()


def break_the_index(folder: Path) -> None:
    (folder / cache.INDEX).write_text("{")


def rename_a_field(folder: Path) -> None:
    index = folder / cache.INDEX
    index.write_text(index.read_text().replace("sha256", "md5"))


@pytest.mark.parametrize("damage", [flip_a_byte, remove_the_rows, break_the_index, rename_a_field])
def test_a_damaged_cache_is_said_and_fetched_again(
    damage, server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    load("uci", ROWS)
    damage(cached)
    susy = load("uci", ROWS)
    pd.testing.assert_frame_equal(susy.frame, frame_of(TEXT))
    assert "was damaged" in susy.notice and "fetched again" in susy.notice
    assert len(server.seen) == 2
    assert load("uci", ROWS).notice is None


def test_rows_are_not_lost_where_the_cache_cannot_be_written(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    susy = load("uci", ROWS, cache_dir=tmp_path / "a-file" / "cache")
    assert len(susy.frame) == ROWS
    assert "could not be cached" in susy.notice


@pytest.mark.parametrize("written_before", [0, 1])
def test_a_full_disk_leaves_no_half_of_a_cache(
    written_before: int, server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    written = []

    def full(file: int) -> None:
        if len(written) == written_before:
            raise OSError(28, "No space left on device")
        written.append(file)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setenv("SUSY_URL", server.url("a", Reply(TEXT)))
    susy = load("uci", ROWS)
    assert len(susy.frame) == ROWS and "No space left" in susy.notice
    assert list(cached.iterdir()) == []


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(server: SusyServer, cached: Path) -> None:
    address = server.url("a", Reply(TEXT, drip_after=5_000))
    code = "from reproduction.susy.loader import load; load('uci')"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"SUSY_URL": address},
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while not (server.seen and server.seen[0].sent > 5_000):
            assert time.monotonic() < deadline, "no request came"
            assert child.poll() is None, child.communicate()[1]
            server.closing.wait(0.01)
        assert list(cached.glob(".part-*"))
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert b"KeyboardInterrupt" in errors
    assert list(cached.iterdir()) == []
