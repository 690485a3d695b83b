"""Bytes of a file over HTTP: as they come, no more than are asked for, resumed where they broke.

The network is read on a thread of its own, so that a time limit holds whatever hangs (the look-up
of the name, the connection, a header or body that trickles in) and so that Ctrl-C is heard at once.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator

import requests
import urllib3
from urllib3.exceptions import NameResolutionError

from reproduction.susy.errors import SusyDataError

TRIES = 5
"""Requests made at most for one file: the first, and each that resumes or restarts it."""
FIRST_PAUSE_S = 0.25
"""Pause before the second request; it doubles before each further one."""
CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
"""Silence on an open connection after which it counts as broken."""
CHUNK_BYTES = 1 << 16
CHUNKS_AHEAD = 4
REDIRECTS = 10

_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_OTHER_SOURCE = "give a path or another address, or choose the source 'synthetic'"


class RestartDownload(Exception):
    """The transfer broke and cannot go on where it did: call `Download.chunks` once more."""


class _Broken(Exception):
    """One request failed in a way that the next may not; the text says how."""


class Download:
    """One file at an http(s) address.

    `limit_s`, if given, bounds the seconds from here to the last chunk, restarts included.
    """

    def __init__(self, address: str, limit_s: float | None = None) -> None:
        self.address = address
        self.requests_made = 0
        self._deadline = None if limit_s is None else time.monotonic() + limit_s

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes from its start; close the iterator to close the connection.

        Raises RestartDownload when a broken transfer cannot be resumed but may be tried again,
        SusyDataError when it is hopeless, the tries are used up or the time limit has passed.
        """
        handover: queue.Queue[bytes | Exception | None] = queue.Queue(CHUNKS_AHEAD)
        stop = threading.Event()
        transfer = _Transfer(self, handover, stop)
        threading.Thread(target=transfer.run, name="susy-download", daemon=True).start()
        try:
            while (item := self._next(handover)) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()
            # Emptied, so that a thread waiting for room goes on, sees `stop` and hangs up.
            while not handover.empty():
                handover.get_nowait()

    def error(self, what: str, remedy: str = _OTHER_SOURCE) -> SusyDataError:
        """`what` is wrong at this address."""
        return SusyDataError(what, self.address, remedy)

    def _next(self, handover: queue.Queue) -> bytes | Exception | None:
        if self._deadline is None:
            return handover.get()
        left_s = self._deadline - time.monotonic()
        try:
            # A queue that is never empty must not hide that the time is over.
            if left_s <= 0:
                raise queue.Empty
            return handover.get(timeout=left_s)
        except queue.Empty:
            raise self.error(
                "too little arrived within the time limit",
                "choose the source 'uci', which waits longer, or give a path",
            ) from None


class _Transfer:
    """The thread's side of one call of `Download.chunks`."""

    def __init__(self, download: Download, handover: queue.Queue, stop: threading.Event) -> None:
        self._download = download
        self._handover = handover
        self._stop = stop
        self._got = 0
        self._first: _Identity | None = None

    def run(self) -> None:
        """Hands over chunks, then None, or the exception that ended it."""
        try:
            while not self._stop.is_set() and not self._request():
                pass
            self._handover.put(None)
        except Exception as error:
            self._handover.put(error)

    def _request(self) -> bool:
        """One request; True when the file is complete or no longer wanted, False to try again."""
        download = self._download
        download.requests_made += 1
        try:
            self._receive()
        except (requests.exceptions.SSLError, requests.TooManyRedirects) as error:
            raise download.error(_cause(error)) from error
        except ValueError as error:
            raise download.error(f"not a usable address ({error})") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, _Broken) as error:
            if _name_unknown(error):
                raise download.error("its host name cannot be resolved (no network?)") from error
            self._recover(_cause(error))
            return False
        return True

    def _recover(self, cause: str) -> None:
        made = self._download.requests_made
        if made >= TRIES:
            raise self._download.error(f"{cause}, at byte {self._got:,} of request {made}")
        self._stop.wait(FIRST_PAUSE_S * 2 ** (made - 1))
        if self._got and not (self._first and self._first.certain):
            raise RestartDownload(cause)

    def _receive(self) -> None:
        # Identity: a compressed answer would have other offsets than the file.
        headers = {"Accept-Encoding": "identity"}
        if self._got:
            headers["Range"] = f"bytes={self._got}-"
        with requests.Session() as session:
            session.max_redirects = REDIRECTS
            timeouts = (CONNECT_TIMEOUT_S, STALL_TIMEOUT_S)
            response = session.get(
                self._download.address, headers=headers, stream=True, timeout=timeouts
            )
            with response:
                self._accept(response)
                self._pass_on(response)

    def _accept(self, response: requests.Response) -> None:
        status = response.status_code
        if status in _PASSING_STATUSES:
            raise _Broken(f"the server answers {status} {response.reason}")
        if self._got:
            # Not so: 200 (no ranges there), 416 (the file has shrunk), a part of another version.
            if _Identity(response) != self._first or _range_start(response) != self._got:
                raise RestartDownload(f"cannot go on at byte {self._got:,}")
        elif status != 200:
            raise self._download.error(f"the server answers {status} {response.reason}")
        else:
            self._first = _Identity(response)

    def _pass_on(self, response: requests.Response) -> None:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            self._got += len(chunk)
            self._handover.put(chunk)
            if self._stop.is_set():
                return
        # A response shorter than it says has raised by now, but a server may send shorter parts.
        if self._first.size is not None and self._got < self._first.size:
            raise _Broken("it sends only a part")


class _Identity:
    """What two responses must have in common to be parts of one file."""

    def __init__(self, response: requests.Response) -> None:
        headers = response.headers
        part = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", ""))
        size = part[1] if part else headers.get("Content-Length", "")
        self.size = int(size) if size.isdigit() else None
        self._marks = (headers.get("ETag"), headers.get("Last-Modified"))

    @property
    def certain(self) -> bool:
        """Whether the server marks the file's version at all."""
        return any(self._marks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Identity):
            return NotImplemented
        return self.certain and (self.size, self._marks) == (other.size, other._marks)

    __hash__ = None


def _range_start(response: requests.Response) -> int | None:
    part = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(part[1]) if part else None


def _name_unknown(error: Exception) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NameResolutionError)


def _cause(error: Exception) -> str:
    """A failure in words, without the nested representations that HTTP libraries put in them."""
    if isinstance(error, _Broken):
        return str(error)
    if isinstance(error, requests.TooManyRedirects):
        return f"it redirects more than {REDIRECTS} times"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not accepted ({error})"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:g} s or silence for {STALL_TIMEOUT_S:g} s"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached, or the connection was refused or dropped"
    return "the connection was cut off"
