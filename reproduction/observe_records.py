"""Which records of Kafka a model was trained on, saved beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproduction.files import MANIFEST, replacing, write_whole
from tfkafka import KafkaDataset
from tfkafka.config import Configuration

if TYPE_CHECKING:
    import keras


def manifest_of(
    servers: str,
    topic: str,
    first: int | None = None,
    records: int | None = None,
    configuration: Configuration = None,
) -> dict[str, Any]:
    """Return the manifest of a topic's records, whichever reader reads them.

    Args:
        first: the offset of the first one, in partition 0; None: all that the topic has now.
        records: how many of them; offsets of the tutorial's topics have no gaps.
    """
    if first is None:
        return KafkaDataset(topic, servers=servers, configuration=configuration).manifest()
    return KafkaDataset(
        topic,
        0,
        start=first,
        stop=first + records,
        servers=servers,
        configuration=configuration,
    ).manifest()


def save_model(model: keras.Model, path: Path, manifest: dict[str, Any]) -> None:
    """Save a model, and beside it as NAME.manifest.json which records made it."""
    with replacing(path) as scratch:
        model.save(scratch)
    write_whole(path.with_suffix(MANIFEST), json.dumps(manifest, indent=1) + "\n")
