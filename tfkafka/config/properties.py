"""The two syntaxes of files of settings: plain lines, and Java's properties with escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tfkafka.errors import ConfigurationError

_IGNORED = re.compile(r"\s*([#!].*)?")
_PLAIN = re.compile(r"\s*(?P<name>[A-Za-z][\w.-]*)\s*=\s*(?P<value>.*)")
# An escaped character belongs to the name; the first blank, "=" or ":" ends it.
_ESCAPED = re.compile(r"(?P<name>(?:[^\s=:\\]|\\.)+)(?:\s*[=:]\s*|\s+|$)(?P<value>.*)", re.DOTALL)
_CONTINUED = re.compile(r"(?<!\\)(?:\\\\)*\\$")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class Entry(NamedTuple):
    """A setting, and the number of the line that it begins in."""

    line: int
    name: str
    value: str


def read_plain(text: str) -> Iterator[Entry]:
    """Yield `name=value` of each line, without the blanks around them.

    Raises ConfigurationError for a line that is neither that, nor empty, nor a comment (`#`).
    """
    for number, line in _lines(text):
        found = _PLAIN.fullmatch(line.rstrip())
        if found is None:
            raise _no_setting(number)
        yield Entry(number, found["name"], found["value"])


def read_escaped(text: str) -> Iterator[Entry]:
    """Yield the entries of Java's properties; a line that ends with a backslash is continued."""
    lines = _lines(text)
    for number, line in lines:
        while _CONTINUED.search(line):
            line = line[:-1] + next(lines, (0, ""))[1].lstrip()
        found = _ESCAPED.fullmatch(line.lstrip())
        if found is None:
            raise _no_setting(number)
        yield Entry(number, _unescaped(found["name"]), _unescaped(found["value"]))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): what else it takes for the end of a line may be part of a password.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not _IGNORED.fullmatch(line):
            yield number, line


def _no_setting(number: int) -> ConfigurationError:
    # The line is not quoted: it may be a password.
    return ConfigurationError(
        f"line {number} is not of the form name=value: write for example security.protocol=SASL_SSL"
    )


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code, escaped = found.groups()
        return chr(int(code, 16)) if code else _CONTROL.get(escaped, escaped)

    whole = _ESCAPE.sub(character, text)
    # Java writes a character outside of 16 bits as two.
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
