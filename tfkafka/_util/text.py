"""Text for messages, tables and headers, whatever it quotes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    """Return text on one line, with escapes, such as \\x00, where a character cannot be printed."""
    return text if text.isprintable() else repr(text)[1:-1]


def of_error(error: BaseException) -> str:
    """Return what an error says; of one about a file, the file and why it cannot be used."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def of_topics(topics: Iterable[str]) -> str:
    """Return how messages name these topics."""
    return f"topic {', '.join(topics)}"


def only(topics: Sequence[str]) -> str | None:
    """Return the only one of these topics; None where there are several."""
    return topics[0] if len(topics) == 1 else None
