"""Rows in the real file's format, in each form that the loader takes, and a few helpers."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reproduction.susy.errors import SusyDataError
from reproduction.susy.loader import load
from reproduction.susy.schema import COLUMNS

ROOT = Path(__file__).parents[4]
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
    "zip of csv behind a readme": zipped({"a/": b"", "README": b"Hi! " * 100_000, "S.csv": TEXT}),
    "windows line ends": TEXT.replace(b"\n", b"\r\n"),
    "no last line end": TEXT[:-1],
}


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
