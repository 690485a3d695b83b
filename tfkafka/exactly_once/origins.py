"""The header of a prediction that says of which record it is, and of which model.

It is `tfkafka.source`: the input's topic, partition and offset, and the model's name, with "/"
between them. Only the name may have a "/" in it: Kafka's names of topics cannot.
"""

from __future__ import annotations

import numpy as np

from tfkafka import native
from tfkafka.chunk import Chunk, Column, Position
from tfkafka.client.records import Records
from tfkafka.errors import PredictionsError

SOURCE = "tfkafka.source"
# The digits of an int64.
_MOST_DIGITS = 19


def predictions(chunk: Chunk, values: Column, model: str) -> Records:
    """Return the predictions of a chunk's records, with these values.

    The key is that of the input.
    """
    return Records(values, chunk.keys, {SOURCE: _origins(chunk, model)})


def origin_of(chunk: Chunk, index: int) -> Position:
    """Return the position of the input of a prediction that was read with its headers.

    Raises PredictionsError where the headers do not have it.
    """
    headers = dict(chunk.metadata[1][index])
    try:
        topic, partition, offset, _model = headers[SOURCE].split(b"/", 3)
        return Position(topic.decode(), int(partition), int(offset))
    except (KeyError, ValueError, AttributeError, TypeError):
        raise PredictionsError(
            f"{chunk.position(index)}: not a prediction: it has no header {SOURCE} with topic, "
            f"partition and offset of an input",
            **chunk.position(index)._asdict(),
        ) from None


def _origins(chunk: Chunk, model: str) -> Column:
    """Return `tfkafka.source` for each record of a chunk."""
    prefixes = [f"{topic}/{partition}/".encode() for topic, partition in chunk.sources]
    suffix, library = f"/{model}".encode(), native.library()
    if library is None:
        pairs = zip(chunk.source.tolist(), chunk.offsets.tolist(), strict=True)
        texts = (b"%s%d%s" % (prefixes[source], offset, suffix) for source, offset in pairs)
        return Column.of(texts, len(chunk))
    most = max(map(len, prefixes), default=0) + _MOST_DIGITS + len(suffix)
    before = Column.of(prefixes, len(prefixes))
    after = np.frombuffer(suffix, np.uint8)
    source = np.ascontiguousarray(chunk.source, np.int32)
    numbers = np.ascontiguousarray(chunk.offsets, np.int64)
    joined, offsets = np.empty(most * len(chunk), np.uint8), np.empty(len(chunk) + 1, np.int64)
    arrays = before.buffer, before.offsets, source, numbers, after
    pointers = [array.ctypes.data for array in arrays]
    out = joined.ctypes.data, offsets.ctypes.data
    library.tk_join_numbers(*pointers, len(after), len(chunk), *out)
    return Column.of_buffer(joined[: offsets[-1]], offsets, np.zeros(len(chunk), np.bool_))
