"""The SUSY loader against files and a local web server, good ones and bad ones."""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reproduction.susy import cache, download, loader, parse, synthetic, unpack
from reproduction.susy.errors import SusyDataError
from reproduction.susy.loader import load
from reproduction.susy.schema import COLUMNS
from tests.unit.susy_http_server import Reply, SusyServer

ROOT = Path(__file__).parents[2]
ROWS = 300
MARKED = {"ETag": '"1"'}


def lines_of(rows: int, seed: int = 0) -> list[str]:
    """CSV lines in the real file's number format."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(rows, 19)).astype(np.float32).astype(np.float64)
    numbers[:, 0] = random.integers(0, 2, rows)
    return [",".join(f"{number:.18e}" for number in row) for row in numbers]


LINES = lines_of(ROWS)
TEXT = ("\n".join(LINES) + "\n").encode()
OTHER = ("\n".join(lines_of(ROWS, seed=1)) + "\n").encode()


def frame_of(text: bytes, rows: int = ROWS) -> pd.DataFrame:
    """The rows by Python's own float(), which is exact."""
    values = [[float(field) for field in line.split(",")] for line in text.decode().split()]
    return pd.DataFrame(values[:rows], columns=list(COLUMNS))


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


FORMS = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip of two members": gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:]),
    "zip of gzip, deflated": zipped({"SUSY.csv.gz": gzip.compress(TEXT)}),
    "zip of gzip, stored": zipped({"SUSY.csv.gz": gzip.compress(TEXT)}, zipfile.ZIP_STORED),
    "zip of csv behind a readme": zipped({"a/": b"", "README": b"Read me", "a/S.csv": TEXT}),
    "windows line ends": TEXT.replace(b"\n", b"\r\n"),
    "no last line end": TEXT[:-1],
}


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No UCI, no cache of the user's, no pauses to speak of."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SUSY_URL", raising=False)
    monkeypatch.setattr(loader, "UCI_ADDRESSES", ("http://127.0.0.1:1/nowhere",))
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def server() -> Iterator[SusyServer]:
    with SusyServer() as running:
        yield running


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tfkafka" / "susy"


def fails(source: str | Path, rows: int = ROWS) -> str:
    with pytest.raises(SusyDataError) as caught:
        load(source, rows)
    text = str(caught.value)
    assert "\n" not in text
    return text


def bad_file(tmp_path: Path, line: int, text: str) -> Path:
    """LINES with one line replaced, counted from 1."""
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n")
    return path


# --- forms and sources ---


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


# --- no more than is asked for ---


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


# --- broken transfers ---


def test_a_cut_transfer_is_resumed_where_it_broke(server: SusyServer) -> None:
    body = FORMS["gzip"]
    cut = len(body) // 2
    address = server.url(
        "a", Reply(body, headers=MARKED, cut_after=cut), Reply(body, headers=MARKED, ranges=True)
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
        pytest.param(Reply(OTHER, headers=MARKED, ranges=True, range_shift=9), 3, id="wrong part"),
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


def test_500_for_ever_is_an_error(server: SusyServer) -> None:
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


# --- UCI: addresses, counts, cache ---


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


def test_a_full_disk_leaves_no_half_of_a_cache(
    server: SusyServer, monkeypatch: pytest.MonkeyPatch, cached: Path
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

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


# --- bad input ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",".join(LINES[0].split(",")[:18]), "18 columns instead of 19"),
        (LINES[0] + ",1.0", "20 columns instead of 19"),
        (LINES[0].replace(LINES[0].split(",")[3], "east"), "column lepton_1_phi is not a number"),
        (LINES[0].rsplit(",", 1)[0] + ",", "column cos(theta_r1) is not a number ('')"),
        (LINES[0].rsplit(",", 1)[0] + ",nan", "column cos(theta_r1) is not a finite number"),
        (LINES[0].rsplit(",", 1)[0] + ",1e999", "column cos(theta_r1) is not a finite number"),
        ("2" + LINES[0][1:], "the label (column class) is '2.0"),
        ("", "an empty line"),
        (",".join(COLUMNS), "column class is not a number ('class')"),
    ],
)
@pytest.mark.parametrize("line", [1, 250])
def test_a_bad_line_is_named(
    line: int, text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(loader, "READ_BYTES", 1_000)
    path = bad_file(tmp_path, line, text)
    error = fails(path)
    assert error.startswith(f"{path}, line {line}: ")
    assert said in error


@pytest.mark.parametrize("columns", [18, 20])
def test_a_whole_file_of_the_wrong_width_is_refused(columns: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text((",".join(["1.0"] * columns) + "\n") * 5)
    assert f"line 1: {columns} columns instead of 19" in fails(path, 5)


def test_what_pandas_alone_refuses_still_names_its_lines(tmp_path: Path) -> None:
    path = bad_file(tmp_path, 5, "0_1" + LINES[4][LINES[4].index(",") :])  # float() takes it
    assert f"{path}, lines 1 to {ROWS}: " in fails(path)


def test_fewer_rows_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(TEXT)
    assert f"it holds {ROWS} rows, 100,000 were asked for" in fails(path, 100_000)


def test_a_truncated_gzip_says_after_how_many_rows(tmp_path: Path) -> None:
    whole = FORMS["gzip"]
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    got = 0
    with pytest.raises(EOFError), gzip.open(path) as file:
        for got, _ in enumerate(file, 1):
            pass
    assert 0 < got < ROWS
    assert f"truncated: it ends after {got} whole rows" in fails(path)
    assert len(load(path, got).frame) == got


def test_a_truncated_zip_says_after_how_many_rows(tmp_path: Path) -> None:
    whole = zipped({"SUSY.csv": TEXT}, zipfile.ZIP_STORED)
    path = tmp_path / "susy.zip"
    path.write_bytes(whole[: 30 + len("SUSY.csv") + len(TEXT) // 2])
    rows = TEXT[: len(TEXT) // 2].count(b"\n")
    text = fails(path)
    assert f"truncated: it ends after {rows} whole rows" in text and "susy.zip!SUSY.csv" in text
    path.write_bytes(whole[:20])
    assert "truncated or damaged before any row" in fails(path)


def test_a_damaged_gzip_is_said(tmp_path: Path) -> None:
    data = bytearray(FORMS["gzip"])
    data[-8] ^= 1  # its checksum
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(data)
    assert "damaged" in fails(path, ROWS + 1)


def test_zips_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "susy.zip"
    path.write_bytes(zipped({"README": b"Read me", "LICENCE": b"Free"}))
    assert "no CSV (members: README, LICENCE)" in fails(path)
    path.write_bytes(zipped({}))
    assert "no CSV (members: none)" in fails(path)


def test_empty_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.touch()
    assert f"{path}: it is empty" in fails(path)
    path.write_bytes(gzip.compress(b""))
    assert "it holds 0 rows" in fails(path)


def test_paths_that_are_none(tmp_path: Path) -> None:
    assert "no such file" in fails(tmp_path / "missing.csv")
    assert "is a directory" in fails(tmp_path)
    assert "auto, uci, synthetic" in fails("syntetic")
    assert "ask for at least 1" in fails("synthetic", 0)


# --- progress ---


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
