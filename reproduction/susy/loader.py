"""The first rows of SUSY: UCI's own, a file's, an address's, or generated ones."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from tqdm import tqdm

from reproduction.susy import cache, synthetic
from reproduction.susy.download import Download, RestartDownload
from reproduction.susy.errors import SusyDataError
from reproduction.susy.parse import check_first_100_000, parse
from reproduction.susy.unpack import READ_BYTES, blocks, csv_chunks

UCI_ADDRESSES = (
    "https://archive.ics.uci.edu/static/public/279/susy.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00279/SUSY.csv.gz",
)
"""UCI's present address (a zip that holds SUSY.csv.gz) and its old one, in the order tried."""

_WORDS = ("auto", "uci", "synthetic")
_SCHEMES = ("http:", "https:")


@dataclass(frozen=True)
class Susy:
    """Rows of SUSY and where they are from."""

    frame: pd.DataFrame
    """Shape (rows, 19), float64, the columns of `schema.COLUMNS`."""
    origin: str
    """"uci", "file", "url" or "synthetic"."""
    where: str
    """The address, path or generator, for people."""
    notice: str | None = None
    """What the caller must show: synthetic rows instead of real ones, a damaged cache."""


def load(
    source: str | os.PathLike[str] = "auto",
    rows: int = 100_000,
    seed: int = 0,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    uci_timeout_s: float = 10.0,
) -> Susy:
    """The first `rows` rows of `source`, read no further than they reach.

    `source` is one of
    - "uci": the cache, else UCI's addresses in order (`SUSY_URL` in the environment replaces
      them); the first 100,000 rows must hold 54,025 / 45,975; what was read is cached;
    - "synthetic": `synthetic.generate(rows, seed)`;
    - "auto": as "uci", but no more than `uci_timeout_s` seconds of it, else synthetic rows and a
      notice that says so;
    - a path or an http(s) address of a CSV, a gzipped CSV or a zip of either; not cached.

    `cache_dir` replaces `$XDG_CACHE_HOME/tfkafka/susy` (or `~/.cache/tfkafka/susy`). A progress
    bar is shown on a terminal's stderr when `progress` and when it lasts.

    Raises SusyDataError when the rows cannot be had, are too few or are not SUSY's.
    """
    if rows < 1:
        raise SusyDataError(f"{rows} rows were asked for", "rows", "ask for at least 1")
    name = os.fspath(source)
    folder = Path(cache_dir) if cache_dir else cache.default_folder()
    if name == "synthetic":
        return _generated(rows, seed)
    if name == "uci":
        return _uci(rows, folder, progress, limit_s=None)
    if name == "auto":
        try:
            return _uci(rows, folder, progress, limit_s=uci_timeout_s)
        except SusyDataError as error:
            return replace(_generated(rows, seed), notice=_synthetic_notice(rows, seed, error))
    if name.lower().startswith(_SCHEMES):
        frame, where = _download(Download(name), rows, progress)
        return Susy(frame, "url", where)
    frame, where = _file(Path(name), rows, progress)
    return Susy(frame, "file", where)


def _generated(rows: int, seed: int) -> Susy:
    return Susy(synthetic.generate(rows, seed=seed), "synthetic", f"generator, seed {seed}")


def _uci(rows: int, folder: Path, progress: bool, limit_s: float | None) -> Susy:
    override = os.environ.get("SUSY_URL")
    addresses = (override,) if override else UCI_ADDRESSES
    path, damage = cache.find(folder, addresses, rows)
    if path:
        frame, where = _file(path, rows, progress)
        return Susy(frame, "uci", f"{where} (cache)")
    deadline = None if limit_s is None else time.monotonic() + limit_s
    failures: list[SusyDataError] = []
    for address in addresses:
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            break
        try:
            frame, where, problem = _uci_rows(address, rows, folder, progress, left_s)
        except SusyDataError as error:
            failures.append(error)
        else:
            remarks = [f"{damage} It was fetched again." if damage else None, problem]
            return Susy(frame, "uci", where, " ".join(filter(None, remarks)) or None)
    raise _all_failed(failures, damage)


