"""Where the page's links lead: to the project on the web, or to the checkout beside the page."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from reproduction.report.machine import ROOT, git

# Addresses of a remote that is on the web; what a password or a token stands in is not kept.
_REMOTES = (
    re.compile(r"https?://(?:[^/@]*@)?([^/@]+)/(.+?)(?:\.git)?/?"),
    re.compile(r"(?:ssh://)?git@([\w.-]+)(?::\d+/|[:/])(.+?)(?:\.git)?/?"),
)
_HASH = re.compile(r"[0-9a-f]{7,40}\b")


@dataclass(frozen=True)
class Links:
    """Links of a page in `folder`.

    Attributes:
        address: of the project on the web, "" where it is not known.
        commit: the one that is checked out, "" where `address` does not have its files.
    """

    folder: Path
    address: str = ""
    commit: str = ""

    def file(self, path: str, line: int | None = None) -> str:
        """Return where a file of the checkout is, whose `path` may end in #ANCHOR."""
        path, _, anchor = path.partition("#")
        anchor = f"#{anchor}" if anchor else f"#L{line}" if line else ""
        if self.commit:
            return f"{self.address}/blob/{self.commit}/{quote(path)}{anchor}"
        return quote(os.path.relpath(ROOT / path, self.folder.resolve())) + anchor

    def test(self, node: str) -> str:
        """Return where a test is, which is named as pytest names it."""
        path, _, name = node.partition("::")
        return self.file(path, _line_of(path, name.rpartition("::")[2]))

    def to_commit(self, commit: str) -> str:
        """Return where a commit is; "" if there is no such page."""
        found = _HASH.match(commit)
        return f"{self.address}/commit/{found[0]}" if self.address and found else ""


def find_links(folder: Path) -> Links:
    """Return the links of a page in `folder`, as this checkout and its remote are."""
    address = web_address()
    return Links(folder, address, _pushed_commit() if address else "")


@cache
def web_address() -> str:
    """Return the project's address: pyproject.toml's, else that of the remote; "" for none."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    address = tools["hatch"]["metadata"]["hooks"]["custom"]["address"]
    return address or of_remote(_ask("remote", "get-url", "origin"))


def of_remote(remote: str) -> str:
    """Return the web address of a remote's pages; "" where it is not on the web."""
    found = next(filter(None, (form.fullmatch(remote) for form in _REMOTES)), None)
    return f"https://{found[1]}/{found[2]}" if found else ""


@cache
def _pushed_commit() -> str:
    """The commit whose files are checked out, if a branch of the remote has it."""
    is_published = _ask("branch", "--remotes", "--contains", "HEAD")
    is_changed = _ask("status", "--porcelain", "--untracked-files=no")
    return _ask("rev-parse", "HEAD") if is_published and not is_changed else ""


def _ask(*arguments: str) -> str:
    try:
        return git(*arguments)
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def _line_of(path: str, function: str) -> int | None:
    try:
        lines = (ROOT / path).read_text().splitlines()
    except OSError:
        return None
    starts = f"def {function}("
    return next((number for number, line in enumerate(lines, 1) if starts in line), None)
