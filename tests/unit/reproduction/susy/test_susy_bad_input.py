"""Each fault of a file is one line that names what, where and what to do."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import pytest

from reproduction.susy import loader, unpack
from reproduction.susy.loader import load
from reproduction.susy.schema import COLUMNS
from tests.unit.reproduction.susy.samples import (
    FORMS,
    LINES,
    ROWS,
    TEXT,
    bad_file,
    fails,
    zipped,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",".join(LINES[0].split(",")[:18]), "18 columns instead of 19"),
        (LINES[0] + ",1.0", "20 columns instead of 19"),
        (LINES[0].replace(LINES[0].split(",")[3], "east"), "column lepton_1_phi is not a number"),
        (LINES[0].rsplit(",", 1)[0] + ",", "column cos(theta_r1) is not a number ('')"),
        (LINES[0].rsplit(",", 1)[0] + ",nan", "column cos(theta_r1) is not a finite number"),
        (LINES[0].rsplit(",", 1)[0] + ",1e999", "column cos(theta_r1) is not a finite number"),
        ('"1.0"' + LINES[0][LINES[0].index(",") :], "column class is not a number"),
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
    got = zlib.decompressobj(wbits=31).decompress(path.read_bytes()).count(b"\n")
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


class Pipe(io.BytesIO):
    """Cannot be sought: zipfile then writes a member's size after it."""

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    tell = seek


def test_a_zip_that_cannot_be_streamed_is_said(tmp_path: Path) -> None:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("SUSY.csv", TEXT)
    path = tmp_path / "susy.zip"
    path.write_bytes(pipe.getvalue())
    assert "unpack it" in fails(path)


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
    assert "no such file" in fails("//[x")
    assert "http://[::1/SUSY.csv: not a usable address" in fails("http://[::1/SUSY.csv")
    assert "ask for at least 1" in fails("synthetic", 0)
