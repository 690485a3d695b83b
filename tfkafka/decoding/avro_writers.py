"""The schemas of a registry, as records are read that were written with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfkafka.decoding.avro_chunks import AvroChunks, Writer
from tfkafka.decoding.avro_schemas import AvroSchema, read_one
from tfkafka.decoding.framing import HEAD, MAGIC
from tfkafka.decoding.nested_values import WrongRecord, kind_of
from tfkafka.decoding.schema_registry import UnknownSchemaError, shared_registry


@dataclass(frozen=True)
class RegistryWriters:
    """Finds how records are read by the number of their schema, which is asked for once.

    Attributes:
        registry: the registry's address.
        config: its further settings.
        chunks: what reads the records.
    """

    registry: str
    config: Mapping[str, object] = field(repr=False)
    chunks: AvroChunks
    _found: dict[int, Writer] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, number: int) -> Writer:
        """Return the schema of a number."""
        found = self._found.get(number)
        if found is None:
            registry = shared_registry(self.registry, self.config)
            named = f"schema {number}"
            try:
                registered = registry.schema(number)
            except UnknownSchemaError as error:
                # It may be there later, so it is not kept.
                return Writer(None, refusal=f"{named} {error}")
            if registered.kind != "AVRO":
                found = Writer(None, refusal=f"{named} is of the kind {registered.kind}, not AVRO")
            else:
                try:
                    schema = AvroSchema.of(registered.text, registered.references)
                    found = self.chunks.writer(schema, named)
                except ValueError as error:
                    found = Writer(None, refusal=f"{named} {error}")
            self._found[number] = found
        return found


def record_of(value: bytes | None, writers: Writer | Callable[[int], Writer]) -> dict[str, Any]:
    """Return a record of a value, as Python's objects. Raises WrongRecord where it is none.

    Args:
        writers: the value's schema; or what returns that of a number, for values in Confluent's
            wire format.
    """
    if value is None:
        raise WrongRecord("is null")
    if not isinstance(writers, Writer):
        if len(value) < HEAD or value[0] != MAGIC:
            raise WrongRecord("is not in Confluent's wire format" if value else "is empty", value)
        writers, value = writers(int.from_bytes(value[1:HEAD], "big")), value[HEAD:]
    if writers.schema is None:
        raise WrongRecord(writers.refusal)
    record = read_one(value, writers.schema, None)
    if not isinstance(record, dict):
        raise WrongRecord(f"is {kind_of(record)}, not a record")
    return record
