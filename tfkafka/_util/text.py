"""Text for messages, tables and headers, whatever it quotes."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text on one line, with escapes, such as \\x00, where a character cannot be printed."""
    return text if text.isprintable() else repr(text)[1:-1]
