"""tensorflow-io's offsets: numbers, some of which have a special meaning."""

from __future__ import annotations

from datetime import datetime

from tfkafka._util import arguments
from tfkafka.client.consumer import OFFSET_BEGINNING, OFFSET_END
from tfkafka.reading.bounds import Bound, Last, refuse_wrong_bound

# librdkafka's RD_KAFKA_OFFSET_TAIL_BASE: -2000 - n is n records before the end.
TAIL_BASE = -2000


def bound(name: str, value: int | datetime) -> Bound:
    """Return a number's meaning: 0 and -2 the first record, -1 the end, -2000 - n the last n."""
    if isinstance(value, datetime):
        refuse_wrong_bound(name, value)
        return value
    offset = arguments.whole_number(
        name, value, -arguments.LARGEST, what="an offset or a datetime with a time zone"
    )
    if offset in (0, OFFSET_BEGINNING):
        return "earliest"
    if offset == OFFSET_END:
        return "latest"
    return Last(TAIL_BASE - offset) if offset <= TAIL_BASE else offset