def _uci_rows(
    address: str, rows: int, folder: Path, progress: bool, limit_s: float | None
) -> tuple[pd.DataFrame, str, str | None]:
    """Rows from one address, checked and cached, where they are from, and the cache's problem."""
    with cache.Writer(folder) as writer:
        frame, where = _download(Download(address, limit_s), rows, progress, writer)
        check_first_100_000(frame, where)
        writer.commit(rows, address)
    return frame, where, writer.problem


def _download(
    download: Download, rows: int, progress: bool, writer: cache.Writer | None = None
) -> tuple[pd.DataFrame, str]:
    while True:
        try:
            with closing(download.chunks()) as chunks:
                return _read(chunks, download.address, rows, progress, writer)
        except RestartDownload:  # bounded by the download's own count of requests
            if writer:
                writer.restart()


def _file(path: Path, rows: int, progress: bool) -> tuple[pd.DataFrame, str]:
    try:
        with closing(_file_chunks(path)) as chunks:
            return _read(chunks, str(path), rows, progress)
    except OSError as error:
        remedy = f"give a path, an http(s) address, or one of {', '.join(_WORDS)}"
        raise SusyDataError((error.strerror or str(error)).lower(), str(path), remedy) from error


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            yield chunk


def _read(
    chunks: Iterator[bytes],
    where: str,
    rows: int,
    progress: bool,
    writer: cache.Writer | None = None,
) -> tuple[pd.DataFrame, str]:
    """Exactly `rows` checked rows, and where they are (for a zip, with the member)."""
    host = _host(where)
    bar = tqdm(
        total=rows,
        desc=f"SUSY from {host or Path(where).name}",
        unit=" rows",
        unit_scale=True,
        leave=False,
        # An address may take its time to answer; a file that is read in a second needs no bar.
        delay=0 if host else 1,
        # None: shown on a terminal only.
        disable=None if progress else True,
    )
    frames: list[pd.DataFrame] = []
    with bar:
        chunks, where = csv_chunks(chunks, where)
        for block in blocks(chunks, rows, where):
            frames.append(parse(block, where))
            if writer:
                writer.write(block.text)
            bar.update(block.lines)
    found = sum(map(len, frames))
    if found < rows:
        remedy = f"ask for at most {found:,} rows, or give a larger file"
        raise SusyDataError(f"it holds {found:,} rows, {rows:,} were asked for", where, remedy)
    return pd.concat(frames, ignore_index=True), where


def _host(where: str) -> str | None:
    """The host of an address; None for a path, and for what `Download` will refuse."""
    try:
        return urlsplit(where).hostname
    except ValueError:
        return None


def _all_failed(failures: list[SusyDataError], damage: str | None) -> SusyDataError:
    what = "; ".join(f"{error.where}: {error.what}" for error in failures)
    return SusyDataError(
        f"{what} ({damage})" if damage else what,
        "UCI's SUSY rows",
        "give a path, set SUSY_URL to a mirror, or choose the source 'synthetic'",
    )


def _synthetic_notice(rows: int, seed: int, reason: SusyDataError) -> str:
    rule = "=" * 78
    text = (
        f"{rows:,} generated rows (seed {seed}) stand in for UCI's SUSY.csv. "
        f"Why: {reason.where}: {reason.what}. For the real rows give a path or an address of "
        "SUSY.csv.gz, set SUSY_URL to a mirror, or choose the source 'uci', which waits longer."
    )
    lines = textwrap.wrap(text, 76, break_long_words=False, break_on_hyphens=False)
    title = "SYNTHETIC ROWS - THESE ARE NOT THE REAL SUSY DATA"
    return "\n".join([rule, f"{title:^78}".rstrip(), rule, *(f" {line}" for line in lines), rule])
