"""Records that were not written, as an error names them."""

from __future__ import annotations

from typing import NamedTuple

from confluent_kafka import KafkaError

_LONGEST = 40


class Undelivered(NamedTuple):
    """A record that was not written: what its key and its value are called, and why."""

    key: str
    value: str
    error: KafkaError


def quoted(start: bytes, size: int) -> str:
    """Return how an error quotes a key or a value.

    Args:
        start: all of it, or what it begins with.
        size: how many bytes it has; -1: it is null.
    """
    if size < 0:
        return repr(None)
    if size <= _LONGEST:
        return repr(start[:size])
    return f"{start[:_LONGEST]!r}... ({size:,} bytes)"
