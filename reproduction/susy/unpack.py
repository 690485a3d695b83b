"""From the bytes of a plain, gzipped or zipped CSV, as they come, to blocks of whole lines.

What a file is, is decided by its first bytes; its name says nothing.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from stream_unzip import NotStreamUnzippable, TruncatedDataError, UnzipError, stream_unzip

from reproduction.susy.errors import SusyDataError

READ_BYTES = 1 << 16
BLOCK_BYTES = 4 << 20
"""Text that is handed on at once: some 8,800 rows of SUSY.csv."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_START_OF_NUMBER = b"0123456789+-."


@dataclass(frozen=True)
class Block:
    """Some whole lines: `text` ends with a newline, `first_line` counts from 1."""

    text: bytes
    first_line: int
    lines: int


def csv_chunks(chunks: Iterable[bytes], where: str) -> tuple[Iterator[bytes], str]:
    """The CSV text within `chunks`, and where it is (for a zip, with the member's name).

    Raises SusyDataError when it is empty, a web page, or a zip without a CSV.
    """
    head, chunks = _peek(chunks, 64)
    if not head:
        raise SusyDataError("it is empty", where, "give SUSY.csv, SUSY.csv.gz or UCI's susy.zip")
    if head.startswith(_GZIP):
        return _gunzip(chunks), where
    if head.startswith((_ZIP, _EMPTY_ZIP)):
        return _member(chunks, where)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise SusyDataError(
            "a web page (HTML) instead of SUSY rows",
            where,
            "open it in a browser to see what it says, or give another address or a path",
        )
    return chunks, where


def blocks(chunks: Iterable[bytes], rows: int, where: str) -> Iterator[Block]:
    """The first `rows` lines of CSV text in blocks of about 4 MiB; nothing is read beyond them.

    Fewer come if there are fewer. Raises SusyDataError where the compressed data ends too early
    or is damaged, and says after how many rows.
    """
    parts: list[bytes] = []
    size = lines = done = 0
    try:
        for chunk in chunks:
            found = chunk.count(b"\n")
            if done + lines + found >= rows:
                parts.append(_lines(chunk, rows - done - lines))
                yield Block(b"".join(parts), done + 1, rows - done)
                return
            parts.append(chunk)
            size, lines = size + len(chunk), lines + found
            if size >= BLOCK_BYTES and lines:
                text, _, rest = b"".join(parts).rpartition(b"\n")
                yield Block(text + b"\n", done + 1, lines)
                parts, size, lines, done = [rest], len(rest), 0, done + lines
    except (EOFError, TruncatedDataError) as error:
        raise SusyDataError(
            f"the compressed data is truncated: it ends after {done + lines:,} whole rows",
            where,
            "fetch the file again, or ask for no more rows than that",
        ) from error
    except (zlib.error, gzip.BadGzipFile, UnzipError) as error:
        raise SusyDataError(
            f"the compressed data is damaged after {done + lines:,} whole rows ({error})",
            where,
            "fetch the file again",
        ) from error
    if rest := b"".join(parts):
        unfinished = not rest.endswith(b"\n")
        yield Block(rest + b"\n" * unfinished, done + 1, lines + unfinished)


def _lines(chunk: bytes, count: int) -> bytes:
    end = 0
    for _ in range(count):
        end = chunk.index(b"\n", end) + 1
    return chunk[:end]


def _peek(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes (fewer if there are fewer), and all chunks from the start."""
    chunks = iter(chunks)
    head = b""
    while len(head) < size and (chunk := next(chunks, None)) is not None:
        head += chunk
    return head[:size], chain([head] if head else [], chunks)


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BufferedReader(_Readable(chunks), READ_BYTES)) as file:
        # read1: read(n) would drop what it has already when the file ends too early.
        while chunk := file.read1(READ_BYTES):
            yield chunk


def _member(chunks: Iterator[bytes], where: str) -> tuple[Iterator[bytes], str]:
    """The first member of a zip that is gzip or begins with a number."""
    names = []
    try:
        for raw_name, _, content in stream_unzip(chunks):
            names.append(raw_name.decode("utf-8", "replace"))
            head, content = _peek(content, 2)
            if head.startswith(_GZIP):
                return _gunzip(content), f"{where}!{names[-1]}"
            if head[:1] and head[:1] in _START_OF_NUMBER:
                return content, f"{where}!{names[-1]}"
            for _ in content:  # stream_unzip reads in order: on to the next member
                pass
    except NotStreamUnzippable as error:
        raise SusyDataError(
            "this kind of zip cannot be read as a stream",
            where,
            "unpack it and give the CSV's path",
        ) from error
    except UnzipError as error:
        raise SusyDataError(
            f"the zip is truncated or damaged before any row ({type(error).__name__})",
            where,
            "fetch the file again",
        ) from error
    raise SusyDataError(
        f"the zip holds no CSV (members: {', '.join(names) or 'none'})",
        where,
        "give SUSY.csv, SUSY.csv.gz or UCI's susy.zip",
    )


class _Readable(io.RawIOBase):
    """An iterator of bytes as a file, which is what `gzip` reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
