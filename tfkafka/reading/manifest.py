"""Manifests: which records a dataset has, as JSON, so that they can be read again."""

from __future__ import annotations

import importlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tfkafka._util import arguments
from tfkafka.chunk import OffsetRange
from tfkafka.decoding.base import Decoder
from tfkafka.errors import ManifestError, TopicError
from tfkafka.reading.progress import Place
from tfkafka.reading.ranges import Identity
from tfkafka.reading.sharding import check_shard, part_of

FORMAT = "tfkafka manifest 1"
# The packages that decide the bits of a decoded record, or how it is read.
PACKAGES = ("confluent-kafka", "numpy", "polars", "tensorflow")
OWN_DECODERS = "tfkafka.decoding."

# A manifest: the path of a file, or what `KafkaDataset.manifest()` returned.
Saved = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """The records of one topic that were read, and how they were read.

    Attributes:
        servers: the brokers that they were read from, `HOST:PORT[,HOST:PORT]`.
        identity: the identity of the cluster and the topic.
        ranges: the offsets, of all shards together.
        order: the order of the records; None: as `tfkafka.online` trained on them, mini dataset
            by mini dataset.
        isolation_level: "read_committed" or "read_uncommitted".
        max_records: the maximum number of records; None: all.
        batch_size, metadata, on_bad_record: the dataset's arguments.
        decoder: see `describe_decoder`.
        counts: the records of a complete iteration: read, used, skipped, dead_lettered; None where
            no iteration was complete.
        versions: the versions of Python and of the packages.
        place: how far an iteration was; None: a manifest of all records.
        shard: the index of the part of the ranges, and the number of parts; None: all of them.
    """

    servers: str
    identity: Identity
    ranges: tuple[OffsetRange, ...]
    order: str | None
    isolation_level: str
    max_records: int | None = None
    batch_size: int | None = None
    metadata: bool = False
    on_bad_record: str = "error"
    decoder: Mapping[str, Any] | None = None
    counts: Mapping[str, int] | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: versions())
    place: Place | None = None
    shard: tuple[int, int] | None = None

    @property
    def topic(self) -> str:
        return self.identity.topic

    @property
    def part(self) -> tuple[OffsetRange, ...]:
        """The offsets of the shard."""
        return part_of(self.ranges, self.shard)

    def of_shard(self, shard: tuple[int, int] | None) -> Manifest:
        """Return the manifest of a shard of the same ranges; None: the same manifest.

        Raises ManifestError where numbers of records, which shards do not know, bound it.
        """
        if shard in (None, self.shard):
            return self
        if self.max_records is not None or self.place is not None:
            bound = "begins in the middle" if self.max_records is None else "has max_records"
            raise ManifestError(
                f"topic {self.topic}: shard is {shard}, and the manifest {bound}: only whole "
                f"ranges of offsets can be cut"
            )
        return replace(self, shard=shard, counts=None)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest in a form that `json.dump` accepts and `of` reads."""
        content = {"format": FORMAT, **asdict(self)}
        content |= content.pop("identity")
        content["ranges"] = [
            {name: value for name, value in asdict(each).items() if name != "topic"}
            for each in self.ranges
        ]
        content["shard"] = None if self.shard is None else list(self.shard)
        del content["place"]
        return content if self.place is None else content | {"place": self.place.to_json()}

    @classmethod
    def of(cls, saved: Saved, name: str = "manifest") -> Manifest:
        """Read a manifest, the argument `name`.

        Raises ManifestError where it cannot be read, or is not a manifest.
        """
        what = "the path of a file, or what the file has, a dict"
        arguments.instance(name, saved, (str, Path, Mapping), what)
        where, content = _content(saved, name)
        if content.get("format") != FORMAT:
            raise ManifestError(
                f"{where}: not a manifest: its format is {content.get('format')!r}, "
                f"must be {FORMAT!r}"
            )
        try:
            return _parsed(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"{where}: not a manifest: {_reason(error)}") from error

    def refuse_another_topic(self, found: Identity) -> None:
        """Raise TopicError where `found` is not the topic whose records were read."""
        names = {"cluster_id": "the cluster", "topic_id": "the topic"}
        for name, what in names.items():
            before, now = getattr(self.identity, name), getattr(found, name)
            # Topics have no id on a broker before Kafka 2.8.
            if before != now and None not in (before, now):
                raise TopicError(
                    f"topic {self.topic} on {self.servers}: {what} is not the one in the "
                    f"manifest ({name} {now}, was {before}): the records that were read are gone",
                    topic=self.topic,
                )

    def refuse_unknown_order(self, known: str) -> None:
        """Raise ManifestError where the records came in an order that this version lacks."""
        if self.order not in (known, None):
            raise ManifestError(
                f"topic {self.topic}: the records of the manifest came in an order that this "
                f"version does not know ({self.order}): give their ranges as start= and stop="
            )

    def refuse_no_state(self) -> None:
        """Raise ManifestError where this says nothing of how far an iteration was."""
        if self.place is None:
            raise ManifestError(
                f"topic {self.topic}: this is a manifest, not a state: use from_manifest"
            )

    def decode(self, given: Decoder | None) -> Decoder | None:
        """Return the given decoder, or else the one that the manifest describes.

        Raises ManifestError where the given one differs from the manifest's, or where none is
        given and the manifest's is not part of tfkafka.
        """
        if given is not None:
            if describe_decoder(given) != self.decoder:
                raise ManifestError(
                    f"topic {self.topic}: decode is {describe_decoder(given)}, and the records "
                    f"of the manifest were decoded by {self.decoder}"
                )
            return given
        if self.decoder is None:
            return None
        name = self.decoder["name"]
        if not name.startswith(OWN_DECODERS) or not isinstance(self.decoder["arguments"], Mapping):
            raise ManifestError(
                f"topic {self.topic}: the records of the manifest were decoded by {name}: "
                f"give that decoder as decode="
            )
        try:
            made: Decoder = _made(self.decoder)
            return made
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ManifestError(
                f"topic {self.topic}: {name} cannot be created again ({error}): "
                f"give the decoder as decode="
            ) from error


def describe_decoder(decoder: Decoder | None) -> dict[str, Any] | None:
    """Return the name and arguments of a decoder, in JSON's types.

    The arguments of a decoder that is not a dataclass are unknown: None.
    """
    if decoder is None:
        return None
    # Through JSON, so that what is read is equal to what was written.
    described: dict[str, Any] = json.loads(json.dumps(_described(decoder), default=_described))
    return described


def _described(of: object) -> dict[str, Any] | str:
    """Return the name of a function, or the name and arguments of an object."""
    if callable(of) and hasattr(of, "__qualname__"):
        return f"{of.__module__}.{of.__qualname__}"
    kind = type(of)
    arguments = None
    if is_dataclass(of):
        # What `repr` leaves out may be a secret.
        arguments = {each.name: getattr(of, each.name) for each in fields(of) if each.repr}
    return {"name": f"{kind.__module__}.{kind.__qualname__}", "arguments": arguments}


def _made(description: Any) -> Any:
    """Return what a description of this package's own classes describes."""
    if isinstance(description, list):
        return [_made(each) for each in description]
    if not isinstance(description, Mapping):
        return description
    name, arguments = description.get("name"), description.get("arguments")
    if description.keys() != {"name", "arguments"} or not str(name).startswith(OWN_DECODERS):
        return {each: _made(value) for each, value in description.items()}
    module, _, kind = str(name).rpartition(".")
    made = {each: _made(value) for each, value in (arguments or {}).items()}
    found: Any = getattr(importlib.import_module(module), kind)
    if not (isinstance(found, type) and is_dataclass(found)):
        raise TypeError(f"{kind} is no class of decoders")
    return found(**made)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that read and decode."""
    # By name: the package may not depend on what depends on it, and a checkout is not installed.
    own = importlib.import_module("tfkafka").__version__
    found = {"tfkafka": str(own), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            # TensorFlow may be installed under another name, or not at all.
            continue
    return found


def _content(saved: Saved, name: str) -> tuple[str, Mapping[str, Any]]:
    if isinstance(saved, Mapping):
        return name, saved
    try:
        content = json.loads(Path(saved).read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{saved}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ManifestError(f"{saved}: not a manifest: not JSON ({error})") from error
    if not isinstance(content, Mapping):
        raise ManifestError(f"{saved}: not a manifest: not a JSON object")
    return str(saved), content


def _parsed(content: Mapping[str, Any]) -> Manifest:
    rest = {name: value for name, value in content.items() if name != "format"}
    identity = Identity(*(rest.pop(name) for name in ("topic", "cluster_id", "topic_id")))
    ranges = tuple(
        OffsetRange(
            identity.topic,
            each["partition"],
            each["start"],
            each["stop"],
            # Earlier manifests lack it.
            arguments.optional(arguments.whole_number, "leader_epoch", each.get("leader_epoch")),
        )
        for each in rest.pop("ranges")
    )
    place = rest.pop("place", None)
    shard = arguments.optional(check_shard, "shard", rest.pop("shard", None))
    return Manifest(
        identity=identity,
        ranges=ranges,
        place=None if place is None else Place.of(identity.topic, place),
        shard=shard,
        **rest,
    )


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
