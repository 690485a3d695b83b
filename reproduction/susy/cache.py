"""Real rows kept between runs: one gzipped CSV and, beside it, a JSON that says what it holds.

The JSON is replaced last and names the CSV, so there is an old entry or a new one, never a half.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

INDEX = "susy.json"


@dataclass(frozen=True)
class Entry:
    """What the cache holds: the first `rows` rows of `address`, in `file`, which has `sha256`."""

    file: str
    rows: int
    sha256: str
    address: str


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/tfkafka/susy`, or `~/.cache/tfkafka/susy` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfkafka" / "susy"


def find(folder: Path, addresses: Collection[str], rows: int) -> tuple[Path | None, str | None]:
    """The cached CSV of one of `addresses` with at least `rows` rows, and what is wrong, if it is.

    (path, None), or (None, None) when there is none, or (None, text) when there is a damaged one.
    """
    index = folder / INDEX
    try:
        entry = Entry(**json.loads(index.read_text("utf-8")))
        path = folder / entry.file
        if entry.address not in addresses or entry.rows < rows:
            return None, None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256:
                return path, None
        fault = f"{entry.file} does not have the checksum in {INDEX}"
    except FileNotFoundError as error:
        if error.filename == str(index):
            return None, None
        fault = f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, TypeError) as error:
        fault = f"{INDEX} or its CSV cannot be read ({type(error).__name__})"
    return None, f"The cache in {folder} was damaged: {fault}."


class Writer:
    """Takes CSV text while it is read and, on `commit`, makes it the cache's entry.

    A context manager: what was not committed is gone when it ends. A folder that cannot be
    written, or a full disk, is no reason to lose the rows: `problem` then says what happened.
    """

    def __init__(self, folder: Path) -> None:
        self.problem: str | None = None
        self._folder = folder
        self._part: Path | None = None

    def __enter__(self) -> Writer:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        if self._part:
            self._discard()

    def write(self, text: bytes) -> None:
        """Adds whole lines of CSV."""
        if self._part:
            try:
                self._gzip.write(text)
            except OSError as error:
                self._fail(error)

    def restart(self) -> None:
        """Forgets what was written: the text begins again."""
        if self._part:
            self._discard()
            self._open()

    def commit(self, rows: int, address: str) -> None:
        """Makes what was written, the first `rows` rows of `address`, the cache's only entry."""
        if self._part:
            try:
                self._publish(rows, address)
            except OSError as error:
                self._fail(error)

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".part-")
        except OSError as error:
            self._fail(error)
            return
        self._part = Path(name)
        self._raw = os.fdopen(handle, "wb")
        self._gzip = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=1, mtime=0)

    def _publish(self, rows: int, address: str) -> None:
        self._gzip.close()
        _to_disk(self._raw)
        with self._part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry = Entry(f"rows-{digest[:16]}.csv.gz", rows, digest, address)
        index = self._part.with_suffix(".json")
        try:
            with index.open("wb") as file:
                file.write(json.dumps(asdict(entry), indent=2).encode() + b"\n")
                _to_disk(file)
            os.replace(self._part, self._folder / entry.file)
            self._part = None
            os.replace(index, self._folder / INDEX)
        finally:
            index.unlink(missing_ok=True)
        for old in self._folder.glob("rows-*.csv.gz"):
            if old.name != entry.file:
                old.unlink(missing_ok=True)

    def _fail(self, error: OSError) -> None:
        self.problem = f"The rows could not be cached in {self._folder}: {error.strerror or error}."
        if self._part:
            self._discard()

    def _discard(self) -> None:
        # A full disk makes the last flush of either fail as well.
        for file in (self._gzip, self._raw):
            with suppress(OSError):
                file.close()
        self._part.unlink(missing_ok=True)
        self._part = None


def _to_disk(file) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
