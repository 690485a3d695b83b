"""Confluent's wire format: a zero, the number of the writer's schema in 4 bytes, and the body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.decoding.base import Fault
from tfkafka.decoding.cursors import Ints

MAGIC, HEAD = 0, 5
NOT_FRAMED = "is not in Confluent's wire format"


def framed(number: int, body: bytes) -> bytes:
    """Return a record in Confluent's wire format."""
    return bytes([MAGIC]) + number.to_bytes(4, "big") + body


def schema_numbers(rows: Column, faults: dict[int, Fault]) -> tuple[Ints, NDArray[np.uint32]]:
    """Return the rows that are in this format, ascending, and the number of the schema of each.

    The others are noted as faults, except for nulls.
    """
    start, lengths = rows.offsets[:-1], np.diff(rows.offsets)
    whole = np.flatnonzero(lengths >= HEAD)
    heads = rows.buffer[start[whole, None] + np.arange(HEAD)]
    is_right = heads[:, 0] == MAGIC
    framed = whole[is_right]
    if len(framed) < len(rows):
        is_wrong = ~rows.nulls
        is_wrong[framed] = False
        wrong = np.flatnonzero(is_wrong)
        for index, value in zip(wrong.tolist(), rows.take(wrong).entries, strict=True):
            faults[index] = Fault.of(index, NOT_FRAMED if value else "is empty", value)
    return framed, np.ascontiguousarray(heads[is_right, 1:]).view(">u4").ravel()
