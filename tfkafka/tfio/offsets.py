"""tensorflow-io's offsets: numbers, some of which have a special meaning."""

from __future__ import annotations

from datetime import datetime

from tfkafka.client.consumer import OFFSET_BEGINNING, OFFSET_END
from tfkafka.reading.ranges import Bound, Last

# librdkafka's RD_KAFKA_OFFSET_TAIL_BASE: -2000 - n is n records before the end.
TAIL_BASE = -2000


def bound(offset: int | datetime) -> Bound:
    """Return a number's meaning: 0 and -2 the first record, -1 the end, -2000 - n the last n."""
    if isinstance(offset, datetime):
        return offset
    if offset in (0, OFFSET_BEGINNING):
        return "earliest"
    if offset == OFFSET_END:
        return "latest"
    return Last(TAIL_BASE - offset) if offset <= TAIL_BASE else offset
