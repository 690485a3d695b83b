"""Transfers that break, answers that are none, and time limits."""

from __future__ import annotations

import gzip
import socket
import time
from pathlib import Path

import pandas as pd
import pytest

from reproduction.susy import download, synthetic, unpack
from reproduction.susy.errors import SusyDataError
from reproduction.susy.loader import load
from tests.unit.reproduction.susy.http_server import Reply, SusyServer
from tests.unit.reproduction.susy.samples import (
    FORMS,
    MARKED,
    OTHER,
    ROWS,
    TEXT,
    fails,
    frame_of,
)


@pytest.mark.parametrize("encoding", [{}, {"Content-Encoding": "gzip"}], ids=["", "encoded"])
def test_a_cut_transfer_is_resumed_where_it_broke(
    encoding: dict[str, str], server: SusyServer
) -> None:
    headers = MARKED | encoding
    body = FORMS["gzip"]
    cut = len(body) // 2
    address = server.url(
        "a", Reply(body, headers=headers, cut_after=cut), Reply(body, headers=headers, ranges=True)
    )
    pd.testing.assert_frame_equal(load(address, ROWS).frame, frame_of(TEXT))
    assert [seen.range for seen in server.seen] == [None, f"bytes={cut}-"]
    assert server.seen[1].sent == len(body) - cut


def test_a_server_that_sends_short_parts_is_asked_for_the_next(server: SusyServer) -> None:
    short = Reply(TEXT, headers=MARKED | {"Content-Length": "500"}, cut_after=500, ranges=True)
    first, last = Reply(TEXT, headers=MARKED, cut_after=1000), Reply(TEXT, 200, MARKED, ranges=True)
    address = server.url("a", first, short, last)
    pd.testing.assert_frame_equal(load(address, ROWS).frame, frame_of(TEXT))
    assert [seen.range for seen in server.seen] == [None, "bytes=1000-", "bytes=1500-"]


@pytest.mark.parametrize(
    ("second", "requests"),
    [
        pytest.param(Reply(OTHER, headers=MARKED), 3, id="no ranges"),
        pytest.param(Reply(OTHER, headers={"ETag": '"2"'}, ranges=True), 3, id="another version"),
        pytest.param(Reply(TEXT, headers=MARKED, ranges=True, range_shift=9), 3, id="wrong part"),
        pytest.param(Reply(OTHER, 416, headers=MARKED), 3, id="range refused"),
    ],
)
def test_what_cannot_be_resumed_starts_again_and_nothing_of_the_first_try_remains(
    second: Reply,
    requests: int,
    server: SusyServer,
    monkeypatch: pytest.MonkeyPatch,
    cached: Path,
) -> None:
    monkeypatch.setattr(unpack, "BLOCK_BYTES", 2_000)
    first = Reply(TEXT, headers=MARKED, cut_after=len(TEXT) // 2)
    third = Reply(OTHER, headers=second.headers)
    monkeypatch.setenv("SUSY_URL", server.url("a", first, second, third))
    pd.testing.assert_frame_equal(load("uci", ROWS).frame, frame_of(OTHER))
    assert len(server.seen) == requests
    (kept,) = cached.glob("rows-*")
    assert gzip.decompress(kept.read_bytes()) == OTHER


def test_a_server_that_does_not_mark_versions_is_not_asked_for_a_part(server: SusyServer) -> None:
    address = server.url("a", Reply(TEXT, cut_after=len(TEXT) // 2), Reply(OTHER, ranges=True))
    pd.testing.assert_frame_equal(load(address, ROWS).frame, frame_of(OTHER))
    assert [seen.range for seen in server.seen] == [None, None]


@pytest.mark.parametrize("headers", [{}, MARKED], ids=["restarts", "resumes"])
def test_the_tries_are_bounded(headers: dict[str, str], server: SusyServer) -> None:
    text = fails(server.url("a", Reply(TEXT, headers=headers, cut_after=1000, ranges=True)))
    assert len(server.seen) == download.TRIES
    assert "cut off" in text and f"request {download.TRIES}" in text


def test_500_then_200_is_read(server: SusyServer) -> None:
    address = server.url("a", Reply(b"oh", 500), Reply(TEXT))
    pd.testing.assert_frame_equal(load(address, ROWS).frame, frame_of(TEXT))


def test_500_forever_is_an_error(server: SusyServer) -> None:
    assert "500 Internal Server Error" in fails(server.url("a", Reply(b"oh", 500)))
    assert len(server.seen) == download.TRIES


def test_404_is_an_error_at_once(server: SusyServer) -> None:
    address = server.url("a")
    text = fails(address)
    assert "404 Not Found" in text and address in text
    assert len(server.seen) == 1


def test_a_redirect_is_followed(server: SusyServer) -> None:
    target = server.url("target", Reply(TEXT))
    address = server.url("a", Reply(status=302, headers={"Location": target}))
    pd.testing.assert_frame_equal(load(address, ROWS).frame, frame_of(TEXT))


def test_a_redirect_loop_ends(server: SusyServer) -> None:
    address = server.url("a", Reply(status=302, headers={"Location": "/a"}))
    assert "redirects more than" in fails(address)
    assert len(server.seen) == download.REDIRECTS + 1


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Sorry", b"\xef\xbb\xbf\n <html>Sorry"])
def test_a_web_page_is_not_taken_for_rows(page: bytes, server: SusyServer) -> None:
    assert "web page" in fails(server.url("a", Reply(page)))


def test_nobody_at_the_address() -> None:
    assert "refused" in fails("http://127.0.0.1:1/SUSY.csv.gz")


def test_a_host_that_does_not_exist_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "cannot be resolved" in fails("http://susy.invalid/SUSY.csv.gz")


def test_an_address_that_is_none() -> None:
    assert "not a usable address" in fails("http://:x/")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(silent=True), id="silent"),
        pytest.param(Reply(TEXT, drip_after=0), id="slow from the start"),
        pytest.param(Reply(TEXT, drip_after=5_000), id="slow later"),
    ],
)
def test_auto_waits_no_longer_than_its_limit(
    reply: Reply, server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    monkeypatch.setattr(synthetic, "generate", lambda rows, seed: frame_of(TEXT, rows))
    monkeypatch.setenv("SUSY_URL", server.url("a", reply))
    begin = time.monotonic()
    susy = load("auto", ROWS, uci_timeout_s=0.3)
    # The whole body would take 1,400 s.
    assert 0.3 <= time.monotonic() - begin < 30
    assert susy.origin == "synthetic" and "time limit" in susy.notice
    assert list(cached.iterdir()) == []


def test_the_limit_holds_even_if_there_is_always_something_to_read(server: SusyServer) -> None:
    late = download.Download(server.url("a", Reply(TEXT)), limit_s=0)
    with pytest.raises(SusyDataError, match="time limit"):
        next(late.chunks())
