"""Decoding of Protocol Buffers' messages from memory, in chunks of tfkafka's size."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.meter import measured
from tests.benchmarks.worker import Round

if TYPE_CHECKING:
    import numpy as np

LABEL = "label"


def tfkafka(features: np.ndarray, labels: np.ndarray) -> Round:
    """ProtobufDecoder, in Confluent's wire format."""
    from tests.benchmarks.sides.reading import _chunk
    from tests.unit.decoding.protobuf_samples import framed
    from tfkafka import Field, ProtobufDecoder
    from tfkafka.reading.bounded import CHUNK_RECORDS

    kind, bodies = _messages(features, labels)
    values = [framed([0], body) for body in bodies]
    names = _names(features)
    decoder = ProtobufDecoder(names, label=Field(LABEL), message=kind, framing="confluent")
    starts = range(0, len(values), CHUNK_RECORDS)
    parts = [values[start : start + CHUNK_RECORDS] for start in starts]
    chunks = [_chunk(part, [b""] * len(part), of_buffers=True) for part in parts]

    def work() -> None:
        for chunk in chunks:
            assert not decoder.decode(chunk).faults

    work()
    return lambda _number: measured(work)


def one_by_one(features: np.ndarray, labels: np.ndarray) -> Round:
    """protobuf's own class, message by message, and their fields as arrays."""
    import numpy as np

    kind, bodies = _messages(features, labels)
    fields = attrgetter(*_names(features), LABEL)

    def work() -> None:
        rows = np.array([fields(kind.FromString(body)) for body in bodies], np.float32)
        assert rows.shape == (len(bodies), features.shape[1] + 1)

    return lambda _number: measured(work)


def _names(features: np.ndarray) -> list[str]:
    return [f"f{place}" for place in range(features.shape[1])]


def _messages(features: np.ndarray, labels: np.ndarray) -> tuple[Any, list[bytes]]:
    """A class, and a message of it for each row."""
    from tests.unit.decoding.protobuf_samples import classes, field, message

    names = _names(features)
    fields = [field(name, place, "float") for place, name in enumerate(names, 1)]
    [kind] = classes(message("Row", *fields, field(LABEL, len(fields) + 1, "int32")))
    rows = zip(features.tolist(), labels.tolist(), strict=True)
    return kind, [
        kind(**dict(zip(names, row, strict=True)), label=int(label)).SerializeToString()
        for row, label in rows
    ]
